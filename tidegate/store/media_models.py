"""Tables of what leaves a meeting: recordings, broadcasts (RTMP out), transcodings. The rules of `models.py` hold.

Neither stream keys nor targets' whole addresses are kept: a broadcast does not outlive the node that runs it.
"""

from __future__ import annotations

from typing import Any, TypedDict

from sqlalchemy import JSON, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from tidegate.store.models import Base

# Recordings. One that has ended is "stopped" or "failed"; both may have files.
STARTING = "starting"
RECORDING = "recording"
STOPPING = "stopping"
PROCESSING = "processing"
"""Finalising and uploading: goes on after a restart of the node."""
STOPPED = "stopped"
FAILED = "failed"

# Broadcasts: starting, live, stopping, stopped, failed.
LIVE = "live"

# Transcodings; the words of the reference. "processing" is one of them too.
PENDING = "pending"
COMPLETED = "completed"
CANCELLED = "cancelled"

RUNNING_STATES = (STARTING, RECORDING, LIVE, STOPPING)
ENDED_STATES = (STOPPED, FAILED, COMPLETED, CANCELLED)

# Kinds of recordings
ROOM = "room"
PARTICIPANT = "participant"
TRACK = "track"
COMPOSITE = "composite"


class StoredFile(TypedDict, total=False):
    """An entry of `files`."""

    name: str
    """Unique among the files of its row: what a download link names."""
    path: str | None
    """Where it is in the storage; None until it is whole and stored, and for ever when it went to the caller's own address."""
    size: int
    duration: float
    width: int | None
    height: int | None
    kind: str
    """audio, video or audio-video."""
    start: int
    """Unix milliseconds of its first frame."""
    trackId: str | None
    uploaded: bool
    """It went to the caller's own address: nothing of it is here."""


class Output(TypedDict, total=False):
    """An entry of a broadcast's `outputs`: what may be shown of a target."""

    id: str
    url: str
    """Without its query and without the stream key."""
    state: str
    error: str | None
    bitrate: int
    """Bits a second, lately."""
    retries: int


class Recording(Base):
    __tablename__ = "recordings"
    __table_args__ = (
        Index("ix_recordings_newest", "project_id", "created_at", "id"),
        Index("ix_recordings_room", "room_id", "state"),
        Index("ix_recordings_state", "state"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str]
    room_id: Mapped[str]
    custom_room_id: Mapped[str | None]
    session_id: Mapped[str | None]
    participant_id: Mapped[str | None]
    participant_name: Mapped[str | None]
    track_kind: Mapped[str | None]
    """audio, video, screen_audio or screen_video."""
    state: Mapped[str]
    config: Mapped[dict[str, Any]]
    """As it was asked for, without pictures."""
    file_format: Mapped[str]
    meta_data: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    webhook_url: Mapped[str | None]
    directory: Mapped[str]
    """The folder in the storage that the caller wishes; empty: ours."""
    upload_url: Mapped[str | None]
    """A pre-signed address to upload to: a secret, shown nowhere, and forgotten once it was used."""
    start: Mapped[int | None]
    """Unix milliseconds of media time zero."""
    end: Mapped[int | None]
    files: Mapped[list[Any]]
    """[StoredFile]"""
    timeline: Mapped[str | None]
    """Where timeline.json is in the storage."""
    gaps: Mapped[list[Any]]
    """[{start, end}] in Unix milliseconds: nothing was recorded there."""
    error: Mapped[str | None]
    deleted_at: Mapped[int | None]
    is_cleared: Mapped[bool]
    """Its files were deleted, by somebody or by retention."""
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Broadcast(Base):
    __tablename__ = "broadcasts"
    __table_args__ = (
        Index("ix_broadcasts_newest", "project_id", "created_at", "id"),
        Index("ix_broadcasts_room", "room_id", "state"),
        Index("ix_broadcasts_state", "state"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    room_id: Mapped[str]
    custom_room_id: Mapped[str | None]
    session_id: Mapped[str | None]
    state: Mapped[str]
    config: Mapped[dict[str, Any]]
    outputs: Mapped[list[Any]]
    """[Output]"""
    recording_id: Mapped[str | None]
    """The recording that is made alongside."""
    webhook_url: Mapped[str | None]
    start: Mapped[int | None]
    end: Mapped[int | None]
    error: Mapped[str | None]
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Transcoding(Base):
    """Finished files made into another one."""

    __tablename__ = "transcodings"
    __table_args__ = (
        Index("ix_transcodings_newest", "project_id", "created_at", "id"),
        Index("ix_transcodings_state", "state"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    task: Mapped[str]
    """composite-merge (side by side), meeting-recording-merge (one after the other), stereo-merge (left and right)."""
    room_id: Mapped[str | None]
    """Of the first input: a token for one room sees what came from it."""
    custom_room_id: Mapped[str | None]
    session_id: Mapped[str | None]
    inputs: Mapped[list[Any]]
    """[{recordingId, name, channel}] in order."""
    state: Mapped[str]
    file_format: Mapped[str]
    webhook_url: Mapped[str | None]
    directory: Mapped[str]
    upload_url: Mapped[str | None]
    start: Mapped[int | None]
    end: Mapped[int | None]
    files: Mapped[list[Any]]
    """[StoredFile]"""
    error: Mapped[str | None]
    deleted_at: Mapped[int | None]
    is_cleared: Mapped[bool]
    created_at: Mapped[int]
    updated_at: Mapped[int]
