"""A PostgreSQL for tests: the one that TIDEGATE_TEST_POSTGRES names (bin/test starts it), else one started here.

Each test gets an empty database of its own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

ENVIRONMENT = "TIDEGATE_TEST_POSTGRES"


def find_binaries() -> Path | None:
    """The folder with initdb and pg_ctl, which Debian keeps out of PATH."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _run(command: list[str], as_postgres: bool) -> None:
    prefix = ["runuser", "-u", "postgres", "--"] if as_postgres else []
    subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, timeout=60, cwd="/")


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """URL of a server (`postgresql+asyncpg://…/postgres`): given, or started in a temporary folder."""
    given = os.environ.get(ENVIRONMENT)
    if given:
        yield given
        return
    if os.environ.get("CI"):
        pytest.fail(f"{ENVIRONMENT} is not set: the store's tests need a PostgreSQL")
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL installed")
    as_postgres = os.geteuid() == 0  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="tidegate-pg-") as folder:
        if as_postgres:
            shutil.chown(folder, "postgres")
        data = str(Path(folder) / "data")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        _run([str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "tidegate", "-N", "-E", "UTF8"], as_postgres)
        options = f"-p {port} -h 127.0.0.1 -k {folder} -F -c full_page_writes=off"
        control = [str(binaries / "pg_ctl"), "-D", data, "-w"]
        _run([*control, "-l", str(Path(folder) / "log"), "-o", options, "start"], as_postgres)
        try:
            yield f"postgresql+asyncpg://tidegate@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"], as_postgres)


@contextlib.asynccontextmanager
async def empty_database(server: str) -> AsyncIterator[str]:
    """URL of a new database on that server, dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    url = make_url(server)
    admin = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        yield url.set(database=name).render_as_string(hide_password=False)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()
