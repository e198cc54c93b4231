"""`keys.toml` in the data directory: the first project's API key and secret, readable by its owner only (0600).

Made on the first start. `TIDEGATE_API_KEY` and `TIDEGATE_API_SECRET` stand in for it. The store knows every key of
every project; this file is what lets `tidegate token` and the console work before anybody configured anything.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from media.errors import ConfigError
from media.ids import RandomBytes
from tidegate.config.model import Config

if TYPE_CHECKING:
    from tidegate.store import ApiKey, Store

KEY_BYTES = 16
SECRET_BYTES = 32  # as strong as the HS256 that it keys


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs tokens. The secret is left out of `repr`, so that it reaches no log by accident."""

    api_key: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials({self.api_key!r}, secret hidden)"


def new_credentials(random_bytes: RandomBytes) -> Credentials:
    return Credentials(random_bytes(KEY_BYTES).hex(), random_bytes(SECRET_BYTES).hex())


def find(config: Config) -> Credentials | None:
    """The configured key, else the one of the file, else None."""
    if config.auth.api_key:
        return Credentials(config.auth.api_key, config.auth.api_secret)
    return read(config.keys_path)


def find_or_create(config: Config, random_bytes: RandomBytes) -> Credentials:
    """As `find`, but makes the file where there is neither."""
    credentials = find(config)
    if credentials is None:
        make_data_dir(config.data_dir)
        credentials = new_credentials(random_bytes)
        write(config.keys_path, credentials)
    return credentials


async def prepare(config: Config, store: Store, random_bytes: RandomBytes) -> ApiKey:
    """What every start does: the first project and its key are in the store, and the file or the variables agree."""
    credentials = find_or_create(config, random_bytes)
    return await store.first_key(credentials.api_key, credentials.secret)


def read(path: Path) -> Credentials | None:
    """What `path` holds; None when there is no such file; ConfigError when it cannot be used."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise ConfigError(str(path), "is not TOML; restore it, or remove it to have a new key made") from None
    if mode & 0o077:
        raise ConfigError(str(path), f"holds a secret that others can read (mode {mode:04o}): chmod 600 it")
    key, secret = document.get("api_key"), document.get("api_secret")
    if not isinstance(key, str) or not isinstance(secret, str) or not key or not secret:
        raise ConfigError(str(path), "needs api_key and api_secret; remove it to have a new key made")
    return Credentials(key, secret)


def write(path: Path, credentials: Credentials) -> None:
    """Replace `path` whole: a reader sees the old file or the new one, and nobody else either."""
    text = (
        "# The first project's API key and secret, made by `tidegate serve`. Whoever has them can do everything.\n"
        f'api_key = "{credentials.api_key}"\napi_secret = "{credentials.secret}"\n'
    )
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(str(path), f"cannot be written: {error.strerror}") from None


def make_data_dir(path: Path) -> None:
    """The data directory, 0700 when made here; ConfigError when it cannot be made or written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError("data_dir", f"{path} is not a directory") from None
    except OSError as error:
        raise ConfigError("data_dir", f"{path} cannot be made: {error.strerror}") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError("data_dir", f"{path} cannot be written by this user")


@contextmanager
def hold_data_dir(path: Path) -> Iterator[None]:
    """Nobody else's while it lasts: a second server would take the first's running sessions for leftovers of a crash.

    The kernel lets go of it with the process, however that ends. ConfigError where another server has it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = "is in use by a Tidegate that runs; another beside it needs a --data-dir and ports of its own"
            raise ConfigError("data_dir", f"{path} {words}") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)
