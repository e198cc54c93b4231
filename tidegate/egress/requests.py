"""What callers ask of the egress: plain values that `tidegate/http` (or signalling, or autoStartConfig) has checked.

`config` of a request is its JSON for the row and for answers: without pictures and secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RecordingKind = Literal["room", "participant", "track", "composite"]
TrackKind = Literal["audio", "video", "screen_audio", "screen_video"]
MergeTask = Literal["composite-merge", "meeting-recording-merge", "stereo-merge"]


@dataclass(frozen=True, slots=True)
class Look:
    """What can change while a composition runs: the fields of `sfu.compose.messages.Scene`, and the pictures it names."""

    layout: dict[str, Any] = field(default_factory=lambda: {"type": "GRID"})
    theme: Literal["DARK", "LIGHT"] = "DARK"
    background_color: str | None = None
    background_image: str | None = None
    watermark_text: str | None = None
    watermark_image: str | None = None
    watermark_position: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = "bottom-right"
    show_names: bool = True
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Files (PNG, JPEG, WebP by their first bytes, not decoded yet) that the pipeline's directory must hold, by the names
    that the layout and the fields above have for them. Another picture has another name: it is made from its content."""


@dataclass(frozen=True, slots=True)
class Composition:
    """A picture and its size. `fps` None: the server's."""

    width: int = 1280
    height: int = 720
    fps: int | None = None
    mode: Literal["video-and-audio", "audio"] = "video-and-audio"
    look: Look = field(default_factory=Look)
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompositionPatch:
    """`changes`: fields of `Look` with their new values (`images`: further ones). `config`: laid over the row's config, key by key."""

    changes: Mapping[str, Any]
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A participant of a composite recording, and what of them: kinds as in TrackKind; empty: everything."""

    participant_id: str
    kinds: tuple[TrackKind, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """`room_id` is the room's roomId. `composition` is for kinds room and composite, `participant_id` for participant and
    track, `track_kind` for track, `participants` for composite (empty: everybody, at most 3 as in the reference)."""

    project_id: str
    room_id: str
    kind: RecordingKind
    file_format: Literal["mp4", "webm", "mp3"]
    custom_room_id: str | None = None
    composition: Composition | None = None
    participant_id: str | None = None
    track_kind: TrackKind | None = None
    participants: tuple[Chosen, ...] = ()
    several: bool = False
    """multiComposition of the room: others of the same kind may run beside it."""
    webhook_url: str | None = None
    directory: str = ""
    upload_url: str | None = field(default=None, repr=False)
    meta_data: Any = None


@dataclass(frozen=True, slots=True)
class BroadcastTarget:
    """`url` without the key; neither appears in logs, answers or events."""

    url: str = field(repr=False)
    stream_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BroadcastRequest:
    """RTMP out. `record`: a recording of the same picture alongside."""

    project_id: str
    room_id: str
    targets: tuple[BroadcastTarget, ...]
    composition: Composition
    custom_room_id: str | None = None
    record: bool = False
    several: bool = False
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class MergePart:
    """A finished file: of a recording, by its name. `channel` 0 left, 1 right in a stereo merge."""

    recording_id: str
    name: str
    channel: int = 0


@dataclass(frozen=True, slots=True)
class MergeRequest:
    project_id: str
    task: MergeTask
    parts: tuple[MergePart, ...]
    file_format: Literal["mp4", "webm", "mp3"]
    room_id: str | None = None
    custom_room_id: str | None = None
    session_id: str | None = None
    webhook_url: str | None = None
    directory: str = ""
    upload_url: str | None = field(default=None, repr=False)
