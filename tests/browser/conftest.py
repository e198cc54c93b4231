"""A server of its own for each module of browser tests, in development mode as a user starts it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import RunningServer, start_server

ROOT = Path(__file__).parents[2]
TIDEGATE = [sys.executable, "-m", "tidegate", "serve"]
ENV = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


@pytest.hookimpl(tryfirst=True)  # before tests/conftest.py looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(TIDEGATE, tmp_path_factory.mktemp("server"), env=ENV) as running:
        yield running


@pytest.fixture
def guarded_server(tmp_path: Path) -> Iterator[RunningServer]:
    """Bound further than loopback: the development door is shut, people sign in."""
    with start_server(TIDEGATE, tmp_path, env=ENV, args=["--host", "0.0.0.0"]) as running:
        yield running
