"""`tidegate keys`: the API keys of the first project, in the store itself. Works beside a running server, and without one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from media.errors import ConfigError
from tidegate.cli.options import ConfigOption, DataDirOption, load_config

if TYPE_CHECKING:
    from tidegate.config.model import Config
    from tidegate.store import ApiKey, Store

app = typer.Typer(
    short_help="Create, list, disable, rotate API keys.",
    help="API keys of the first project. A key and its secret sign tokens; the secret is shown once.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="As `tidegate keys list` shows it.", show_default=False)]


@app.command("create")
def create(
    origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Only pages of this origin may use it; repeatable.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and print it with its secret, which is not shown again."""
    origins = tuple(_origin(text) for text in origin or ())

    async def command(store: Store, first: ApiKey) -> None:
        _print_once(await store.keys.create(first.project_id, allowed_origins=origins))

    _run(load_config(config, data_dir=data_dir), command)


@app.command("list")
def list_(config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Print the keys, newest first, without their secrets."""

    async def command(store: Store, first: ApiKey) -> None:
        for key in await store.keys.list(first.project_id):
            created = datetime.fromtimestamp(key.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
            state = "disabled" if key.disabled else "enabled "
            print(f"{key.api_key}  {state}  {created}  {' '.join(key.allowed_origins) or 'any origin'}")

    _run(load_config(config, data_dir=data_dir), command)


@app.command("disable")
def disable(key: KeyArgument, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Refuse every token of a key from now on. Who is in a call stays until it ends."""
    _switch(load_config(config, data_dir=data_dir), key, disabled=True)


@app.command("enable")
def enable(key: KeyArgument, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Accept a disabled key again."""
    _switch(load_config(config, data_dir=data_dir), key, disabled=False)


@app.command("rotate")
def rotate(key: KeyArgument, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Give a key a new secret and print it. Tokens signed with the old one are refused from now on."""
    effective = load_config(config, data_dir=data_dir)
    if key == effective.auth.api_key:
        raise ConfigError("auth.api_secret", "this key's secret comes from the configuration: change it there and restart")

    async def command(store: Store, first: ApiKey) -> None:
        from tidegate import keysfile

        changed = _known(key, await store.keys.rotate(first.project_id, key))
        kept = keysfile.read(effective.keys_path)
        if kept is not None and kept.api_key == key:
            # Otherwise the next start would put the old secret back.
            keysfile.write(effective.keys_path, keysfile.Credentials(key, changed.secret))
        _print_once(changed)

    _run(effective, command)


def _switch(config: Config, key: str, *, disabled: bool) -> None:
    async def command(store: Store, first: ApiKey) -> None:
        _known(key, await store.keys.set_disabled(first.project_id, key, disabled))
        print(f"{key} is {'disabled' if disabled else 'enabled'}")

    _run(config, command)


def _known(name: str, key: ApiKey | None) -> ApiKey:
    if key is None:
        raise ConfigError("KEY", f"there is no key {name!r}: see `tidegate keys list`")
    return key


def _print_once(key: ApiKey) -> None:
    print(f"api key: {key.api_key}\nsecret:  {key.secret}")


def _origin(text: str) -> str:
    """`https://host[:port]`, without a slash at the end: what browsers send as Origin."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError("--origin", f"{text!r} is not of the form https://host[:port]")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _run(config: Config, command: Callable[[Store, ApiKey], Awaitable[None]]) -> None:
    async def body() -> None:
        async with _opened(config) as (store, first):
            await command(store, first)

    asyncio.run(body())


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[tuple[Store, ApiKey]]:
    from tidegate import keysfile
    from tidegate.store import open_store

    keysfile.make_data_dir(config.data_dir)
    store = await open_store(config.store_url)
    try:
        yield store, await keysfile.prepare(config, store, os.urandom)
    finally:
        await store.close()
