"""A node's egress whose workers do what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.egress_plane import Scene, staged


@pytest.fixture
async def next_node(tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    async with staged(tmp_path) as begin:
        yield begin


@pytest.fixture
async def scene(next_node: Callable[[], Any]) -> Scene:
    return await next_node()
