"""A customer's app server, run from `examples/`: its own process, port and origin, with a key that Tidegate knows."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.serving import RunningServer, start_process, start_server

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
API_KEY = "flows"
API_SECRET = "a secret that only servers know, not pages"
CREDENTIALS = {"TIDEGATE_API_KEY": API_KEY, "TIDEGATE_API_SECRET": API_SECRET}
ENV = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **CREDENTIALS}
OUTGOING = {"TIDEGATE_OUTGOING_ALLOW": "127.0.0.0/8"}  # webhooks and RTMP go to this machine
TIDEGATE = [sys.executable, "-m", "tidegate", "serve"]
KINDS = ("python", "node")


def app_server_command(kind: str) -> list[str | Path]:
    if kind == "python":
        return [sys.executable, EXAMPLES / "app-server-python" / "server.py"]
    node = shutil.which("node")
    assert node, "node is missing: bin/test installs it"
    return [node, EXAMPLES / "app-server-node" / "server.mjs"]


@contextmanager
def start_tidegate(directory: Path, *args: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningServer]:
    """`tidegate serve` with the key of the app servers; its data stay in `directory`."""
    env = ENV | OUTGOING | dict(environment or {})
    with start_server(TIDEGATE, directory, env=env, args=args) as server:
        yield server


@contextmanager
def start_app_server(kind: str, directory: Path, tidegate_url: str) -> Iterator[RunningServer]:
    """One of KINDS, on a free port."""
    env = ENV | {"TIDEGATE_URL": tidegate_url, "PORT": "0"}
    with start_process(app_server_command(kind), directory, env=env) as server:
        yield server
