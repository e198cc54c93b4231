"""What is pinned for everybody in a room: cameras and screen shares of participants. They order compositions."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from sfu.meeting.events import PinChanged, RoomEvent


@dataclass(frozen=True, slots=True)
class Pin:
    """Of one participant; at least one of the two is set. `by` None: nobody to be named."""

    cam: bool = False
    share: bool = False
    by: str | None = None


class PinTable:
    """The room says who may and who is present."""

    def __init__(self, room_id: str, session_id: str, events: deque[RoomEvent]) -> None:
        self.pins: dict[str, Pin] = {}  # by participant_id, in the order of pinning
        self._room_id = room_id
        self._session_id = session_id
        self._events = events

    def set(self, participant_id: str, *, cam: bool | None, share: bool | None, by: str | None) -> None:
        """None leaves that one as it is."""
        before = self.pins.get(participant_id, Pin())
        pin = replace(
            before, cam=before.cam if cam is None else cam, share=before.share if share is None else share, by=by
        )
        if (pin.cam, pin.share) == (before.cam, before.share):
            return
        if pin.cam or pin.share:
            self.pins[participant_id] = pin
        else:
            del self.pins[participant_id]
        self._events.append(
            PinChanged(self._room_id, self._session_id, participant_id, pin.cam, pin.share, by)
        )

    def forget(self, participant_id: str) -> None:
        """The participant has left."""
        self.pins.pop(participant_id, None)
