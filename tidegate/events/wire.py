"""An event as everybody outside sees it: the body of its webhook, the data of its server-sent event, an entry of the replayed list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tidegate.events.bus import BusEvent


def to_wire(event: BusEvent) -> dict[str, Any]:
    """`webhookType` and `data` are the reference's. `id` grows from event to event, as text: it is a Last-Event-ID."""
    return {"webhookType": event.type, "data": event.data, "id": str(event.id), "time": iso(event.time)}


def iso(seconds: float) -> str:
    """2026-01-31T12:00:00.000Z"""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
