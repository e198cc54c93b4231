"""What happens in a room is kept, and told in that order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy.exc import OperationalError

from media.codecs import Kind
from sfu.meeting import events as happened
from sfu.meeting.participant import CloseReason, Mode, ParticipantInfo, Track
from sfu.meeting.permissions import Grants, Source
from tests.support.api import until
from tests.support.clock import Clock
from tidegate.events import recorder as recorder_module
from tidegate.events.autoclose import AutoClose
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.recorder import Recorder
from tidegate.store import Room, RoomOptions, Store

SESSION = "c" * 24


@dataclass
class Bus:
    """Takes what the log hands out, as readers would see it."""

    events: list = field(default_factory=list)

    def publish(self, event):
        self.events.append((event.type, event.data, event.hidden, event.project_id, event.room_id))

    @property
    def kinds(self):
        return [event[0] for event in self.events]


class NoMeetings:
    def end_room(self, room_id, reason):
        return True


@dataclass
class Stage:
    """A recorder, and events of one room for it."""

    recorder: Recorder
    store: Store
    bus: Bus
    wall: Clock
    room: Room
    auto_close: AutoClose

    def base(self):
        return {"room_id": self.room.room_id, "session_id": SESSION}

    def of(self, who, inner=None, hidden=False):
        return {**self.base(), "participant_id": who, "inner_id": inner or f"PA_{who}", "hidden": hidden}

    async def tell(self, *events, after=1.0):
        for event in events:
            self.wall.time += after
            self.recorder.listen(event)
        await self.recorder.flush()

    def started(self):
        return happened.RoomStarted(**self.base(), at=self.wall.time)

    def ended(self, reason=CloseReason.ROOM_CLOSE):
        return happened.RoomEnded(**self.base(), reason=reason, at=self.wall.time + 100)

    def joined(self, who, inner=None, hidden=False, at=None):
        info = ParticipantInfo(who, who.title(), Mode.SEND_AND_RECV, at or self.wall.time, {"m": 1}, {"k": "v"}, 1, ())
        return happened.ParticipantJoined(**self.of(who, inner, hidden), info=info)

    def left(self, who, inner=None, reason=CloseReason.MANUAL_LEAVE_CALLED):
        return happened.ParticipantLeft(**self.of(who, inner), reason=reason)

    def track(self, who, source=Source.MIC, track_id="TR_1", muted=False, started=True):
        return Track(track_id, who, source, Kind.AUDIO, muted=muted, bound=True, started=started)

    async def person(self, who):
        return await self.store.sessions.participant(self.room.project_id, SESSION, who)

    def ms(self, ago=0.0):
        return int((self.wall.time - ago) * 1000)


def idle_recorder(store, wall):
    events = EventLog(store, Bus())
    return Recorder(store, events, AutoClose(store, NoMeetings(), events, wall), wall)


@pytest.fixture
async def stage(store, wall):
    key = await store.first_key()
    room, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions(custom_room_id="standup"))
    bus = Bus()
    events = EventLog(store, bus)
    auto_close = AutoClose(store, NoMeetings(), events, Clock(0.0))
    recorder = Recorder(store, events, auto_close, wall)
    task = asyncio.create_task(recorder.run())
    yield Stage(recorder, store, bus, wall, room, auto_close)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_session_from_start_to_end(stage):
    await stage.tell(stage.started(), stage.joined("ann"))
    running = await stage.store.sessions.ongoing(stage.room.project_id, stage.room.room_id)
    assert (running.id, running.start) == (SESSION, stage.ms(2))
    assert stage.auto_close.get_timer() == 480 * 60
    await stage.tell(stage.left("ann"), stage.ended())
    ended = await stage.store.sessions.find(stage.room.project_id, SESSION)
    assert (ended.status, ended.end_reason, ended.end) == ("ended", "ROOM_CLOSE", stage.ms(2) + 100_000)
    assert (await stage.person("ann")).timelog[0]["end"] == stage.ms(1)
    assert stage.auto_close.get_timer() is None
    assert stage.bus.kinds == ["session-started", "participant-joined", "participant-left", "session-ended"]
    room_id = stage.room.room_id
    common = {"meetingId": room_id, "sessionId": SESSION}
    assert stage.bus.events[0][1] == {**common, "start": running.start}
    assert stage.bus.events[1][1] == {**common, "participantId": "ann", "participantName": "Ann"}
    assert stage.bus.events[2][1]["reason"] == {"code": 1101, "name": "MANUAL_LEAVE_CALLED"}
    assert stage.bus.events[3][1] == {**common, "start": running.start, "end": ended.end, "reason": {"code": 1006, "name": "ROOM_CLOSE"}}
    assert all(event[3:] == (stage.room.project_id, room_id) for event in stage.bus.events)


async def test_logs_of_sources(stage):
    of = stage.of("ann")
    mic, muted = stage.track("ann"), stage.track("ann", muted=True)
    screen = stage.track("ann", Source.SCREEN, "TR_2")
    await stage.tell(stage.started(), stage.joined("ann"))
    await stage.tell(happened.TrackMuted(**of, track=replace(muted, started=False)))
    await stage.tell(happened.TrackPublished(**of, track=mic))
    on = stage.ms()
    await stage.tell(happened.TrackMuted(**of, track=muted), happened.TrackPublished(**of, track=screen))
    await stage.tell(happened.TrackMuted(**of, track=mic), happened.TrackUnpublished(**of, track=mic))
    events = (await stage.person("ann")).events
    assert events["mic"] == [{"start": on, "end": on + 1000}, {"start": on + 3000, "end": on + 4000}]
    assert events["screenShare"] == [{"start": on + 2000, "end": None}] and events["webcam"] == []
    assert stage.bus.kinds[2:] == ["track-published", "track-muted", "track-published", "track-muted", "track-unpublished"]
    assert stage.bus.events[2][1]["trackId"] == "TR_1" and stage.bus.events[2][1]["source"] == "mic"


async def test_a_log_is_on_while_any_track_of_it_sends(stage):
    of = stage.of("ann")
    one, two = stage.track("ann"), stage.track("ann", track_id="TR_2")
    await stage.tell(stage.started(), stage.joined("ann"))
    await stage.tell(happened.TrackPublished(**of, track=one), happened.TrackPublished(**of, track=two))
    await stage.tell(happened.TrackUnpublished(**of, track=one))
    assert (await stage.person("ann")).events["mic"] == [{"start": stage.ms(2), "end": None}]
    await stage.tell(happened.TrackUnpublished(**of, track=two))
    assert (await stage.person("ann")).events["mic"] == [{"start": stage.ms(3), "end": stage.ms()}]


async def test_the_end_of_an_earlier_stay_does_not_end_the_later_one(stage):
    await stage.tell(stage.started(), stage.joined("ann", "PA_1"), stage.joined("ann", "PA_2"))
    await stage.tell(stage.left("ann", "PA_1", CloseReason.DUPLICATE_PARTICIPANT))
    ann = await stage.person("ann")
    assert ann.is_active and ann.timelog[-1]["end"] is None
    assert stage.bus.kinds[-1] == "participant-left"
    await stage.tell(stage.left("ann", "PA_2"))
    assert not (await stage.person("ann")).is_active


async def test_who_comes_back_has_two_entries(stage):
    await stage.tell(stage.started(), stage.joined("ann", "PA_1"), stage.left("ann", "PA_1"), stage.joined("ann", "PA_2"))
    ann = await stage.person("ann")
    assert len(ann.timelog) == 2 and ann.is_active


async def test_names_change(stage):
    await stage.tell(stage.started(), stage.joined("ann"))
    info = replace(stage.joined("ann").info, display_name="Ann B.", meta_data={"n": 2}, version=2)
    await stage.tell(happened.ParticipantUpdated(**stage.of("ann"), info=info), stage.left("ann"))
    ann = await stage.person("ann")
    assert (ann.name, ann.meta_data) == ("Ann B.", {"n": 2})
    assert stage.bus.events[-1][1]["participantName"] == "Ann B."


async def test_hidden_ones_are_marked(stage):
    await stage.tell(stage.started(), stage.joined("ghost", hidden=True))
    assert (await stage.person("ghost")).hidden and stage.bus.events[-1][2] is True


async def test_what_is_told_only(stage):
    of = stage.of("ann")
    await stage.tell(stage.started(), stage.joined("ann"))
    await stage.tell(
        happened.ParticipantDisconnected(**of), happened.ParticipantReconnected(**of), happened.GrantsChanged(**of, grants=Grants.full())
    )
    assert stage.bus.kinds[2:] == ["participant-disconnected", "participant-reconnected", "grants-changed"]
    assert stage.bus.events[-1][1]["grants"]["moderate"] is True


async def test_other_events_are_passed_over(stage):
    await stage.tell(happened.ParticipantActive(**stage.of("ann")), object())
    assert stage.bus.events == []


async def test_a_room_that_is_not_in_the_store_is_not_kept(stage):
    base = {"room_id": "none-none-none", "session_id": "d" * 24}
    await stage.tell(happened.RoomStarted(**base, at=1.0), happened.RoomEnded(**base, reason=CloseReason.ROOM_CLOSE, at=2.0))
    assert stage.bus.events == [] and await stage.store.sessions.find(stage.room.project_id, "d" * 24) is None


async def test_a_row_that_cannot_be_written_costs_no_event(stage, monkeypatch):
    await stage.tell(stage.started())
    joined = stage.store.sessions.joined

    async def failing(*args, **more):
        raise ValueError("a row that cannot be")

    monkeypatch.setattr(stage.store.sessions, "joined", failing)
    await stage.tell(stage.joined("ann"))
    monkeypatch.setattr(stage.store.sessions, "joined", joined)
    await stage.tell(stage.joined("bob"))
    assert stage.bus.kinds == ["session-started", "participant-joined", "participant-joined"]
    assert await stage.person("ann") is None and (await stage.person("bob")).is_active
    assert stage.recorder.failed == 1


async def test_the_queue_is_bounded_and_lives_go_before_the_rest(store, wall, monkeypatch):
    monkeypatch.setattr(recorder_module, "QUEUE", 2)
    monkeypatch.setattr(recorder_module, "QUEUE_LIVES", 3)
    recorder = idle_recorder(store, wall)  # nobody drains it
    of = {"room_id": "r", "session_id": "s", "participant_id": "p", "inner_id": "i", "hidden": False}
    for _ in range(3):
        recorder.listen(happened.ParticipantDisconnected(**of))
    assert recorder.dropped == 1
    for _ in range(2):
        recorder.listen(happened.ParticipantLeft(**of, reason=CloseReason.UNKNOWN))
    assert recorder.dropped == 2


async def test_flush_does_not_wait_for_a_recorder_that_has_ended(store, wall):
    recorder = idle_recorder(store, wall)
    await recorder.flush()
    waiting = asyncio.create_task(recorder.run())
    await asyncio.sleep(0)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    recorder.listen(happened.RoomEnded(room_id="r", session_id="s", reason=CloseReason.UNKNOWN, at=1.0))
    await asyncio.wait_for(recorder.flush(), 5)


class Gate:
    """Stands for the egress: a recording that is still being finished."""

    def __init__(self):
        self.held, self.callbacks = {SESSION}, []

    def holds(self, session_id):
        return session_id in self.held

    def when_free(self, session_id, callback):
        self.callbacks.append(callback)


async def test_the_end_of_a_session_is_told_after_what_hangs_on_it(stage):
    stage.recorder.gate = gate = Gate()
    await stage.tell(stage.started(), stage.joined("ann"), stage.left("ann"), stage.ended())
    row = await stage.store.sessions.find(stage.room.project_id, SESSION)
    assert row.status == "ended", "the row has ended at once"
    assert stage.bus.kinds[-1] == "participant-left"
    await stage.recorder._events.write(NewEvent("recording-stopped", stage.room.project_id, None, SESSION, {}))
    gate.callbacks[0]()
    await stage.recorder.flush()
    assert stage.bus.kinds[-2:] == ["recording-stopped", "session-ended"]
    assert stage.bus.events[-1][1]["end"] == row.end


async def test_nothing_is_kept_of_recorders_of_ours(stage):
    stage.recorder.is_ours = lambda inner_id: inner_id == "PA_recorder"
    await stage.tell(stage.started(), stage.joined("recorder", hidden=True), stage.joined("ann"), stage.left("recorder"))
    assert stage.bus.kinds == ["session-started", "participant-joined"]
    assert await stage.person("recorder") is None


async def test_what_waits_is_written_in_one_transaction(stage, monkeypatch):
    """And the rows and events are the same as one by one, in the same order."""
    written, write = [], stage.recorder._events.write

    async def counting(*events, change=None):
        written.append([event.type for event in events])
        return await write(*events, change=change)

    monkeypatch.setattr(stage.recorder._events, "write", counting)
    people = [f"p{number}" for number in range(20)]
    await stage.tell(stage.started(), *(stage.joined(who) for who in people), *(stage.left(who) for who in people), stage.ended())
    assert [len(batch) for batch in written] == [recorder_module.BATCH, 42 - recorder_module.BATCH]
    assert stage.bus.kinds == ["session-started", *["participant-joined"] * 20, *["participant-left"] * 20, "session-ended"]
    assert not any([(await stage.person(who)).is_active for who in people])


@pytest.mark.parametrize("away", [OSError("connection refused"), OperationalError("INSERT", {}, Exception("disk is full"))])
@pytest.mark.parametrize("fails", [("write",), ("find_live", "write")])
async def test_what_happens_while_the_store_is_away_is_kept_when_it_is_back(stage, monkeypatch, away, fails):
    monkeypatch.setattr(recorder_module, "AWAY_RETRY", 0.0)
    is_back = asyncio.Event()

    def fails_while_away(call):
        async def called(*args, **more):
            if not is_back.is_set():
                raise away
            return await call(*args, **more)

        return called

    for of, name in ((stage.recorder._events, "write"), (stage.store.rooms, "find_live")):
        if name in fails:
            monkeypatch.setattr(of, name, fails_while_away(getattr(of, name)))
    await asyncio.wait_for(stage.tell(stage.started()), 10)  # whoever reads the store is not kept waiting for it
    assert stage.recorder.is_away and stage.bus.kinds == []
    await asyncio.wait_for(stage.tell(stage.joined("ann"), stage.left("ann")), 10)
    is_back.set()
    await until(lambda: not stage.recorder.is_away)
    await stage.recorder.flush()
    assert stage.bus.kinds == ["session-started", "participant-joined", "participant-left"]
    assert await stage.person("ann") is not None
    assert stage.recorder.failed == 0


async def test_one_that_fails_among_many_takes_none_with_it(stage, monkeypatch):
    joined = stage.store.sessions.joined

    async def failing(session, who, **more):
        if who == "bad":
            raise ValueError("a row that cannot be")
        await joined(session, who, **more)

    monkeypatch.setattr(stage.store.sessions, "joined", failing)
    await stage.tell(stage.started(), stage.joined("ann"), stage.joined("bad"), stage.joined("bob"))
    assert stage.bus.kinds == ["session-started", *["participant-joined"] * 3], "its event is told, its row is lost"
    assert [(await stage.person(who)) is not None for who in ("ann", "bad", "bob")] == [True, False, True]
    assert stage.recorder.failed == 1
