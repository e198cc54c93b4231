"""From what happens in rooms to what the store keeps and everybody is told: sessions, participants, their logs, and events.

`listen` is called by the media shell for every event and only queues; one task, `run`, writes in that order, as many as
wait in one transaction. An event is in the store together with the change that it tells of, and is told afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from sfu.meeting.events import (
    GrantsChanged,
    ParticipantDisconnected,
    ParticipantEvent,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReconnected,
    ParticipantUpdated,
    RoomEnded,
    RoomEvent,
    RoomStarted,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from sfu.meeting.participant import CloseReason, Track
from sfu.meeting.permissions import Source
from tidegate.events.autoclose import AutoClose
from tidegate.events.log import EventLog, NewEvent
from tidegate.store import Room, Session, Store
from tidegate.store.away import is_away

log = logging.getLogger("tidegate.events")

QUEUE = 20_000  # events waiting for the store; what is not about a life (tracks, names) is dropped above it
QUEUE_LIVES = 80_000  # and everything above this: the store has been out of reach for long
AWAY_RETRY = 1.0  # seconds until the next try when the store cannot be written to
BATCH = 32  # events in one transaction: an event costs a quarter of what it costs alone, and the store's lock is held shortly
LOG_OF_SOURCE = {
    Source.MIC: "mic",
    Source.WEBCAM: "webcam",
    Source.SCREEN: "screenShare",
    Source.SCREEN_AUDIO: "screenShareAudio",
}
LIVES = (RoomStarted, RoomEnded, ParticipantJoined, ParticipantLeft)


class SessionGate(Protocol):
    """Who knows what still hangs on a session that has ended: its recordings and broadcasts are told of first."""

    def holds(self, session_id: str) -> bool:
        """Whether `session-ended` has to wait."""
        ...

    def when_free(self, session_id: str, callback: Callable[[], None]) -> None:
        """Call back once, in the loop, when it need not wait any longer."""
        ...


@dataclass(slots=True)
class _Stay:
    """Somebody in a running session."""

    inner_id: str
    name: str
    on: dict[str, set[str]] = field(default_factory=dict)
    """Tracks that send, by log."""


@dataclass(slots=True)
class _Running:
    room: Room
    session: Session
    people: dict[str, _Stay] = field(default_factory=dict)

    def event(self, name: str, *, hidden: bool = False, **data: Any) -> NewEvent:
        common = {"meetingId": self.room.room_id, "sessionId": self.session.id}
        return NewEvent(name, self.room.project_id, self.room.room_id, self.session.id, common | data, hidden=hidden)

    def event_of(self, name: str, event: ParticipantEvent, **data: Any) -> NewEvent:
        stay = self.people.get(event.participant_id)
        who = {"participantId": event.participant_id, "participantName": "" if stay is None else stay.name}
        return self.event(name, hidden=event.hidden, **who, **data)


Change = Callable[[AsyncSession], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one event of the meeting plane comes to: a change of rows, an event to tell, or both."""

    about: str
    change: Change | None
    told: NewEvent | None


