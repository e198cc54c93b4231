"""Files on this machine's disk, under one folder. Everything that touches the disk runs in a thread."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar
from urllib.parse import unquote, urlsplit

from media.errors import ConfigError
from tidegate.storage.ports import StorageError, Stored

T = TypeVar("T")


def folder_of(url: str) -> Path:
    """The folder of a file:// URL."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ConfigError("storage.url", f"{url!r} names no absolute folder: write file:///path")
    return Path(unquote(parts.path))


class DiskStorage:
    """`root` is made when the first file comes."""

    def __init__(self, root: Path) -> None:
        self.root: Path | None = root
        self._root = root

    async def put_file(self, local: Path, path: str) -> Stored:
        return await self._in_thread(self._put, local, path)

    async def find(self, path: str) -> Stored | None:
        return await self._in_thread(self._find, path)

    async def fetch(self, path: str, local: Path) -> None:
        await self._in_thread(self._fetch, path, local)

    async def delete(self, path: str) -> None:
        await self._in_thread(self._delete, path)

    async def url(self, path: str, expires: float, *, method: Literal["GET", "HEAD"] = "GET") -> str | None:
        return None

    def local_path(self, path: str) -> Path | None:
        return self._root / checked(path)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.to_thread(work, *arguments)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(f"the disk says: {error.strerror}") from error

    def _put(self, local: Path, path: str) -> Stored:
        target = self._root / checked(path)
        try:
            size = local.stat().st_size
        except FileNotFoundError:
            known = self._find(path)
            if known is None:
                raise
            return known
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _sync(local)
            os.replace(local, target)
        except OSError:
            # Another file system: what is half copied must not be taken for the file.
            part = target.with_name(f".{target.name}.part")
            try:
                shutil.copyfile(local, part)
                _sync(part)
                os.replace(part, target)
            except OSError:
                part.unlink(missing_ok=True)
                raise
            local.unlink()
        _sync(target.parent)
        return Stored(path, size)

    def _find(self, path: str) -> Stored | None:
        try:
            return Stored(path, (self._root / checked(path)).stat().st_size)
        except FileNotFoundError:
            return None

    def _fetch(self, path: str, local: Path) -> None:
        """A second name for the same bytes where the file system can, so that nothing is copied."""
        source = self._root / checked(path)
        try:
            os.link(source, local)
        except FileNotFoundError:
            raise StorageError("the file is not there") from None
        except OSError:
            shutil.copyfile(source, local)

    def _delete(self, path: str) -> None:
        target = self._root / checked(path)
        target.unlink(missing_ok=True)
        for folder in target.parents:  # those that it leaves empty
            if folder == self._root or not folder.is_relative_to(self._root):
                break
            with suppress(OSError):
                folder.rmdir()


def _sync(path: Path) -> None:
    """On the disk, not only in its cache: the file's row is about to say that it is safe."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checked(path: str) -> PurePosixPath:
    """A relative path that stays below where it is put. StorageError for any other: a bug of the caller."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\0" in path:
        raise StorageError(f"{path!r} is no path in a storage")
    return parts
