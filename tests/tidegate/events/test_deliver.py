"""Webhooks from the log to a receiver, over real connections; what takes hours goes by a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.clock import Clock
from tests.support.webhook_receiver import WebhookReceiver, running_receiver
from tidegate.config.egress import WebhookConfig
from tidegate.config.model import OutgoingConfig
from tidegate.events.bus import EventBus
from tidegate.events.deliver import Deliverer
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.send import MAX_ANSWER, Sender
from tidegate.events.sign import ProjectSecrets, RsaSigner
from tidegate.outgoing import OutgoingGuard
from tidegate.store import RoomOptions, Store

MINUTE, HOUR = 60.0, 3600.0


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
    secrets = ProjectSecrets(store.settings, lambda n: b"k" * n)
    sender = sender or Sender(OutgoingGuard(OutgoingConfig(allow=allow)), config.timeout)
    return Deliverer(store, sender, rsa, secrets, config, wall, random=lambda: 0.0)


@pytest.fixture(scope="session")
def rsa(tmp_path_factory) -> RsaSigner:
    return RsaSigner.load_or_create(tmp_path_factory.mktemp("key"))


@pytest.fixture
async def post(store, wall, rsa):
    from time import time

    wall.time = float(int(time()))  # Standard Webhooks refuses what is not from these minutes
    project_id = (await store.first_key()).project_id
    deliverer = make_deliverer(store, wall, rsa)
    return Post(store, EventLog(store, EventBus()), deliverer, rsa, deliverer._secrets, wall, project_id)


@pytest.fixture
async def receiver(post):
    async with running_receiver() as receiver:
        yield await post.receiver_knows(receiver)


async def test_an_event_arrives_signed_twice(post, receiver):
    await post.write("recording-started", receiver.url, data={"meetingId": "m", "name": "日本 <ä>"}, subject="r1")
    assert await post.deliver() == 1
    assert receiver.forged == []
    got = receiver.seen[0]
    assert got.json == {
        "webhookType": "recording-started", "data": {"meetingId": "m", "name": "日本 <ä>"}, "id": "1", "time": got.json["time"],
    }  # fmt: skip
    assert got.headers["content-type"] == "application/json" and "tidegate-out-of-order" not in got.headers
    [delivery] = await post.log()
    assert (delivery.state, delivery.attempts, delivery.id) == ("delivered", 1, got.id)
    assert await post.deliver() == 0
    assert await post.store.events.webhook_summary("r1") == {
        "totalCount": 1, "successCount": 1, "data": [{"type": "recording-started", "success": True}],
    }  # fmt: skip
