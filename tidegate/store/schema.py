"""Bringing a database to the schema of this version, when it is opened.

An empty database gets the tables at once and the stamp of the newest migration; a current one is left alone. Alembic,
which takes long to import, is loaded only for a database between the two.
"""

from __future__ import annotations

from importlib import resources

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from media.errors import ConfigError
from tidegate.store.models import Base

HEAD = "0003"  # the newest revision in migrations/versions; a test holds it to that
LOCK = 0x7469_6465  # of PostgreSQL: two nodes started at once do not both migrate


async def prepare(engine: AsyncEngine) -> None:
    """Create or migrate. ConfigError when the database was made by a newer version."""
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        await connection.run_sync(_prepare)


def _prepare(connection: Connection) -> None:
    revision = _revision(connection)
    if revision == HEAD:
        return
    if revision is None:
        Base.metadata.create_all(connection)
        connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
        return
    migrate(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(connection: Connection) -> None:
    """Run what is missing of `migrations/versions`, in this connection's transaction."""
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise ConfigError("store.url", f"the database is not one of this version or an older one: {error}") from None


def alembic_config(connection: Connection):
    """The configuration that `migrations/env.py` reads."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("tidegate.store") / "migrations"))
    config.attributes["connection"] = connection
    return config