class Recorder:
    """`listen` for the media shell, `run` for the application's task group, `flush` for whoever reads the store."""

    def __init__(
        self, store: Store, events: EventLog, auto_close: AutoClose, wall: Callable[[], float], gate: SessionGate | None = None
    ) -> None:
        self._store = store
        self._events = events
        self._auto_close = auto_close
        self._wall = wall
        self.gate = gate
        self.is_ours: Callable[[str], bool] = lambda inner_id: False
        """Whether an inner id is of a recorder of ours: of those nothing is kept."""
        self._queue: deque[tuple[RoomEvent, int] | _Entry | asyncio.Future[None]] = deque()
        self._wake = asyncio.Event()
        self._is_writing = False
        self._has_ended = False
        self.is_away = False
        """The store is: what happens waits for it."""
        self._running: dict[str, _Running] = {}
        self.dropped = 0
        self.failed = 0

    def listen(self, event: object) -> None:
        """Queue an event of the meeting plane; those that are not for us are passed over."""
        if type(event) not in HANDLERS or (isinstance(event, ParticipantEvent) and self.is_ours(event.inner_id)):
            return
        if len(self._queue) >= (QUEUE_LIVES if isinstance(event, LIVES) else QUEUE):
            if self.dropped == 0:
                log.error("events are dropped: the store does not keep up")
            self.dropped += 1
            return
        self._queue.append((event, int(self._wall() * 1000)))
        self._wake.set()

    async def run(self) -> None:
        """Write what is queued, until cancelled."""
        try:
            while True:
                while self._queue:
                    self._is_writing = True
                    await self._take()
                self._is_writing = False
                self._wake.clear()
                await self._wake.wait()
        finally:
            self._has_ended = True
            self._let_go()
            self._queue.clear()

    async def flush(self) -> None:
        """Wait until everything that was told so far is in the store, or the store is away, or `run` has ended."""
        if self._has_ended or self.is_away or not (self._queue or self._is_writing):
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(written)
        self._wake.set()
        await written

    async def _take(self) -> None:
        """Write the next events, up to BATCH of them or to somebody who waits for those before."""
        entries: list[_Entry] = []
        while self._queue and len(entries) < BATCH and not isinstance(self._queue[0], asyncio.Future):
            item = self._queue.popleft()
            if isinstance(item, _Entry):
                entries.append(item)
                continue
            entry = await self._handle(*item)  # type: ignore[misc]
            if entry is not None:
                entries.append(entry)
        await self._write(entries)
        if self._queue and isinstance(self._queue[0], asyncio.Future):
            waiting = self._queue.popleft()
            if not waiting.done():
                waiting.set_result(None)

    async def _handle(self, event: RoomEvent, at_ms: int) -> _Entry | None:
        while True:
            try:
                return await HANDLERS[type(event)](self, event, at_ms)
            except Exception as error:
                if not await self._outlast(error):
                    self._lost(type(event).__name__)
                    return None

    async def _outlast(self, error: Exception) -> bool:
        """True after a pause when it is the store that is away. Nobody is kept waiting for it."""
        if not is_away(error):
            return False
        if not self.is_away:
            log.error("what happens waits for the store, which cannot be written to: %s", error)
        self.is_away = True
        self._let_go()
        await asyncio.sleep(AWAY_RETRY)
        return True

    def _let_go(self) -> None:
        for item in self._queue:
            if isinstance(item, asyncio.Future) and not item.done():
                item.set_result(None)

    async def _write(self, entries: list[_Entry]) -> None:
        """All in one transaction; where that fails, each by itself: one row is lost, not its event nor those after it."""
        if not entries:
            return
        while True:
            try:
                await self._write_together(entries)
                self.is_away = False
                return
            except Exception as error:
                if await self._outlast(error):
                    continue
                if len(entries) == 1:
                    self._lost(entries[0].about)
            if len(entries) > 1:
                for entry in entries:
                    await self._write([entry])
            elif entries[0].change is not None:
                await self._write([replace(entries[0], change=None)])
            return

    async def _write_together(self, entries: list[_Entry]) -> None:
        async def change(tx: AsyncSession) -> None:
            for entry in entries:
                if entry.change is not None:
                    await entry.change(tx)

        await self._events.write(*(entry.told for entry in entries if entry.told is not None), change=change)

    def _lost(self, about: str) -> None:
        self.failed += 1
        log.exception("cannot keep an event", extra={"event": about})

    # Handlers: each keeps up what is known of running sessions, and says what is to be written

    async def _room_started(self, event: RoomStarted, at_ms: int) -> _Entry | None:
        room = await self._store.rooms.find_live(event.room_id)
        if room is None:
            log.error("a session began in a room that is not in the store", extra={"room": event.room_id})
            return None
        start_ms = int(event.at * 1000)
        session = self._store.sessions.make(room, event.session_id, start_ms)
        self._running[event.session_id] = running = _Running(room, session)
        self._auto_close.started(room, event.session_id)

        async def change(tx: AsyncSession) -> None:
            await self._store.sessions.start(room, event.session_id, start_ms, tx=tx)

        return _entry(event, running.event("session-started", start=start_ms), change)

    async def _room_ended(self, event: RoomEnded, at_ms: int) -> _Entry | None:
        running = self._running.pop(event.session_id, None)
        self._auto_close.ended(event.session_id)
        if running is None:
            return None
        end_ms = int(event.at * 1000)
        told = running.event("session-ended", start=running.session.start, end=end_ms, reason=reason_to_wire(event.reason))

        async def change(tx: AsyncSession) -> None:
            await self._store.sessions.end(event.session_id, end_ms, event.reason.name, tx=tx)

        if self.gate is None or not self.gate.holds(event.session_id):
            return _entry(event, told, change)

        def tell() -> None:
            self._queue.append(_entry(event, told))
            self._wake.set()

        self.gate.when_free(event.session_id, tell)
        return _entry(event, None, change)

    async def _joined(self, event: ParticipantJoined, at_ms: int) -> _Entry | None:
        running = self._running.get(event.session_id)
        if running is None:
            return None
        info = event.info
        running.people[event.participant_id] = _Stay(event.inner_id, info.display_name)

        async def change(tx: AsyncSession) -> None:
            await self._store.sessions.joined(
                running.session,
                event.participant_id,
                name=info.display_name,
                mode=info.mode.value,
                meta_data=info.meta_data,
                device_info={},
                hidden=event.hidden,
                at_ms=int(info.joined_at * 1000),
                tx=tx,
            )

        return _entry(event, running.event_of("participant-joined", event), change)

    async def _left(self, event: ParticipantLeft, at_ms: int) -> _Entry | None:
        running = self._running.get(event.session_id)
        if running is None:
            return None
        told = running.event_of("participant-left", event, reason=reason_to_wire(event.reason))
        if not self._is_present(running, event):
            return _entry(event, told)
        del running.people[event.participant_id]

        async def change(tx: AsyncSession) -> None:
            await self._store.sessions.left(event.session_id, event.participant_id, at_ms, tx=tx)

        return _entry(event, told, change)

    @staticmethod
    def _is_present(running: _Running, event: ParticipantEvent) -> bool:
        """False for an earlier stay under the same participantId: what it leaves behind is not the later one's."""
        stay = running.people.get(event.participant_id)
        return stay is not None and stay.inner_id == event.inner_id

    async def _updated(self, event: ParticipantUpdated, at_ms: int) -> _Entry | None:
        running = self._running.get(event.session_id)
        if running is None or not self._is_present(running, event):
            return None
        info = event.info
        running.people[event.participant_id].name = info.display_name

        async def change(tx: AsyncSession) -> None:
            await self._store.sessions.renamed(
                event.session_id, event.participant_id, info.display_name, info.meta_data, tx=tx
            )

        told = running.event_of("participant-updated", event, metaData=info.meta_data, attributes=info.attributes)
        return _entry(event, told, change)

    async def _track(self, event: TrackPublished | TrackUnpublished | TrackMuted, at_ms: int) -> _Entry | None:
        running = self._running.get(event.session_id)
        if running is None or not self._is_present(running, event):
            return None
        track = event.track
        if isinstance(event, TrackMuted) and not track.published:
            return None
        sends = not track.muted and not isinstance(event, TrackUnpublished)
        name = {TrackPublished: "track-published", TrackUnpublished: "track-unpublished", TrackMuted: "track-muted"}
        told = running.event_of(name[type(event)], event, **_describe(track))
        return _entry(event, told, self._log_track(running, event, sends, at_ms))

    def _log_track(self, running: _Running, event: Any, sends: bool, at_ms: int) -> Change | None:
        source = LOG_OF_SOURCE[event.track.source]
        on = running.people[event.participant_id].on.setdefault(source, set())
        before = bool(on)
        (on.add if sends else on.discard)(event.track.track_id)
        after = bool(on)
        if after == before:
            return None

        async def change(tx: AsyncSession) -> None:
            await self._store.sessions.log(event.session_id, event.participant_id, source, after, at_ms, tx=tx)

        return change

    async def _told(self, event: ParticipantEvent, at_ms: int) -> _Entry | None:
        """Events that nothing is kept of but themselves."""
        running = self._running.get(event.session_id)
        if running is None:
            return None
        if isinstance(event, GrantsChanged):
            return _entry(event, running.event_of("grants-changed", event, grants=event.grants.to_wire()))
        back = isinstance(event, ParticipantReconnected)
        return _entry(event, running.event_of("participant-reconnected" if back else "participant-disconnected", event))


def _entry(event: object, told: NewEvent | None, change: Change | None = None) -> _Entry:
    return _Entry(type(event).__name__, change, told)


def reason_to_wire(reason: CloseReason) -> dict[str, Any]:
    return {"code": reason.code, "name": reason.name}


def _describe(track: Track) -> dict[str, Any]:
    return {"trackId": track.track_id, "source": track.source.value, "kind": track.kind.value, "muted": track.muted}


HANDLERS: dict[type, Callable[[Recorder, Any, int], Any]] = {
    RoomStarted: Recorder._room_started,
    RoomEnded: Recorder._room_ended,
    ParticipantJoined: Recorder._joined,
    ParticipantLeft: Recorder._left,
    ParticipantUpdated: Recorder._updated,
    ParticipantDisconnected: Recorder._told,
    ParticipantReconnected: Recorder._told,
    GrantsChanged: Recorder._told,
    TrackPublished: Recorder._track,
    TrackUnpublished: Recorder._track,
    TrackMuted: Recorder._track,
}
