"""Rooms for tests: seeded randomness, a clock that stands still, events read as a list."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from media.clock import WallClock
from sfu.config import SfuConfig
from sfu.meeting.events import RoomEvent
from sfu.meeting.participant import JoinRequest, Participant, Track
from sfu.meeting.permissions import Grants, Source
from sfu.meeting.room import Room

WALL = WallClock(wall=1_700_000_000.0, now=0.0)


def seeded_bytes(seed: int = 1) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def make_room(config: SfuConfig | None = None, *, seed: int = 1) -> Room:
    return Room(config or SfuConfig(), "room-1", "session-1", random_bytes=seeded_bytes(seed), wall_clock=WALL, now=0.0)


def enter(room: Room, participant_id: str | None, *, grants: Grants | None = None, now: float = 0.0, **more: Any) -> Participant:
    request = JoinRequest(room.room_id, participant_id, grants=grants or Grants.full(), **more)
    return room.join(request, now=now)


def publish(room: Room, participant: Participant, source: Source = Source.MIC, **more: Any) -> Track:
    track = room.announce(participant, source=source, now=0.0, **more)
    room.bind(participant, track.track_id, codec="opus", now=0.0)
    return room.start_track(participant, track.track_id, now=0.0)


def events(room: Room) -> list[RoomEvent]:
    found = []
    while (event := room.next_event()) is not None:
        found.append(event)
    return found


def names(found: list[RoomEvent]) -> list[str]:
    return [type(event).__name__ for event in found]
