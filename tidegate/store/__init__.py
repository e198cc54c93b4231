"""State that outlives the process: SQLite by default, PostgreSQL by URL. The same tests run on both.

`open_store(url)` gives a `Store`; its repositories are `projects`, `keys`, `rooms`, `sessions`, `recordings`,
`broadcasts`, `transcodings`, `events`, `deliveries`, `webhook_endpoints`, `idempotency`, `settings`.
Rows come back detached: plain values, safe to keep.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from media.errors import ConfigError
from media.ids import RandomBytes
from tidegate.store import schema
from tidegate.store.broadcasts import Broadcasts
from tidegate.store.deliveries import Deliveries, WebhookEndpoints
from tidegate.store.events import Events
from tidegate.store.idempotency import IdempotencyKeys, Settings
from tidegate.store.keys import Keys, Projects
from tidegate.store.media_models import Broadcast, Recording, Transcoding
from tidegate.store.models import ApiKey, Project, Room, Session, SessionParticipant
from tidegate.store.recordings import Recordings, Transcodings
from tidegate.store.repository import Page
from tidegate.store.rooms import RoomOptions, Rooms
from tidegate.store.sessions import Sessions

__all__ = [
    "ApiKey",
    "Broadcast",
    "Page",
    "Project",
    "Recording",
    "Room",
    "RoomOptions",
    "Session",
    "SessionParticipant",
    "Store",
    "Transcoding",
    "open_store",
]

BUSY_SECONDS = 10  # SQLite: a writer waits this long for another one


class Store:
    """All repositories over one engine."""

    def __init__(self, engine: AsyncEngine, random_bytes: RandomBytes, wall: Callable[[], float]) -> None:
        self.engine = engine
        sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.projects = Projects(sessions, random_bytes, wall)
        self.keys = Keys(sessions, random_bytes, wall)
        self.rooms = Rooms(sessions, random_bytes, wall)
        self.sessions = Sessions(sessions, random_bytes, wall)
        self.recordings = Recordings(sessions, random_bytes, wall)
        self.broadcasts = Broadcasts(sessions, random_bytes, wall)
        self.transcodings = Transcodings(sessions, random_bytes, wall)
        self.events = Events(sessions, random_bytes, wall)
        self.deliveries = Deliveries(sessions, random_bytes, wall)
        self.webhook_endpoints = WebhookEndpoints(sessions, random_bytes, wall)
        self.idempotency = IdempotencyKeys(sessions, random_bytes, wall)
        self.settings = Settings(sessions, random_bytes, wall)

    async def first_key(self, api_key: str | None = None, secret: str | None = None) -> ApiKey:
        """The key that the node starts with: makes the first project and the key where they are missing.

        With a name and a secret (from the environment or the key file) that key exists afterwards, with that secret.
        """
        project = await self.projects.first() or await self.projects.create("default")
        known = await self.keys.find(api_key) if api_key else next(iter(await self.keys.list(project.id)), None)
        if known is None:
            return await self.keys.create(project.id, api_key=api_key, secret=secret)
        if secret and known.secret != secret:
            return await self.keys.rotate(known.project_id, known.api_key, secret) or known
        return known

    async def recover(self) -> int:
        """After a node was killed: end what it left ongoing. How many sessions that were."""
        await self.idempotency.release_left_over()
        if self.engine.dialect.name == "sqlite":  # elsewhere another node may be sending
            await self.deliveries.release_leases()
        return await self.sessions.end_left_over("NODE_STOPPED")

    async def answers(self, patience: float) -> bool:
        """Whether the database says something within `patience` seconds."""
        try:
            async with asyncio.timeout(patience), self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        await self.engine.dispose()


async def open_store(
    url: str, *, random_bytes: RandomBytes = os.urandom, wall: Callable[[], float] = time.time
) -> Store:
    """Open, create or migrate. ConfigError when that cannot be. The node calls `recover()` afterwards."""
    try:
        shown = make_url(url).render_as_string(hide_password=True)
        engine = _engine(url)
    except ArgumentError as error:
        raise ConfigError("store.url", str(error)) from None
    except ValueError:
        raise ConfigError("store.url", "its port is not a number; a special character in its password is written %40") from None
    except OSError as error:
        raise ConfigError("store.url", f"cannot open {shown}: {error}") from None
    try:
        await schema.prepare(engine)
    except TypeError as error:  # asyncpg's connect() takes the URL's query as its arguments
        await engine.dispose()
        hint = "; write ssl=require for libpq's sslmode=require" if "sslmode" in shown else ""
        raise ConfigError("store.url", f"cannot open {shown}: {error}{hint}") from None
    except (DBAPIError, OSError) as error:
        await engine.dispose()
        raise ConfigError("store.url", f"cannot open {shown}: {getattr(error, 'orig', None) or error}") from None
    except BaseException:
        await engine.dispose()
        raise
    return Store(engine, random_bytes, wall)


def _try_sqlite(path: str) -> None:
    """OSError when the file cannot be used. aiosqlite would say so too, but leave a thread behind that prints a traceback."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise OSError(str(error)) from None


def _engine(url: str) -> AsyncEngine:
    parsed = make_url(url)
    if parsed.drivername != "sqlite+aiosqlite":
        return create_async_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    if parsed.database not in (None, "", ":memory:"):
        _try_sqlite(parsed.database)
    # Parameters are hidden: errors reach the log, and rows hold secrets and people's data.
    engine = create_async_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection, _record) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")  # WAL: a power cut may lose the last commits, never the file
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine
