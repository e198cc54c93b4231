"""Webhooks of a node as REST works with them: the keys that sign, and sending again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tidegate.config.egress import WebhookConfig
from tidegate.events.sign import ProjectSecrets, RsaSigner
from tidegate.store import Store

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Webhooks:
    store: Store
    rsa: RsaSigner
    secrets: ProjectSecrets
    config: WebhookConfig
    wake: Callable[[], None]
    """The deliverer's: something is due."""

    async def send_again(self, project_id: str, delivery_id: str, now_ms: int) -> bool:
        """Due at once, whatever became of it, with its whole time before it; False when there is no such delivery."""
        give_up_ms = int(self.config.give_up_hours * HOUR_MS)
        found = await self.store.deliveries.send_again(project_id, delivery_id, now_ms=now_ms, give_up_ms=give_up_ms)
        if found:
            self.wake()
        return found
