from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clock import Clock
from tidegate.store import Store, open_store


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, wall: Clock) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", wall=wall)
    yield store
    await store.close()
