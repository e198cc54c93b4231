"""What answers about recordings, broadcasts and transcodings look like, for `/openapi.json`, as `answers` does for the rest."""

from __future__ import annotations

from typing import Any, Literal

from tidegate.http.answers import Answer, Time

RecordingState = Literal["starting", "recording", "stopping", "processing", "stopped", "failed"]
BroadcastState = Literal["starting", "live", "stopping", "stopped", "failed"]
TranscodingState = Literal["pending", "processing", "completed", "failed", "cancelled"]


class Resolution(Answer):
    width: int
    height: int


class FileMeta(Answer):
    resolution: Resolution | None
    format: str
    duration: float
    """Seconds."""


class File(Answer):
    id: str
    name: str
    meta: FileMeta
    file_path: str | None
    file_url: str | None
    """Null until the file is whole, and once it is deleted or went to the caller's own address."""
    size: int
    type: Literal["video", "audio"]
    user_storage: bool
    """It went to the caller's own address."""
    start: Time | None
    created_at: Time


class DeliveryState(Answer):
    type: str
    success: bool


class Deliveries(Answer):
    total_count: int
    success_count: int
    data: list[DeliveryState]


class Gap(Answer):
    start: Time
    end: Time


class MediaRow(Answer):
    """What recordings, broadcasts and transcodings have in common."""

    id: str
    user_id: str
    room_id: str | None
    custom_room_id: str | None
    session_id: str | None
    start: Time | None
    end: Time | None
    error: str | None
    webhook: Deliveries
    links: dict[str, str]
    created_at: Time
    updated_at: Time


class AnyRecording(MediaRow):
    status: RecordingState
    file_format: str
    files: list[File]
    files_deleted: bool
    gaps: list[Gap]


class Recording(AnyRecording):
    """Of a room, or a composite of some. `file` is the first of `files`."""

    file_id: str | None
    file: File | None
    timeline_url: str | None
    config: dict[str, Any]


class ParticipantRecording(AnyRecording):
    participant_id: str
    participant_name: str | None
    kind: Literal["audio", "video", "screen_audio", "screen_video"] | None
    """Of a track; null for a whole participant."""
    metadata: Any


class Changed(Answer):
    message: str
    id: str
    session_id: str | None
    status: str


class RecordingChanged(Changed):
    """What the reference says in words, and what is needed to go on."""

    recording_id: str
    room_id: str


class Deleted(Answer):
    message: str
    id: str


class BroadcastOutput(Answer):
    id: str
    url: str
    """Without its query."""
    status: str
    error: str | None
    bitrate: int | None
    retries: int


class Broadcast(MediaRow):
    status: BroadcastState
    outputs: list[BroadcastOutput]
    config: dict[str, Any]
    recording_id: str | None


class BroadcastChanged(Changed):
    room_id: str
    outputs: list[BroadcastOutput]
    recording_id: str | None


class TranscodingInput(Answer):
    recording_id: str
    name: str
    channel: int


class Transcoding(MediaRow):
    task: Literal["composite-merge", "meeting-recording-merge", "stereo-merge"]
    status: TranscodingState
    file_format: str
    inputs: list[TranscodingInput]
    files: list[File]
    files_deleted: bool
    file_url: str | None


class TranscodingChanged(Answer):
    message: str
    id: str
    status: TranscodingState
    transcoding: Transcoding


class StereoMerge(Answer):
    message: str
    id: str
    recording: Transcoding
