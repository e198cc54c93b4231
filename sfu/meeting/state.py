"""What is made of a room and everybody may know: recording, livestream, hls. Late joiners are told by the join result."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

from media.errors import UsageError
from sfu.meeting.events import RoomEvent, RoomStateChanged

ROOM_STATES = ("recording", "livestream", "hls")


class StateTable:
    """Values are the application's, JSON objects, and are not looked into."""

    def __init__(self, room_id: str, session_id: str, events: deque[RoomEvent]) -> None:
        self.values: dict[str, dict[str, Any]] = {}
        self._room_id = room_id
        self._session_id = session_id
        self._events = events

    def set(self, name: str, value: dict[str, Any] | None) -> None:
        """None forgets it."""
        if name not in ROOM_STATES:
            raise UsageError(f"a room has no state {name!r}")
        if value == self.values.get(name):
            return
        kept = copy.deepcopy(value)
        if kept is None:
            del self.values[name]
        else:
            self.values[name] = kept
        self._events.append(RoomStateChanged(self._room_id, self._session_id, name, kept))
