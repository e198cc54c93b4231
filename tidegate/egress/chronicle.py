"""What a room's events are in a recording's timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from sfu.meeting.events import (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    PinChanged,
    RoomEvent,
    SpeakerChanged,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from sfu.meeting.participant import Track
from sfu.meeting.room import Room
from tidegate.egress.timeline import Timeline


class Chronicle:
    """Notes each event as it happens; `flush` writes what was noted, in a thread."""

    def __init__(self, directory: Path, wall: Callable[[], float]) -> None:
        self._timeline = Timeline(directory)
        self._wall = wall
        self._one_at_a_time = asyncio.Lock()

    def open(self, room: Room, layout: dict) -> None:
        """How things stand at the start."""
        now = self._wall()
        for person in room.participants.values():
            if person.hidden:
                continue
            self._timeline.add("participant-joined", now, participantId=person.participant_id, name=person.display_name)
            for track in person.tracks.values():
                if track.published:
                    self._track("track-published", person.participant_id, track, now)
        if room.speakers.active is not None:
            self._timeline.add("speaker-changed", now, participantId=room.speakers.active)
        self.layout(layout)

    def begin(self, at: float) -> None:
        self._timeline.begin(at)

    def layout(self, layout: dict) -> None:
        self._timeline.add("layout-changed", self._wall(), layout=layout)

    def handle(self, event: RoomEvent) -> None:
        if getattr(event, "hidden", False):
            return
        add, now = self._timeline.add, self._wall()
        match event:
            case ParticipantJoined():
                add("participant-joined", now, participantId=event.participant_id, name=event.info.display_name)
            case ParticipantUpdated():
                add("participant-updated", now, participantId=event.participant_id, name=event.info.display_name)
            case ParticipantLeft():
                add("participant-left", now, participantId=event.participant_id)
            case TrackPublished():
                self._track("track-published", event.participant_id, event.track, now)
            case TrackUnpublished():
                self._track("track-unpublished", event.participant_id, event.track, now)
            case TrackMuted() if event.track.published:
                self._track("track-muted", event.participant_id, event.track, now)
            case SpeakerChanged():
                add("speaker-changed", now, participantId=event.participant_id)
            case PinChanged():
                add("pin-changed", now, participantId=event.participant_id, cam=event.cam, share=event.share)

    async def flush(self) -> None:
        async with self._one_at_a_time:
            await asyncio.to_thread(self._timeline.append, self._timeline.take())

    def _track(self, kind: str, participant_id: str, track: Track, now: float) -> None:
        self._timeline.add(kind, now, participantId=participant_id, source=track.source.value, muted=track.muted)
