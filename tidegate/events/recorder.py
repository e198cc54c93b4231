"""From what happens in rooms to what the store keeps and the bus tells: sessions, participants, their logs.

`listen` is called by the media shell for every event and only queues; one task, `run`, writes in that order. A reader of the
bus hears of something after it is in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
from tidegate.events.bus import EventBus
from tidegate.store import Room, Session, Store

log = logging.getLogger("tidegate.events")

QUEUE = 20_000  # events waiting for the store; what is not about a life (tracks, names) is dropped above it
QUEUE_LIVES = 80_000  # and everything above this: the store has been out of reach for long
LOG_OF_SOURCE = {
    Source.MIC: "mic",
    Source.WEBCAM: "webcam",
    Source.SCREEN: "screenShare",
    Source.SCREEN_AUDIO: "screenShareAudio",
}
LIVES = (RoomStarted, RoomEnded, ParticipantJoined, ParticipantLeft)


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


class Recorder:
    """`listen` for the media shell, `run` for the application's task group, `flush` for whoever reads the store."""

    def __init__(
        self, store: Store, bus: EventBus, auto_close: AutoClose, wall: Callable[[], float]
    ) -> None:
        self._store = store
        self._bus = bus
        self._auto_close = auto_close
        self._wall = wall
        self._queue: deque[tuple[RoomEvent, int] | asyncio.Future[None]] = deque()
        self._wake = asyncio.Event()
        self._is_writing = False
        self._has_ended = False
        self._running: dict[str, _Running] = {}
        self.dropped = 0
        self.failed = 0

    def listen(self, event: object) -> None:
        """Queue an event of the meeting plane; those that are not for us are passed over."""
        if type(event) not in HANDLERS:
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
                    await self._take(self._queue.popleft())
                self._is_writing = False
                self._wake.clear()
                await self._wake.wait()
        finally:
            self._has_ended = True
            for item in self._queue:
                if isinstance(item, asyncio.Future) and not item.done():
                    item.set_result(None)
            self._queue.clear()

    async def flush(self) -> None:
        """Wait until everything that was told so far is in the store, or `run` has ended."""
        if self._has_ended or not (self._queue or self._is_writing):
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(written)
        self._wake.set()
        await written

    async def _take(self, item: tuple[RoomEvent, int] | asyncio.Future[None]) -> None:
        if isinstance(item, asyncio.Future):
            if not item.done():
                item.set_result(None)
            return
        event, at_ms = item
        try:
            await HANDLERS[type(event)](self, event, at_ms)
        except Exception:
            # One row is lost; the calls, and the events after it, are not.
            self.failed += 1
            log.exception("cannot keep an event", extra={"event": type(event).__name__, "room": event.room_id})

    def _publish(self, running: _Running, name: str, *, hidden: bool = False, **data: Any) -> None:
        common = {"meetingId": running.room.room_id, "sessionId": running.session.id}
        self._bus.publish(name, running.room.project_id, running.room.room_id, common | data, hidden=hidden)

    def _publish_of(self, running: _Running, name: str, event: ParticipantEvent, **data: Any) -> None:
        stay = running.people.get(event.participant_id)
        who = {"participantId": event.participant_id, "participantName": "" if stay is None else stay.name}
        self._publish(running, name, hidden=event.hidden, **who, **data)

    # Handlers

    async def _room_started(self, event: RoomStarted, at_ms: int) -> None:
        room = await self._store.rooms.find_live(event.room_id)
        if room is None:
            log.error("a session began in a room that is not in the store", extra={"room": event.room_id})
            return
        session = await self._store.sessions.start(room, event.session_id, int(event.at * 1000))
        self._running[event.session_id] = running = _Running(room, session)
        self._auto_close.started(room, event.session_id)
        self._publish(running, "session-started", start=session.start)

    async def _room_ended(self, event: RoomEnded, at_ms: int) -> None:
        running = self._running.pop(event.session_id, None)
        self._auto_close.ended(event.session_id)
        if running is None:
            return
        end_ms = int(event.at * 1000)
        try:
            await self._store.sessions.end(event.session_id, end_ms, event.reason.name)
        finally:
            reason = _reason(event.reason)
            self._publish(running, "session-ended", start=running.session.start, end=end_ms, reason=reason)

    async def _joined(self, event: ParticipantJoined, at_ms: int) -> None:
        running = self._running.get(event.session_id)
        if running is None:
            return
        info = event.info
        running.people[event.participant_id] = _Stay(event.inner_id, info.display_name)
        try:
            await self._store.sessions.joined(
                running.session,
                event.participant_id,
                name=info.display_name,
                mode=info.mode.value,
                meta_data=info.meta_data,
                device_info={},
                hidden=event.hidden,
                at_ms=int(info.joined_at * 1000),
            )
        finally:
            self._publish_of(running, "participant-joined", event)

    async def _left(self, event: ParticipantLeft, at_ms: int) -> None:
        running = self._running.get(event.session_id)
        if running is None:
            return
        try:
            if self._is_present(running, event):
                await self._store.sessions.left(event.session_id, event.participant_id, at_ms)
        finally:
            self._publish_of(running, "participant-left", event, reason=_reason(event.reason))
            if self._is_present(running, event):
                del running.people[event.participant_id]

    @staticmethod
    def _is_present(running: _Running, event: ParticipantEvent) -> bool:
        """False for an earlier stay under the same participantId: what it leaves behind is not the later one's."""
        stay = running.people.get(event.participant_id)
        return stay is not None and stay.inner_id == event.inner_id

    async def _updated(self, event: ParticipantUpdated, at_ms: int) -> None:
        running = self._running.get(event.session_id)
        if running is None or not self._is_present(running, event):
            return
        info = event.info
        running.people[event.participant_id].name = info.display_name
        try:
            await self._store.sessions.renamed(
                event.session_id, event.participant_id, info.display_name, info.meta_data
            )
        finally:
            self._publish_of(
                running, "participant-updated", event, metaData=info.meta_data, attributes=info.attributes
            )

    async def _track(self, event: TrackPublished | TrackUnpublished | TrackMuted, at_ms: int) -> None:
        running = self._running.get(event.session_id)
        if running is None or not self._is_present(running, event):
            return
        track = event.track
        if isinstance(event, TrackMuted) and not track.published:
            return
        sends = not track.muted and not isinstance(event, TrackUnpublished)
        name = {TrackPublished: "track-published", TrackUnpublished: "track-unpublished", TrackMuted: "track-muted"}
        try:
            await self._log_track(running, event, sends, at_ms)
        finally:
            self._publish_of(running, name[type(event)], event, **_describe(track))

    async def _log_track(self, running: _Running, event: Any, sends: bool, at_ms: int) -> None:
        source = LOG_OF_SOURCE[event.track.source]
        on = running.people[event.participant_id].on.setdefault(source, set())
        before = bool(on)
        (on.add if sends else on.discard)(event.track.track_id)
        if bool(on) != before:
            await self._store.sessions.log(event.session_id, event.participant_id, source, bool(on), at_ms)

    async def _told(self, event: ParticipantEvent, at_ms: int) -> None:
        """Events that nothing is kept of."""
        running = self._running.get(event.session_id)
        if running is None:
            return
        if isinstance(event, GrantsChanged):
            self._publish_of(running, "grants-changed", event, grants=event.grants.to_wire())
        else:
            back = isinstance(event, ParticipantReconnected)
            self._publish_of(running, "participant-reconnected" if back else "participant-disconnected", event)


def _reason(reason: CloseReason) -> dict[str, Any]:
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
