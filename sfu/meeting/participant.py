"""Participants and tracks as values, and the table of a participant's states. The rules that move them are in room.py.

A participant lives apart from any socket or peer connection: signalling attaches and detaches, media comes and goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

from media.codecs import Kind
from sfu.meeting.permissions import Grants, Source


class Mode(Enum):
    """What a participant takes part in; values as on the wire."""

    SEND_AND_RECV = "SEND_AND_RECV"
    RECV_ONLY = "RECV_ONLY"
    SIGNALLING_ONLY = "SIGNALLING_ONLY"


class Quality(IntEnum):
    """A layer of a track by name; ordered."""

    LOW = 0
    MED = 1
    HIGH = 2


class CloseReason(Enum):
    """Why somebody, or a whole room, is out. Values are the leave reasons of docs/signalling.md."""

    WEBSOCKET_DISCONNECTED = 1001
    REMOVE_PEER = 1002
    ROOM_CLOSE = 1006
    UNKNOWN = 1007
    REMOVE_ALL = 1008
    MEETING_END_API = 1009
    REMOVE_PEER_API = 1010
    DUPLICATE_PARTICIPANT = 1011
    SERVER_SHUTDOWN = 1012
    MEDIA_TIMEOUT = 1013
    MANUAL_LEAVE_CALLED = 1101

    @property
    def code(self) -> int:
        return self.value


class ParticipantState(Enum):
    JOINING = "joining"  # asked, not admitted
    JOINED = "joined"  # in the room, no media connection up
    ACTIVE = "active"  # media connected
    DISCONNECTED = "disconnected"  # signalling dropped; kept for the resume window
    LEFT = "left"


class Change(Enum):
    """What can happen to a participant's state."""

    ADMITTED = "admitted"
    MEDIA_CONNECTED = "media connected"
    MEDIA_LOST = "media lost"
    SIGNALLING_LOST = "signalling lost"
    SIGNALLING_BACK = "signalling back"
    LEFT = "left"


# Media that comes or goes while signalling is away changes nothing to see; `media_connected` remembers it.
TRANSITIONS: dict[ParticipantState, dict[Change, ParticipantState]] = {
    ParticipantState.JOINING: {
        Change.ADMITTED: ParticipantState.JOINED,
        Change.LEFT: ParticipantState.LEFT,
    },
    ParticipantState.JOINED: {
        Change.MEDIA_CONNECTED: ParticipantState.ACTIVE,
        Change.MEDIA_LOST: ParticipantState.JOINED,
        Change.SIGNALLING_LOST: ParticipantState.DISCONNECTED,
        Change.SIGNALLING_BACK: ParticipantState.JOINED,
        Change.LEFT: ParticipantState.LEFT,
    },
    ParticipantState.ACTIVE: {
        Change.MEDIA_CONNECTED: ParticipantState.ACTIVE,
        Change.MEDIA_LOST: ParticipantState.JOINED,
        Change.SIGNALLING_LOST: ParticipantState.DISCONNECTED,
        Change.SIGNALLING_BACK: ParticipantState.ACTIVE,
        Change.LEFT: ParticipantState.LEFT,
    },
    ParticipantState.DISCONNECTED: {
        Change.MEDIA_CONNECTED: ParticipantState.DISCONNECTED,
        Change.MEDIA_LOST: ParticipantState.DISCONNECTED,
        Change.SIGNALLING_LOST: ParticipantState.DISCONNECTED,
        Change.SIGNALLING_BACK: ParticipantState.JOINED,
        Change.LEFT: ParticipantState.LEFT,
    },
    ParticipantState.LEFT: {},
}


@dataclass(frozen=True, slots=True)
class Track:
    """One published thing. A value: the room replaces it when something changes, so look it up, do not keep it.

    `bound` says that media was negotiated for it, `started` that a packet has come; with both it is published, which
    is when the others hear of it. Either may come first.
    """

    track_id: str
    participant_id: str  # its owner's
    source: Source
    kind: Kind
    name: str = ""
    muted: bool = False
    width: int | None = None
    height: int | None = None
    simulcast: bool = False
    codec: str | None = None
    bound: bool = False
    started: bool = False

    @property
    def published(self) -> bool:
        return self.bound and self.started


@dataclass(slots=True, eq=False)
class Subscription:
    """Desired: `enabled`, and `quality` by name or by the size it is shown at, `priority`. Actual: `flowing`, `flowing_quality`."""

    publisher_id: str
    track_id: str
    enabled: bool = True
    quality: Quality | None = None
    width: int | None = None
    height: int | None = None
    priority: int = 0  # higher first when bandwidth is short
    flowing: bool = False
    flowing_quality: Quality | None = None

    def wished(self, track: Track) -> Quality:
        """The layer that satisfies the wish: layers halve the published size, so a quarter of it needs the lowest."""
        if self.quality is not None:
            return self.quality
        scales = [
            shown / published
            for shown, published in ((self.width, track.width), (self.height, track.height))
            if shown is not None and published
        ]
        if not scales or max(scales) > 0.5:
            return Quality.HIGH
        return Quality.MED if max(scales) > 0.25 else Quality.LOW


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Everything a room must know of somebody who wants in. `participant_id` None: the room makes one."""

    room_id: str
    participant_id: str | None = None
    display_name: str = ""
    grants: Grants = field(default_factory=Grants)
    meta_data: Any = None
    attributes: dict[str, str] = field(default_factory=dict)
    mode: Mode = Mode.SEND_AND_RECV
    auto_subscribe: bool = True
    max_participants: int | None = None  # of the room, if lower than the node's
    session_id: str | None = None  # the id of the session that begins if the room is not live yet
    project_id: str | None = None  # the owner of the room, for listeners of events


@dataclass(frozen=True, slots=True)
class ParticipantInfo:
    """What the others may know of a participant, as of one moment. `tracks` are the published ones."""

    participant_id: str
    display_name: str
    mode: Mode
    joined_at: float  # wall seconds
    meta_data: Any
    attributes: dict[str, str]
    version: int
    tracks: tuple[Track, ...]


@dataclass(slots=True, eq=False)
class Participant:
    """One stay in a room. Written by Room only; `inner_id` tells two stays under one participant_id apart."""

    room_id: str
    participant_id: str
    inner_id: str
    display_name: str
    mode: Mode
    grants: Grants
    joined_at: float  # wall seconds
    auto_subscribe: bool
    resume_token: str = field(repr=False)
    meta_data: Any = None
    attributes: dict[str, str] = field(default_factory=dict)
    version: int = 1
    state: ParticipantState = ParticipantState.JOINING
    media_connected: bool = False
    tracks: dict[str, Track] = field(default_factory=dict)  # by track_id, announced ones too
    subscriptions: dict[str, Subscription] = field(default_factory=dict)  # by track_id

    @property
    def hidden(self) -> bool:
        return self.grants.hidden

    @property
    def receives(self) -> bool:
        return self.grants.subscribe and self.mode is not Mode.SIGNALLING_ONLY

    def apply(self, change: Change) -> None:
        """KeyError if the table does not know the change: a bug of ours."""
        self.state = TRANSITIONS[self.state][change]

    def info(self, *, all_tracks: bool = False) -> ParticipantInfo:
        """A snapshot; `all_tracks` for its owner's eyes: those too that nobody has been told of."""
        return ParticipantInfo(
            self.participant_id,
            self.display_name,
            self.mode,
            self.joined_at,
            self.meta_data,
            dict(self.attributes),
            self.version,
            tuple(track for track in self.tracks.values() if all_tracks or track.published),
        )
