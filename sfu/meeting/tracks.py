"""The tracks of a room: announced, bound, started, muted, gone. Part of Room, which checks who is present."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from media.codecs import Kind
from media.ids import RandomBytes, inner_id
from sfu.config import SfuConfig
from sfu.meeting import checks
from sfu.meeting.events import RoomEvent, TrackDiscarded, TrackMuted, TrackPublished, TrackUnpublished
from sfu.meeting.participant import Mode, Participant, Track
from sfu.meeting.permissions import Source
from sfu.meeting.refusals import Refusal
from sfu.meeting.speaker import SpeakerTable
from sfu.meeting.subscription import SubscriptionTable


class TrackTable:
    """Tracks live in `Participant.tracks`; here is the index over the room and the rules."""

    def __init__(
        self,
        config: SfuConfig,
        room_id: str,
        session_id: str,
        events: deque[RoomEvent],
        subscriptions: SubscriptionTable,
        speakers: SpeakerTable,
        random_bytes: RandomBytes,
    ) -> None:
        self._config = config
        self._room_id = room_id
        self._session_id = session_id
        self._events = events
        self._subscriptions = subscriptions
        self._speakers = speakers
        self._random_bytes = random_bytes
        self._owners: dict[str, str] = {}  # track_id -> participant_id

    def __len__(self) -> int:
        return len(self._owners)

    def get(self, participant: Participant, track_id: str) -> Track:
        """One of the participant's own."""
        track = participant.tracks.get(track_id)
        if track is None:
            raise Refusal.UNKNOWN_TRACK("no such track of yours")
        return track

    def find_published(self, track_id: str, participants: dict[str, Participant]) -> tuple[Participant, Track]:
        """Anybody's, as the others see them."""
        owner = participants.get(self._owners.get(track_id, ""))
        track = owner.tracks[track_id] if owner is not None else None
        if owner is None or track is None or not track.published:
            raise Refusal.UNKNOWN_TRACK("no such track")
        return owner, track

    def announce(
        self,
        participant: Participant,
        *,
        source: Source,
        kind: Kind,
        name: str,
        muted: bool,
        width: int | None,
        height: int | None,
        simulcast: bool,
    ) -> Track:
        if kind is not source.kind:
            raise Refusal.INVALID_MESSAGE(f"kind: {source.value} is {source.kind.value}")
        if source not in participant.grants.publish or participant.hidden or participant.mode is not Mode.SEND_AND_RECV:
            raise Refusal.PUBLISH_NOT_ALLOWED(f"you may not publish {source.value}")
        if len(participant.tracks) >= self._config.max_tracks:
            raise Refusal.TOO_MUCH(f"a participant publishes at most {self._config.max_tracks} tracks")
        checks.check_name("name", name, self._config)
        track = Track(
            track_id=inner_id("TR_", self._random_bytes),
            participant_id=participant.participant_id,
            source=source,
            kind=kind,
            name=name,
            muted=muted,
            width=width,
            height=height,
            simulcast=simulcast,
        )
        participant.tracks[track.track_id] = track
        self._owners[track.track_id] = participant.participant_id
        return track

    def bind(
        self,
        participant: Participant,
        track_id: str,
        codec: str | None,
        simulcast: bool | None,
        others: list[Participant],
    ) -> Track:
        before = self.get(participant, track_id)
        track = replace(
            before,
            bound=True,
            codec=codec if codec is not None else before.codec,
            simulcast=simulcast if simulcast is not None else before.simulcast,
        )
        return self._replace(participant, before, track, others)

    def start(self, participant: Participant, track_id: str, others: list[Participant]) -> Track:
        before = self.get(participant, track_id)
        return self._replace(participant, before, replace(before, started=True), others)

    def mute(self, participant: Participant, track_id: str, muted: bool) -> None:
        track = self.get(participant, track_id)
        if track.muted == muted:
            return
        participant.tracks[track_id] = track = replace(track, muted=muted)
        self._events.append(TrackMuted(*self._subject(participant), track))
        if muted:
            self._hush(participant, track)

    def remove(self, participant: Participant, track_id: str, *, subscribed: bool = True) -> None:
        """`subscribed` False when the table of subscriptions is empty already, as a room ends."""
        track = participant.tracks[track_id]
        if track.published and subscribed:
            self._subscriptions.remove_track(track_id)
        del participant.tracks[track_id], self._owners[track_id]
        gone = TrackUnpublished if track.published else TrackDiscarded
        self._events.append(gone(*self._subject(participant), track))
        if subscribed:
            self._hush(participant, track)

    def _hush(self, participant: Participant, track: Track) -> None:
        """The track is heard no more. Who changes microphones has the next one open before the last one ends."""
        open_tracks = (other for other in participant.tracks.values() if other.published and not other.muted)
        if track.source is Source.MIC and not any(other.source is Source.MIC for other in open_tracks):
            self._speakers.silence(participant.participant_id)

    def _replace(self, participant: Participant, before: Track, track: Track, others: list[Participant]) -> Track:
        participant.tracks[track.track_id] = track
        if track.published and not before.published:
            self._events.append(TrackPublished(*self._subject(participant), track))
            self._subscriptions.add_track(participant, track, others)
        return track

    def _subject(self, participant: Participant) -> tuple[str, str, str, str, bool]:
        return (self._room_id, self._session_id, participant.participant_id, participant.inner_id, participant.hidden)
