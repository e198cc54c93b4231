"""/v2/webhooks: endpoints of a project, the keys that sign, and the log of deliveries. For tokens of no one room or participant."""

from __future__ import annotations

from typing import Any

from media.errors import PeerError
from tidegate.events.sign import OVERLAP_MS, new_secret
from tidegate.http import webhook_models as models
from tidegate.http.endpoint import Access, Call, Endpoint
from tidegate.http.models import Nothing
from tidegate.http.problem import Problem, not_found
from tidegate.http.render import iso, iso_or_none, page
from tidegate.http.rooms import find_room, require_any_room
from tidegate.store.event_models import WAITING, Delivery, DeliveryAttempt, WebhookEndpoint


def _account(call: Call) -> str:
    """The caller's project; their token is for all of it."""
    require_any_room(call.who)
    if call.who.participant_id is not None:
        raise PeerError(4023, "UNAUTHORIZED_PARTICIPANT_ID", "the token is for one participant")
    return call.who.project_id


def _render(row: WebhookEndpoint) -> dict[str, Any]:
    return {"id": row.id, "endPoint": row.url, "events": row.events, "createdAt": iso(row.created_at)}


async def create(call: Call) -> dict[str, Any]:
    project_id, endpoints = _account(call), call.context.store.webhook_endpoints
    if await endpoints.count(project_id) >= models.MAX_ENDPOINTS:
        raise Problem(409, f"there are {models.MAX_ENDPOINTS} endpoints already: delete one first")
    secret = new_secret(call.context.random_bytes)
    row = await endpoints.create(project_id, call.body.end_point, call.body.events, secret)
    return _render(row) | {"secret": row.secret}


async def list_endpoints(call: Call) -> dict[str, Any]:
    query = call.query
    rows = await call.context.store.webhook_endpoints.list(_account(call), page=query.page, per_page=query.per_page)
    return page(rows, _render)


async def remove(call: Call) -> dict[str, Any]:
    project_id, endpoints = _account(call), call.context.store.webhook_endpoints
    row = await endpoints.find(project_id, call.path["webhookId"])
    if row is None or not await endpoints.delete(project_id, row.id):
        raise not_found("webhook")
    return _render(row)


async def secret(call: Call) -> dict[str, Any]:
    return {"secret": await call.context.webhooks.secrets.current(_account(call))}


async def rotate(call: Call) -> dict[str, Any]:
    now_ms = int(call.context.wall() * 1000)
    new = await call.context.webhooks.secrets.rotate(_account(call), now_ms)
    return {"secret": new, "previousValidUntil": iso(now_ms + OVERLAP_MS)}


async def public_key(call: Call) -> dict[str, Any]:
    return {"publicKey": call.context.webhooks.rsa.public_pem}


# Deliveries


def _render_attempt(row: DeliveryAttempt) -> dict[str, Any]:
    return {
        "at": iso(row.at),
        "durationMs": row.duration_ms,
        "status": row.status,
        "error": row.error,
        "answer": row.answer,
        "outOfOrder": row.out_of_order,
    }


def _shown(url: str) -> str:
    """Without what follows the path: tokens stand there, and the configuration's address is no business of projects."""
    path, query, _ = url.partition("?")
    return path + (query and "?…")


def _render_delivery(row: Delivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "eventId": str(row.event_id),
        "webhookType": row.type,
        "endPoint": _shown(row.url),
        "webhookId": row.endpoint_id,
        "roomId": row.room_id,
        "sessionId": row.session_id,
        "subject": row.subject,
        "state": row.state,
        "reason": row.reason,
        "attemptCount": row.attempts,
        "createdAt": iso(row.created_at),
        "nextAttemptAt": iso(row.next_at) if row.state == WAITING else None,
        "doneAt": iso_or_none(row.done_at),
    }


async def list_deliveries(call: Call) -> dict[str, Any]:
    project_id, query = _account(call), call.query
    room_id = None if query.room_id is None else (await find_room(call.context, call.who, query.room_id)).room_id
    deliveries = call.context.store.deliveries
    rows = await deliveries.list(
        project_id,
        state=query.state,
        room_id=room_id,
        session_id=query.session_id,
        type=query.type,
        page=query.page,
        per_page=query.per_page,
    )
    last = await deliveries.last_attempts([row.id for row in rows.rows])

    def render(row: Delivery) -> dict[str, Any]:
        attempt = last.get(row.id)
        return _render_delivery(row) | {"lastAttempt": None if attempt is None else _render_attempt(attempt)}

    return page(rows, render)


async def delivery(call: Call) -> dict[str, Any]:
    return await _one(call, _account(call), call.path["deliveryId"])


async def _one(call: Call, project_id: str, delivery_id: str) -> dict[str, Any]:
    found = await call.context.store.deliveries.find(project_id, delivery_id)
    if found is None:
        raise not_found("delivery")
    row, event = found
    attempts = (await call.context.store.deliveries.attempts([row.id]))[row.id]
    return _render_delivery(row) | {"data": event.data, "attempts": [_render_attempt(one) for one in attempts]}


async def send_again(call: Call) -> dict[str, Any]:
    project_id, name = _account(call), call.path["deliveryId"]
    if not await call.context.webhooks.send_again(project_id, name, int(call.context.wall() * 1000)):
        raise not_found("delivery")
    return await _one(call, project_id, name)


TAG = "Webhooks"
OWNER = {"tag": TAG, "needs": ("moderate",)}

ENDPOINTS = (
    Endpoint("GET", "/v2/webhooks", list_endpoints, "List the endpoints of the project, newest first", **OWNER,
             query=models.ListWebhooks, answer=models.WebhookPage),
    Endpoint("POST", "/v2/webhooks", create, "Send events to an address; its secret is shown this once", **OWNER,
             body=models.CreateWebhook, answer=models.NewWebhook),
    Endpoint("GET", "/v2/webhooks/secret", secret, "What signs for the addresses of rooms, calls and the account", **OWNER,
             answer=models.Secret),
    Endpoint("POST", "/v2/webhooks/secret/rotate", rotate, "A new secret; the old one signs beside it for a day", **OWNER,
             body=Nothing, answer=models.RotatedSecret),
    Endpoint("GET", "/v2/webhooks/deliveries", list_deliveries, "The log of deliveries, newest first", **OWNER,
             query=models.ListDeliveries, answer=models.DeliveryPage),
    Endpoint("GET", "/v2/webhooks/deliveries/{deliveryId}", delivery, "A delivery with all its attempts", **OWNER,
             answer=models.OneDelivery),
    Endpoint("POST", "/v2/webhooks/deliveries/{deliveryId}/send-again", send_again, "Send it again, now", **OWNER,
             body=Nothing, answer=models.OneDelivery),
    Endpoint("DELETE", "/v2/webhooks/{webhookId}", remove, "Send no more to an address; what waits for it is dropped", **OWNER,
             answer=models.Webhook),
    Endpoint("GET", "/v2/public/rsa-public-key", public_key, "The key that `videosdk-signature` is checked with", TAG,
             access=Access.ANYBODY, answer=models.PublicKey),
)  # fmt: skip
