"""Opening: empty, current, old, and newer databases."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from media.errors import ConfigError
from tidegate.store import _engine, open_store, schema
from tidegate.store.models import Base


def differences(connection: Connection) -> list:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, Base.metadata)


async def test_migrations_lead_to_the_models(url):
    engine = _engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(schema.migrate)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_the_direct_way_leads_there_too(url):
    store = await open_store(url)
    async with store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        head = await connection.run_sync(
            lambda c: ScriptDirectory.from_config(schema.alembic_config(c)).get_current_head()
        )
        stamped = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
    await store.close()
    assert head == schema.HEAD == stamped


async def test_a_difference_would_be_seen(url):
    store = await open_store(url)
    async with store.engine.begin() as connection:
        await connection.execute(text("DROP TABLE settings"))
        assert await connection.run_sync(differences) != []
    await store.close()


async def test_opening_again_keeps_what_is_there(url):
    store = await open_store(url)
    key = await store.first_key()
    await store.close()
    store = await open_store(url)
    assert (await store.first_key()).api_key == key.api_key
    await store.close()


async def test_a_newer_database_is_refused(url):
    store = await open_store(url)
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await store.close()
    with pytest.raises(ConfigError) as caught:
        await open_store(url)
    assert caught.value.path == "store.url"


async def test_a_database_that_cannot_be_reached_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError) as caught:
        await open_store("postgresql+asyncpg://user:geheim@127.0.0.1:1/x")
    assert "geheim" not in str(caught.value)
    with pytest.raises(ConfigError):
        await open_store(f"sqlite+aiosqlite:///{tmp_path / 'absent' / 'x.db'}")
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for the head of one" * 20)
    with pytest.raises(ConfigError):
        await open_store(f"sqlite+aiosqlite:///{tmp_path / 'text.db'}")
    with pytest.raises(ConfigError):
        await open_store("not a url")
    for wrong in ("127.0.0.1:port/x", "127.0.0.1:1/x?sslmode=require"):
        with pytest.raises(ConfigError) as caught:
            await open_store(f"postgresql+asyncpg://user:geheim@{wrong}")
        assert "geheim" not in str(caught.value)


def test_a_start_does_not_import_alembic(tmp_path):
    script = f"""
import asyncio, sys
from tidegate.store import open_store
async def main():
    for _ in range(2):
        await (await open_store("sqlite+aiosqlite:///{tmp_path / 's.db'}")).close()
asyncio.run(main())
print("alembic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
