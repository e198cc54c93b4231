"""What happens in a room, as frozen facts. One stream serves signalling, webhooks, metrics, the store and Conference.

Values in them are snapshots: they say what was true when it happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sfu.meeting.participant import CloseReason, ParticipantInfo, Quality, Track
from sfu.meeting.permissions import Grants, Source


@dataclass(frozen=True, slots=True)
class RoomEvent:
    room_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class RoomStarted(RoomEvent):
    at: float  # wall seconds


@dataclass(frozen=True, slots=True)
class RoomEnding(RoomEvent):
    """Everybody is put out at once: what follows, up to RoomEnded, need not be told to those who are put out."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class RoomEnded(RoomEvent):
    """The last event of a room: nothing is left in it."""

    reason: CloseReason
    at: float  # wall seconds


@dataclass(frozen=True, slots=True)
class ParticipantEvent(RoomEvent):
    """`inner_id` tells two stays under one participant_id apart. `hidden`: nobody in the room may hear of it."""

    participant_id: str
    inner_id: str
    hidden: bool


@dataclass(frozen=True, slots=True)
class ParticipantJoined(ParticipantEvent):
    info: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantActive(ParticipantEvent):
    """Its media connection is up."""


@dataclass(frozen=True, slots=True)
class ParticipantLeft(ParticipantEvent):
    """Its own subscriptions are gone with it: no SubscriptionUnwanted is told for them."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class ParticipantUpdated(ParticipantEvent):
    info: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantDisconnected(ParticipantEvent):
    """Its signalling dropped; everything else stays for the resume window."""


@dataclass(frozen=True, slots=True)
class ParticipantReconnected(ParticipantEvent):
    pass


@dataclass(frozen=True, slots=True)
class TrackPublished(ParticipantEvent):
    track: Track


@dataclass(frozen=True, slots=True)
class TrackUnpublished(ParticipantEvent):
    """A published track is gone. SubscriptionUnwanted of each of its subscribers came before."""

    track: Track


@dataclass(frozen=True, slots=True)
class TrackDiscarded(ParticipantEvent):
    """A track is gone that nobody had been told of."""

    track: Track


@dataclass(frozen=True, slots=True)
class TrackMuted(ParticipantEvent):
    """`track.muted` is the new state. The track may not be published yet: then the others know nothing of it."""

    track: Track


@dataclass(frozen=True, slots=True)
class Moderated(ParticipantEvent):
    """For the owner: a source was muted (`enabled` False), or it is asked to turn it on. `by` None: nobody to be named."""

    source: Source
    enabled: bool
    by: str | None


@dataclass(frozen=True, slots=True)
class GrantsChanged(ParticipantEvent):
    grants: Grants


@dataclass(frozen=True, slots=True)
class SubscriptionEvent(RoomEvent):
    subscriber_id: str
    subscriber_inner_id: str
    publisher_id: str
    track_id: str


@dataclass(frozen=True, slots=True)
class SubscriptionWanted(SubscriptionEvent):
    """A consumer is to be made. `paused` from the start if so."""

    track: Track
    paused: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionUnwanted(SubscriptionEvent):
    """The consumer is to be removed."""


@dataclass(frozen=True, slots=True)
class SubscriptionPaused(SubscriptionEvent):
    """The subscriber's wish to stop or resume, without renegotiation."""

    paused: bool


@dataclass(frozen=True, slots=True)
class SubscriptionTuned(SubscriptionEvent):
    """The subscriber's wish for size or quality, or its priority, changed."""

    quality: Quality
    priority: int


@dataclass(frozen=True, slots=True)
class SubscriptionFlowing(SubscriptionEvent):
    """What the subscriber gets changed: nothing (`flowing` False), or this quality."""

    flowing: bool
    quality: Quality | None


@dataclass(frozen=True, slots=True)
class TrackDemand(ParticipantEvent):
    """The highest quality that anybody wants of a track changed; None: nobody wants it now."""

    track_id: str
    quality: Quality | None


@dataclass(frozen=True, slots=True)
class SpeakerChanged(RoomEvent):
    """Who speaks now, by participant_id; None: nobody. `order`: all who have spoken and are present, latest first."""

    participant_id: str | None
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PinChanged(RoomEvent):
    """What of a participant is pinned for everybody, as it is now. `by` None: nobody to be named.

    Not told when the participant leaves: its pins are gone with it.
    """

    participant_id: str
    cam: bool
    share: bool
    by: str | None


@dataclass(frozen=True, slots=True)
class RoomStateChanged(RoomEvent):
    """What is made of the room: `name` is recording, livestream or hls. `value` None: it is forgotten."""

    name: str
    value: dict[str, Any] | None
