"""Bodies, queries and answers of /v2/events and /v2/webhooks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tidegate.http.answers import Answer, Page, Time
from tidegate.http.fields import Body, Identifier, PageNumber, PageSize, Query, WebAddress, WithIdentifiers

EventPattern = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z*-]+$")]
MAX_ENDPOINTS = 20  # of a project: every event is compared with each


class ReadEvents(WithIdentifiers, Query):
    room_id: Annotated[Identifier | None, Field(description="A roomId or customRoomId.")] = None
    type: Annotated[
        str | None,
        Field(max_length=512, pattern=r"^[a-z*-]+(,[a-z*-]+){0,31}$", description="Names or patterns, comma-separated: session*,participant-left"),
    ] = None
    after: Annotated[
        str | None,
        Field(pattern=r"^[0-9]{1,18}$", description="The id of the last event known: those above it come first. 0: all that is kept."),
    ] = None
    per_page: Annotated[PageSize, Field(description="For a list.")] = 100


class EventRow(Answer):
    """As a webhook says it."""

    webhook_type: str
    data: dict[str, Any]
    id: str
    time: Time


class EventList(Answer):
    data: list[EventRow]
    next: Annotated[str, Field(description="What to give as `after` to go on from here.")]
    has_more: bool


class ListWebhooks(Query):
    page: PageNumber = 1
    per_page: PageSize = 20


class CreateWebhook(Body):
    end_point: WebAddress
    events: Annotated[
        list[EventPattern],
        Field(min_length=1, max_length=64, description='Names, or patterns such as "session*".'),
    ] = ["*"]  # noqa: RUF012


class Webhook(Answer):
    id: str
    end_point: str
    events: list[str]
    created_at: Time


class NewWebhook(Webhook):
    secret: Annotated[str, Field(description="Shown this once: what Standard Webhooks signatures are checked with.")]


class Secret(Answer):
    secret: str


class RotatedSecret(Secret):
    previous_valid_until: Time


class PublicKey(Answer):
    public_key: Annotated[str, Field(description="PEM.")]


class ListDeliveries(WithIdentifiers, Query):
    state: Literal["waiting", "delivered", "dead"] | None = None
    room_id: Annotated[Identifier | None, Field(description="A roomId or customRoomId.")] = None
    session_id: Identifier | None = None
    type: Annotated[str | None, Field(max_length=64, pattern=r"^[a-z-]+$", description="A name, no pattern.")] = None
    page: PageNumber = 1
    per_page: PageSize = 20


class DeliveryAttempt(Answer):
    at: Time
    duration_ms: int
    status: int | None
    error: str | None
    answer: str | None
    out_of_order: bool


class Delivery(Answer):
    id: Annotated[str, Field(description="Also its `webhook-id`.")]
    event_id: str
    webhook_type: str
    end_point: Annotated[str, Field(description="Without its query, which may hold a token.")]
    webhook_id: Annotated[str | None, Field(description="The endpoint it goes to; none for a room's, a call's or the account's.")]
    room_id: str | None
    session_id: str | None
    subject: Annotated[str | None, Field(description="The recording, broadcast... that it is about.")]
    state: Literal["waiting", "delivered", "dead"]
    reason: Annotated[str | None, Field(description="Why it is dead.")]
    attempt_count: Annotated[int, Field(description="Since it was written or sent again.")]
    created_at: Time
    next_attempt_at: Time | None
    done_at: Time | None


class ListedDelivery(Delivery):
    last_attempt: DeliveryAttempt | None


class OneDelivery(Delivery):
    data: dict[str, Any]
    attempts: list[DeliveryAttempt]


DeliveryPage = Page[ListedDelivery]
WebhookPage = Page[Webhook]
