"""Real S3 servers on loopback: moto's; s3rver; and versitygw, which checks every signature, where somebody has it.

`go install github.com/versity/versitygw/cmd/versitygw@latest` makes the last one; the first two come with the tests' tools.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tidegate.config.egress import StorageConfig

ROOT = Path(__file__).parents[2]
TOOLS = Path(os.environ.get("TIDEGATE_TEST_TOOLS", ROOT / ".tools"))
S3RVER = TOOLS / "node_modules" / "s3rver" / "bin" / "s3rver.js"
VERSITYGW = os.environ.get("TIDEGATE_TEST_VERSITYGW") or shutil.which("versitygw")
KEY = "S3RVER"  # the only key that s3rver knows; all of them have it, and as their secret too
BUCKET = "meetings"
START_SECONDS = 30


@dataclass(frozen=True)
class S3:
    """A server with an empty bucket."""

    endpoint: str

    def config(self, **changes: object) -> StorageConfig:
        values = {
            "url": f"s3://{BUCKET}/some/prefix",
            "endpoint": self.endpoint,
            "access_key_id": KEY,
            "secret_access_key": KEY,
            "allow_http": True,
        }
        return StorageConfig(**(values | changes))  # type: ignore[arg-type]


@contextmanager
def moto_server(port: int = 0) -> Iterator[S3]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=10).close()
        yield S3(endpoint)
    finally:
        server.stop()


@contextmanager
def s3rver_server(folder: Path) -> Iterator[S3]:
    """Skips where `bin/test` has not installed it."""
    if not S3RVER.exists():
        pytest.fail("s3rver is not installed: bin/test does that")
    port = free_port()
    command = ["node", S3RVER, "-d", folder, "-a", "127.0.0.1", "-p", str(port), "--no-vhost-buckets", "-s"]
    with _running([*command, "--configure-bucket", BUCKET], port) as server:
        yield server


@contextmanager
def versitygw_server(folder: Path) -> Iterator[S3]:
    """A bucket is a folder there."""
    assert VERSITYGW is not None, "versitygw is not installed"
    (folder / BUCKET).mkdir()
    port = free_port()
    command = [VERSITYGW, "--port", f"127.0.0.1:{port}", "--access", KEY, "--secret", KEY, "posix", "--sidecar", folder.parent / "meta", folder]
    (folder.parent / "meta").mkdir(exist_ok=True)
    with _running(command, port) as server:
        yield server


@contextmanager
def _running(command: list[str | Path], port: int) -> Iterator[S3]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, server)
        yield S3(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(10)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Until something listens there."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the S3 server does not listen")
