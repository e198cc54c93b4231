"""The event log: what happened, written in one transaction with the change that it tells of, then handed to readers.

`EventLog.write` is the only way in. Readers in this process hear by the bus after the commit; webhooks leave from the rows
that the same transaction wrote (events/deliver.py); whoever was away replays from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from tidegate.config.egress import WebhookConfig
from tidegate.events.bus import BusEvent, EventBus
from tidegate.store import Store
from tidegate.store.events import Account, Change, NewEvent

__all__ = ["EventLog", "NewEvent"]

T = TypeVar("T")

HOUR_MS = 3_600_000


class EventLog:
    """`write` from anywhere in the loop; `close` waits for what is being written."""

    def __init__(self, store: Store, bus: EventBus, webhooks: WebhookConfig | None = None) -> None:
        webhooks = webhooks or WebhookConfig()
        self._store = store
        self._bus = bus
        self._account = Account(webhooks.url, webhooks.events, int(webhooks.give_up_hours * HOUR_MS))
        self._one_at_a_time = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()
        self.on_deliveries: Callable[[], None] | None = None
        """Told after a transaction that wrote deliveries: the deliverer's `wake`."""

    async def write(self, *events: NewEvent, change: Change[T] | None = None) -> T:
        """Run `change(tx)` and add the events in one transaction; what `change` returned.

        When `change` raises, nothing is written and nobody hears. `change` must not call `write` itself, and does nothing slow:
        one transaction of this kind goes at a time. A caller that is cancelled meanwhile leaves the write to finish by itself.
        """
        task = asyncio.get_running_loop().create_task(self._write(events, change), name="event log")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait until everything that was begun is written."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _write(self, events: tuple[NewEvent, ...], change: Change[Any] | None) -> Any:
        # Ids follow commits (store/events.py) and the bus follows ids: a reader may skip whatever is not above its last one.
        async with self._one_at_a_time:
            result, rows, deliveries = await self._store.events.write(events, change, self._account)
            for row in rows:
                self._bus.publish(BusEvent.from_row(row))
        if deliveries and self.on_deliveries is not None:
            self.on_deliveries()
        return result
