"""Tables. Every row belongs to a project. Times are Unix milliseconds; outward ids are 24 lower-case hex digits.

A change here needs a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ONGOING = "ongoing"
ENDED = "ended"


class Base(DeclarativeBase):
    # Names for every constraint, so that migrations can speak of them on both engines.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: BigInteger, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Project(Base):
    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[int]


class ApiKey(Base):
    """The secret is kept as it is: tokens are verified with it (HS256), so a digest would not do."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    api_key: Mapped[str] = mapped_column(unique=True)
    secret: Mapped[str]
    disabled: Mapped[bool]
    allowed_origins: Mapped[list[Any]]
    created_at: Mapped[int]


class Room(Base):
    __tablename__ = "rooms"
    __table_args__ = (
        UniqueConstraint("project_id", "custom_room_id"),
        Index("ix_rooms_newest", "project_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    room_id: Mapped[str] = mapped_column(unique=True)
    custom_room_id: Mapped[str | None]
    api_key: Mapped[str]
    disabled: Mapped[bool]
    webhook: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    auto_close_config: Mapped[dict[str, Any]]
    auto_start_config: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    multi_composition: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    allowed_participant_ids: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Session(Base):
    """One occupancy of a room."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_newest", "project_id", "start", "id"),
        Index("ix_sessions_room", "room_id", "start"),
        Index("ix_sessions_status", "status"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    room_id: Mapped[str]
    custom_room_id: Mapped[str | None]
    api_key: Mapped[str]
    status: Mapped[str]
    start: Mapped[int]
    end: Mapped[int | None]
    end_reason: Mapped[str | None]


class SessionParticipant(Base):
    __tablename__ = "session_participants"
    __table_args__ = (UniqueConstraint("session_id", "participant_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    participant_id: Mapped[str]
    name: Mapped[str]
    mode: Mapped[str]
    meta_data: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    timelog: Mapped[list[Any]]
    """[{start, end|null}], oldest first."""
    events: Mapped[dict[str, Any]]
    """{mic, webcam, screenShare, screenShareAudio}: [{start, end|null}] each."""
    device_info: Mapped[dict[str, Any]]
    hidden: Mapped[bool]
    """Announced to nobody in the room."""
    is_active: Mapped[bool]
    init_time: Mapped[int]


class IdempotencyKey(Base):
    """The answer that was given to a POST with an Idempotency-Key; no status while it is being made."""

    __tablename__ = "idempotency_keys"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    """What the key was sent to: `POST /v2/rooms`."""
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    """SHA-256 of the body."""
    status: Mapped[int | None]
    answer: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    created_at: Mapped[int] = mapped_column(index=True)


class Setting(Base):
    __tablename__ = "settings"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    updated_at: Mapped[int]
