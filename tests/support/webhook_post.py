"""A store, its log and what delivers from it, for tests that send webhooks to real receivers under a clock moved by hand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from tests.support.clock import Clock
from tests.support.webhook_receiver import WebhookReceiver
from tidegate.config.egress import WebhookConfig
from tidegate.config.model import OutgoingConfig
from tidegate.events.deliver import Deliverer
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.send import Sender
from tidegate.events.sign import ProjectSecrets, RsaSigner
from tidegate.outgoing import OutgoingGuard
from tidegate.store import Store

HOUR = 3600.0


@dataclass
class Post:
    """A store, its log, and what sends: of one project."""

    store: Store
    events: EventLog
    deliverer: Deliverer
    rsa: RsaSigner
    secrets: ProjectSecrets
    wall: Clock
    project_id: str

    async def write(self, kind: str, url: str | None = None, **more: Any) -> None:
        fields = {"room_id": None, "session_id": "s1", "data": {"n": more.pop("n", 0)}, **more}
        await self.events.write(NewEvent(kind, self.project_id, webhook_url=url, **fields))

    async def deliver(self, after: float = 0.0) -> int:
        """Everything that is due after so many seconds; how many attempts that were."""
        self.wall.time += after
        attempts = 0
        while done := await self.deliverer.deliver_due():
            attempts += done
        return attempts

    async def log(self, **filters: Any) -> list[Any]:
        """Deliveries, oldest event first."""
        return (await self.store.deliveries.list(self.project_id, per_page=100, **filters)).rows[::-1]

    async def states(self) -> list[str]:
        return [row.state for row in await self.log()]

    async def attempts(self, number: int = 0) -> list[Any]:
        delivery = (await self.log())[number]
        return (await self.store.deliveries.attempts([delivery.id]))[delivery.id]

    async def receiver_knows(self, receiver: WebhookReceiver) -> WebhookReceiver:
        receiver.public_key = self.rsa.public_pem
        receiver.secret = await self.secrets.current(self.project_id)
        return receiver


def make_deliverer(store, wall, rsa, *, allow=("127.0.0.0/8",), sender=None, **config):
    config = WebhookConfig(**{"timeout": 5.0, **config})
    secrets = ProjectSecrets(store.settings, os.urandom)
    sender = sender or Sender(OutgoingGuard(OutgoingConfig(allow=allow)), config.timeout)
    return Deliverer(store, sender, rsa, secrets, config, wall, random=lambda: 0.0, monotonic=wall)
