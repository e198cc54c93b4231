"""Ends sessions that have lasted as long as their room's `autoCloseConfig` allows, and deactivates the room if it says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from sfu.meeting.participant import CloseReason
from tidegate.events.log import EventLog, NewEvent
from tidegate.store import Room, Store

log = logging.getLogger("tidegate.events")

MINUTE = 60.0


class RoomEnder(Protocol):
    """The one command of the meeting plane that is needed here."""

    def end_room(self, room_id: str, reason: CloseReason) -> bool: ...


class AutoClose:
    """`started` and `ended` are told by the recorder; `run` is a task of the application. `now` is monotonic seconds."""

    def __init__(self, store: Store, meetings: RoomEnder, events: EventLog, now: Callable[[], float]) -> None:
        self._store = store
        self._meetings = meetings
        self._events = events
        self._now = now
        self._deadlines: dict[str, tuple[float, Room]] = {}
        self._wake = asyncio.Event()

    def started(self, room: Room, session_id: str) -> None:
        self._deadlines[session_id] = (self._now() + room.auto_close_config["duration"] * MINUTE, room)
        self._wake.set()

    def ended(self, session_id: str) -> None:
        self._deadlines.pop(session_id, None)

    def get_timer(self) -> float | None:
        """When the next session is to end."""
        return min((deadline for deadline, _ in self._deadlines.values()), default=None)

    async def close_due(self) -> None:
        """End what has lasted long enough."""
        due = [key for key, (deadline, _) in self._deadlines.items() if deadline <= self._now()]
        for session_id in due:
            _, room = self._deadlines.pop(session_id)
            if room.auto_close_config["type"] == "session-end-and-deactivate":
                await self._deactivate(room)
            self._meetings.end_room(room.room_id, CloseReason.ROOM_CLOSE)

    async def _deactivate(self, room: Room) -> None:
        data = {"meetingId": room.room_id, "customRoomId": room.custom_room_id}
        try:
            await self._events.write(
                NewEvent("room-disabled", room.project_id, room.room_id, None, data),
                change=lambda tx: self._store.rooms.set_disabled(room.project_id, room.room_id, True, tx=tx),
            )
        except Exception:
            log.exception("cannot deactivate a room", extra={"room": room.room_id})  # its session ends all the same

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.close_due()
            self._wake.clear()
            timer = self.get_timer()
            try:
                async with asyncio.timeout(None if timer is None else max(0.0, timer - self._now())):
                    await self._wake.wait()
            except TimeoutError:
                pass
