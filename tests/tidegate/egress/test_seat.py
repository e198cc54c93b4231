"""What a recorder's seat tells its worker, with a real conference and a worker that only listens."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from media.clock import WallClock
from media.codecs import Kind
from sfu.compose.messages import PersonJoined, PersonLeft, SourceAdded, SourceMuted, SourceRemoved
from sfu.conference import Conference
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.listener import ListenerTrackAdded, ListenerTrackRemoved
from sfu.meeting.events import ParticipantLeft, TrackMuted
from sfu.meeting.participant import CloseReason, JoinRequest, Mode, Track
from sfu.meeting.permissions import Grants, Source
from tidegate.egress import seat as seats
from tidegate.egress.seat import Seat


class Server:
    """The part of MediaServer that a seat uses."""

    def __init__(self) -> None:
        context = DtlsContext(Certificate.generate(wall=0.0))
        clock = WallClock(wall=1000.0, now=0.0)
        self.conference = Conference(SfuConfig(), context, random_bytes=os.urandom, wall_clock=clock)
        self.listening: list[Seat] = []
        self.wants: list[tuple[str, bool]] = []
        self.conference.want = lambda me, track_id, *, enabled, now: self.wants.append((track_id, enabled))  # type: ignore[method-assign]

    def now(self) -> float:
        return 1.0

    def pump(self) -> None:
        while (event := self.conference.next_event()) is not None:
            for one in self.listening:
                one.handle(event)


class Worker:
    def __init__(self) -> None:
        self.link = SimpleNamespace(send_rtp=lambda data: None, send_rtcp=lambda data: None)
        self.told: list[object] = []

    def send(self, control: object) -> None:
        self.told.append(control)


@pytest.fixture
def server() -> Server:
    return Server()


def seated(server: Server, **more) -> tuple[Seat, Worker]:
    worker = Worker()
    seat = Seat(server, worker, choose=more.get("choose"), hold_seconds=0.0)  # type: ignore[arg-type]
    server.listening.append(seat)
    seat.open("room", mine=lambda inner_id: None)
    return seat, worker


def join(server: Server, name: str, **more):
    participant = server.conference.join(JoinRequest("room", name, name.title(), Grants.full(), **more), now=0.0)
    server.pump()
    return participant


def camera(seat: Seat, number: int, *, muted: bool = False) -> ListenerTrackAdded:
    track = Track(f"TR_{number}", f"p{number}", Source.WEBCAM, Kind.VIDEO, muted=muted)
    return ListenerTrackAdded("room", "me", seat.inner_id or "", track, f"p{number}", 1000 + number, ())


def kinds(worker: Worker) -> Iterator[str]:
    return (type(control).__name__ for control in worker.told)


def test_who_is_there_already_is_told_at_once(server):
    join(server, "ada")
    _, worker = seated(server)
    assert PersonJoined("ada", "Ada") in worker.told


def test_an_audience_is_nobody_to_be_seen(server):
    join(server, "ada")
    join(server, "eve", mode=Mode.RECV_ONLY)
    _, worker = seated(server)
    assert [control.participant_id for control in worker.told if isinstance(control, PersonJoined)] == ["ada"]


def test_coming_and_going_is_told(server):
    ada = join(server, "ada")
    _, worker = seated(server)
    join(server, "bob")
    server.conference.leave(ada, CloseReason.MANUAL_LEAVE_CALLED, now=1.0)
    server.pump()
    assert PersonJoined("bob", "Bob") in worker.told and PersonLeft("ada") in worker.told


def test_only_our_own_tracks_are_sources(server):
    join(server, "ada")
    seat, worker = seated(server)
    seat.handle(camera(seat, 1))
    other = camera(seat, 2)
    seat.handle(ListenerTrackAdded("room", "other", "PA_other", other.track, "p2", 5, ()))
    assert [control.track_id for control in worker.told if isinstance(control, SourceAdded)] == ["TR_1"]


def test_a_mute_is_told_once_and_of_known_tracks_only(server):
    join(server, "ada")
    seat, worker = seated(server)
    seat.handle(camera(seat, 1))
    for number in (1, 1, 2):
        track = Track(f"TR_{number}", "ada", Source.WEBCAM, Kind.VIDEO, muted=True)
        seat.handle(TrackMuted("room", seat.session_id, "ada", "PA_1", False, track))
    assert [control for control in worker.told if isinstance(control, SourceMuted)] == [SourceMuted("TR_1", True)]


def test_what_is_gone_is_told_once(server):
    join(server, "ada")
    seat, worker = seated(server)
    seat.handle(camera(seat, 1))
    for _ in range(2):
        seat.handle(ListenerTrackRemoved("room", "me", seat.inner_id or "", "TR_1"))
    assert list(kinds(worker)).count(SourceRemoved.__name__) == 1


def test_in_a_small_room_every_picture_is_sent(server):
    join(server, "ada")
    seat, _ = seated(server)
    for number in range(seats.FEW):
        seat.handle(camera(seat, number))
    seat.show_only(("TR_0",))
    assert server.wants == []


def test_in_a_large_room_only_what_is_shown_is_sent(server):
    join(server, "ada")
    seat, _ = seated(server)
    for number in range(seats.FEW + 1):
        seat.handle(camera(seat, number, muted=number == 3))
    seat.show_only(("TR_0", "TR_1"))
    assert {track for track, enabled in server.wants if not enabled} == {
        f"TR_{number}" for number in range(2, seats.FEW + 1) if number != 3
    }
    server.wants.clear()
    seat.show_only(("TR_0", "TR_5"))
    assert sorted(server.wants) == [("TR_1", False), ("TR_5", True)]


def test_whoever_has_left_does_nothing_any_more(server):
    join(server, "ada")
    seat, worker = seated(server)
    seat.close()
    seat.close()
    before = len(worker.told)
    seat.show_only(())
    seat.handle(ParticipantLeft("room", seat.session_id, "ada", "PA_1", False, CloseReason.UNKNOWN))
    assert len(worker.told) == before


def test_a_chosen_participant_is_the_only_one_seen(server):
    join(server, "ada")
    join(server, "bob")
    _, worker = seated(server, choose=lambda who, source: who == "bob")
    assert [control.participant_id for control in worker.told if isinstance(control, PersonJoined)] == ["bob"]
