"""Tables of events and of what is sent of them: the log, webhook endpoints, deliveries and their attempts.

Times are Unix milliseconds. A change here needs a migration in `migrations/versions`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from tidegate.store.models import Base

GROWING = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up in columns of this very type only

WAITING = "waiting"
DELIVERED = "delivered"
DEAD = "dead"


class Event(Base):
    """Something that happened. Ids grow in the order of commits (store/events.py), so that a reader can go on after one."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_replay", "project_id", "id"),
        Index("ix_events_room", "project_id", "room_id", "id"),
        Index("ix_events_session_type", "session_id", "type"),
        Index("ix_events_created_at", "created_at"),
        {"sqlite_autoincrement": True},  # an id is never given twice, even when the newest rows are deleted
    )

    id: Mapped[int] = mapped_column(GROWING, primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    type: Mapped[str]
    room_id: Mapped[str | None]
    session_id: Mapped[str | None]
    subject: Mapped[str | None]
    """The recording, broadcast... that it is about."""
    hidden: Mapped[bool]
    """About a participant of whom nobody in the room may hear."""
    data: Mapped[dict[str, Any]]
    created_at: Mapped[int]


class WebhookEndpoint(Base):
    """Where all events of a project go that fit `events`; rooms and calls name addresses of their own."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    url: Mapped[str]
    events: Mapped[list[Any]]
    secret: Mapped[str]
    """whsec_...: signs, so a digest would not do."""
    created_at: Mapped[int]


class Delivery(Base):
    """One event on its way to one endpoint: the outbox while `waiting`, the log afterwards."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_due", "state", "next_at", "endpoint_key"),
        Index("ix_deliveries_order", "endpoint_key", "order_key", "state", "event_id"),
        Index("ix_deliveries_newest", "project_id", "event_id"),
        Index("ix_deliveries_session", "session_id"),
        Index("ix_deliveries_subject", "subject"),
        Index("ix_deliveries_event", "event_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    """Also the `webhook-id` of every attempt."""
    event_id: Mapped[int] = mapped_column(GROWING, ForeignKey("events.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    type: Mapped[str]
    room_id: Mapped[str | None]
    session_id: Mapped[str | None]
    subject: Mapped[str | None]
    endpoint_id: Mapped[str | None]
    """Of webhook_endpoints; none for addresses of rooms, calls and the configuration."""
    url: Mapped[str]
    endpoint_key: Mapped[str]
    """What is paused as a whole: one for each endpoint, or each address of a project."""
    order_key: Mapped[str | None]
    """Deliveries of one endpoint with the same one go in order."""
    state: Mapped[str]
    attempts: Mapped[int]
    """Since it was written or sent again."""
    created_at: Mapped[int]
    next_at: Mapped[int]
    give_up_at: Mapped[int]
    lease_until: Mapped[int]
    """A node is at it until then; 0 for none."""
    done_at: Mapped[int | None]
    reason: Mapped[str | None]
    """Why it is dead, in words."""


class DeliveryAttempt(Base):
    __tablename__ = "delivery_attempts"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(GROWING, primary_key=True, autoincrement=True)
    delivery_id: Mapped[str] = mapped_column(ForeignKey("deliveries.id", ondelete="CASCADE"), index=True)
    at: Mapped[int]
    duration_ms: Mapped[int]
    status: Mapped[int | None]
    """HTTP status; none when there was no answer."""
    error: Mapped[str | None]
    """Why it did not succeed, in words."""
    answer: Mapped[str | None]
    """The head of what the receiver said."""
    out_of_order: Mapped[bool]
    """It went although an earlier event of the same order still waited."""
