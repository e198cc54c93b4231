"""Forgets what the store has kept long enough: retention of people's data, events and the log of deliveries, old Idempotency-Keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tidegate.config.egress import WebhookConfig
from tidegate.config.model import LimitsConfig, RetentionConfig
from tidegate.store import Store

log = logging.getLogger("tidegate.events")

INTERVAL = 3600.0
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def tidy(
    store: Store, limits: LimitsConfig, retention: RetentionConfig, webhooks: WebhookConfig, now_wall: float
) -> int:
    """One round; how many sessions were forgotten."""
    now_ms = int(now_wall * 1000)
    await store.idempotency.forget(int(now_ms - limits.idempotency_hours * HOUR_MS))
    if webhooks.keep_days:
        await store.events.forget(now_ms - webhooks.keep_days * DAY_MS)
    if not retention.sessions_days:
        return 0  # for ever
    return await store.sessions.forget(now_ms - retention.sessions_days * DAY_MS)


async def run(
    store: Store, limits: LimitsConfig, retention: RetentionConfig, webhooks: WebhookConfig, wall: Callable[[], float]
) -> None:
    """A round every hour, until cancelled. A round that fails is tried again with the next."""
    while True:
        try:
            forgotten = await tidy(store, limits, retention, webhooks, wall())
            if forgotten:
                log.info("sessions past their retention are forgotten", extra={"sessions": forgotten})
        except Exception:
            log.exception("housekeeping failed")
        await asyncio.sleep(INTERVAL)
