"""The real parties of the flows: Tidegate, a customer's app server, people's browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.app_server import KINDS, start_app_server, start_tidegate
from tests.support.serving import RunningServer

# Two cores carry two browsers and two compositions.
COMPOSED_IN_TIME = {"TIDEGATE_COMPOSE_FPS": "15"}


@pytest.hookimpl(tryfirst=True)  # before tests/conftest.py looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def tidegate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_tidegate(tmp_path_factory.mktemp("tidegate"), environment=COMPOSED_IN_TIME) as server:
        yield server
        assert server.stop() == 0, server.output
        assert "Traceback" not in server.output


@pytest.fixture(params=KINDS)
def any_app_server(request: pytest.FixtureRequest, tidegate: RunningServer, tmp_path: Path) -> Iterator[RunningServer]:
    """Each of them in its turn."""
    with start_app_server(request.param, tmp_path, tidegate.url) as server:
        yield server


@pytest.fixture
def app_server(tidegate: RunningServer, tmp_path: Path) -> Iterator[RunningServer]:
    with start_app_server("python", tmp_path, tidegate.url) as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A program of the app server's, which no browser's rules hold to an origin."""
    async with aiohttp.ClientSession() as session:
        yield session
