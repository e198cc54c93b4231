"""Any sequence of what clients, their networks and their connections can do: refusals are PeerErrors, the tables agree, nothing stays."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.listener import Listener, ListenerEvent, ListenerTrackAdded, ListenerTrackRemoved
from sfu.meeting.participant import CloseReason, JoinRequest, Participant, ParticipantState
from sfu.meeting.permissions import Grants, Source
from sfu.producer import Producer
from tests.support.client_sdp import H264_LINES, Line
from tests.support.conference_pair import COARSE, CONTEXTS, Browser, Lab, assert_empty
from tests.support.rtp_peers import Wire

NAMES = ("alice", "bob", "carol", "player")
RECORDER = Grants(join=True, subscribe=True, hidden=True, recorder=True)
CONFIG = SfuConfig(max_sessions=6, max_media_lines=6, max_tracks=3)


class Calls:
    """One room, three browsers and a player. What somebody may not do just then is refused, and that is fine."""

    def __init__(self) -> None:
        self.lab = Lab(CONFIG)
        self.present: dict[str, Browser] = {}
        self.ssrc = 1000
        self.recorder: tuple[Participant, Listener, Wire] | None = None

    def act(self, action: str, name: str) -> None:
        try:
            getattr(self, action)(name)
        except PeerError:
            pass
        self.lab.pump()
        self.check()

    def who(self, name: str) -> Browser:
        if name not in self.present:
            self.join(name)
        return self.present[name]

    # Commands

    def join(self, name: str) -> None:
        """Puts out whoever had the name."""
        make: Callable[[str], Browser] = self.lab.whip if name == "player" else self.lab.join
        former = self.present.get(name)
        self.present[name] = make(name)
        if former is not None:
            former.die()

    def leave(self, name: str) -> None:
        browser = self.present.pop(name, None)
        if browser is not None:
            browser.die()
            self.lab.conference.leave(browser.participant, CloseReason.MANUAL_LEAVE_CALLED, now=self.lab.now)

    def detach(self, name: str) -> None:
        self.lab.conference.detach(self.who(name).participant, now=self.lab.now)

    def resume(self, name: str) -> None:
        self.lab.conference.resume(self.who(name).participant, now=self.lab.now)

    def publish(self, name: str) -> None:
        browser = self.who(name)
        self.ssrc += 10
        kind, source = (("video", Source.WEBCAM), ("audio", Source.MIC))[self.ssrc // 10 % 2]
        track_id = browser.announce(source, muted=True)
        browser.media.append(Line(kind, ssrc=self.ssrc))
        mid = str(len(browser.media) - 1)
        browser.tracks[mid] = track_id
        browser.negotiate([(mid, track_id)])

    def unpublish(self, name: str) -> None:
        for track_id in list(self.who(name).participant.tracks)[:1]:
            self.lab.conference.unpublish(self.who(name).participant, track_id, now=self.lab.now)

    def mute(self, name: str) -> None:
        for track in list(self.who(name).participant.tracks.values()):
            self.lab.conference.mute(self.who(name).participant, track.track_id, not track.muted, now=self.lab.now)

    def renegotiate(self, name: str) -> None:
        """With other streams in every m-line, and ICE restarted."""
        browser = self.who(name)
        for line in browser.media:
            self.ssrc += 10
            line.ssrc = self.ssrc
        if browser.publish_leg is not None:
            browser.publish_leg.new_credentials()
            browser.negotiate()

    def reconnect(self, name: str) -> None:
        """A new peer connection, which begins with no m-line of the old."""
        browser = self.who(name)
        browser.media = []
        track_id = browser.announce(Source.SCREEN, muted=True)
        browser.media = [Line("video", ssrc=self.ssrc)]
        other = browser.publish_leg is not None and browser.publish_leg.client.context is CONTEXTS[0]
        browser.negotiate([("0", track_id)], context=CONTEXTS[1 if other else 0])

    def restart(self, name: str) -> None:
        self.lab.conference.restart_subscribe(self.who(name).participant, now=self.lab.now)

    def play(self, name: str) -> None:
        player = self.who("player")
        if player.play_leg is None:
            player.play(of=name if name != "player" else None)

    def change_codec(self, name: str) -> None:
        """Of every video that it sends."""
        browser = self.who(name)
        for line in browser.media:
            self.ssrc += 10
            line.ssrc = self.ssrc
            if line.kind == "video":
                line.codec = None if line.codec else H264_LINES
        if browser.publish_leg is not None:
            browser.negotiate()

    def listen(self, name: str) -> None:
        if self.recorder is None:
            request = JoinRequest("room", "rec", grants=RECORDER, auto_subscribe=name != "player")
            participant, wire = self.lab.conference.join(request, now=self.lab.now), Wire()
            if name == "bob":
                self.lab.pump()
            hold = 20.0 if name == "carol" else 0.0
            listener = self.lab.conference.listen(participant, wire, hold_room_seconds=hold, now=self.lab.now)
            self.recorder = participant, listener, wire

    def record(self, name: str) -> None:
        """The recorder takes, pauses or resumes what this one has published."""
        if self.recorder is not None and name in self.present:
            for at, track in enumerate(self.present[name].participant.tracks):
                self.lab.conference.want(self.recorder[0], track, enabled=at % 2 == 0, now=self.lab.now)

    def kill_worker(self, name: str) -> None:
        if self.recorder is not None:
            self.recorder[1].fail("the worker is gone")

    def stop_recording(self, name: str) -> None:
        if self.recorder is not None:
            self.lab.conference.leave(self.recorder[0], CloseReason.MANUAL_LEAVE_CALLED, now=self.lab.now)

    def ignore_offers(self, name: str) -> None:
        self.who(name).answers = not self.who(name).answers

    def end(self, name: str) -> None:
        self.lab.conference.end_room("room", CloseReason.MEETING_END_API, now=self.lab.now)
        for browser in self.present.values():
            browser.die()
        self.present.clear()

    # The world

    def crash(self, name: str) -> None:
        if name in self.present:
            self.present[name].die()

    def hang_up(self, name: str) -> None:
        """The client closes its connections, and stays."""
        browser = self.who(name)
        for leg in (browser.publish_leg, browser.subscribe_leg, browser.play_leg):
            if leg is not None and leg.alive:
                leg.client.close()

    def breathe(self, name: str) -> None:
        self.lab.run(0.02)

    def wait(self, name: str) -> None:
        self.lab.run(16.0, step=COARSE * 10)

    # What must hold

    def check(self) -> None:
        c = self.lab.conference
        sessions = {session.id: session for peer in c.peers.values() for session in peer.sessions}
        assert c.table.sessions == sessions and len(sessions) <= CONFIG.max_sessions
        assert not any(session.closed for session in sessions.values())
        assert set(c.table.demux._ufrags_of) == set(sessions.values()) >= set(c.table.demux.paths.values())
        producers = {p.id: p for session in sessions.values() for p in session.producers.values()}
        assert c._producers == producers
        people = {p.inner_id: p for room in c.rooms.values() for p in room.participants.values()}
        assert {inner_id: peer.participant for inner_id, peer in c.peers.items()} == people
        tracks = {track_id for participant in people.values() for track_id in participant.tracks}
        assert producers.keys() <= tracks
        for session in sessions.values():
            for consumer in session.endpoint.consumers:
                assert consumer.producer is producers.get(consumer.producer.id), "nobody hangs on a producer that is gone"
        self.check_recorder(producers)
        assert not c.listeners.has_events
        assert not c.table.has_events and not c._busy and not c._unsettled and not c.dirty


    def check_recorder(self, producers: dict[str, Producer]) -> None:
        """It has what it is subscribed to, from the producers of now, and its worker was told so."""
        if self.recorder is None:
            return
        participant, listener, _ = self.recorder
        told: dict[str, int] = {}
        for event in self.lab.events:
            if isinstance(event, ListenerEvent) and event.inner_id == participant.inner_id:
                if isinstance(event, ListenerTrackAdded):
                    assert event.track.track_id not in told
                    told[event.track.track_id] = event.ssrc
                elif isinstance(event, ListenerTrackRemoved):
                    del told[event.track_id]
        if participant.state is ParticipantState.LEFT:
            assert listener.closed and listener.endpoint.consumers == [] and listener.get_timer() is None
            self.recorder = None
            return
        assert listener.failure is None, "who fails is put out"
        assert told == listener.ssrcs and told.keys() == participant.subscriptions.keys() & producers.keys()
        consumers = {consumer.params.ssrc: consumer for consumer in listener.endpoint.consumers}
        assert len(consumers) == len(listener.endpoint.consumers) and consumers.keys() == set(told.values())
        for track_id, ssrc in told.items():
            assert consumers[ssrc].producer is producers[track_id]
            assert consumers[ssrc].paused is not participant.subscriptions[track_id].enabled


ACTIONS = [name for name, item in vars(Calls).items() if callable(item) and not name.startswith("_") and name not in ("act", "who", "check", "check_recorder")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES)), max_size=40))
@example([("publish", "alice"), ("join", "bob"), ("breathe", "bob"), ("detach", "alice"), ("crash", "alice"), ("wait", "bob")])
@example([("publish", "alice"), ("play", "alice"), ("breathe", "bob"), ("unpublish", "alice"), ("publish", "alice"), ("hang_up", "player")])
@example([("publish", "alice"), ("listen", "bob"), ("change_codec", "alice"), ("renegotiate", "alice"), ("kill_worker", "bob")])
@example([("listen", "carol"), ("publish", "alice"), ("record", "alice"), ("leave", "alice"), ("wait", "bob"), ("wait", "bob")])
def test_whatever_happens_the_tables_agree_and_in_the_end_nothing_is_left(steps):
    calls = Calls()
    for action, name in steps:
        calls.act(action, name)
    for name in NAMES:
        calls.act("leave", name)
    calls.act("stop_recording", "")
    calls.act("end", "")
    assert_empty(calls.lab)
