from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clock import Clock
from tests.support.webhook_post import Post, make_deliverer
from tests.support.webhook_receiver import running_receiver
from tidegate.events.bus import EventBus
from tidegate.events.log import EventLog
from tidegate.events.sign import RsaSigner
from tidegate.store import Store, open_store


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, wall: Clock) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", wall=wall)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def rsa(tmp_path_factory) -> RsaSigner:
    return RsaSigner.load_or_create(tmp_path_factory.mktemp("key"))


@pytest.fixture
async def post(store, wall, rsa):
    wall.time = float(int(time.time()))  # Standard Webhooks refuses what is not from these minutes
    project_id = (await store.first_key()).project_id
    deliverer = make_deliverer(store, wall, rsa)
    return Post(store, EventLog(store, EventBus()), deliverer, rsa, deliverer._secrets, wall, project_id)


@pytest.fixture
async def receiver(post):
    async with running_receiver() as receiver:
        yield await post.receiver_knows(receiver)
