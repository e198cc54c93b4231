"""Files in an S3-compatible store, by obstore: its requests run on threads of its own and never block the loop."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from media.errors import ConfigError
from tidegate.config.egress import StorageConfig
from tidegate.storage.disk import checked
from tidegate.storage.ports import StorageError, Stored, disposition

Answer = TypeVar("Answer")

PART_BYTES = 16 * 1024 * 1024  # 10,000 parts, which is S3's limit: files up to 156 GB
PARTS_AT_ONCE = 2  # bounds memory: an upload is not in a hurry
LONGEST_URL = 7 * 24 * 3600.0  # of a pre-signed address, by S3's rules
FEW_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}  # whoever stores a file tries again by itself


class ObjectStorage:
    """A bucket, or a part of it."""

    root: Path | None = None

    def __init__(self, store: S3Store) -> None:
        self._store = store

    @classmethod
    def open(cls, config: StorageConfig) -> ObjectStorage:
        parts = urlsplit(config.url)
        if not parts.netloc:
            raise ConfigError("storage.url", f"{config.url!r} names no bucket: write s3://bucket/prefix")
        options: dict[str, Any] = {"region": config.region}
        if config.endpoint:
            if urlsplit(config.endpoint).scheme == "http" and not config.allow_http:
                raise ConfigError("storage.endpoint", "is plain http: say storage.allow_http = true if that is meant")
            options["endpoint"] = config.endpoint.rstrip("/")
        if config.access_key_id:
            options |= {"access_key_id": config.access_key_id, "secret_access_key": config.secret_access_key}
        try:
            store = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                client_options={"allow_http": config.allow_http, "timeout": "10 minutes", "connect_timeout": "10 seconds"},
                retry_config=FEW_RETRIES,
                **options,
            )
        except BaseError as error:
            raise ConfigError("storage.url", _words(error)) from None
        return cls(store)

    async def put_file(self, local: Path, path: str) -> Stored:
        key = str(checked(path))
        try:
            size = (await asyncio.to_thread(local.stat)).st_size
        except FileNotFoundError:
            # Stored before the node was killed, which then could not say so.
            known = await self.find(path)
            if known is None:
                raise
            return known
        kind = mimetypes.guess_type(local.name)[0] or "application/octet-stream"
        attributes = {"Content-Type": kind, "Content-Disposition": disposition("inline", checked(path).name)}
        work = obstore.put_async(
            self._store, key, local, attributes=attributes, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
        )
        try:
            await _said(work)
        except FileNotFoundError as error:  # not the file: the bucket, or (some servers say it so) the key
            raise StorageError(_words(error)) from None
        stored = await self.find(path)
        if stored is None or stored.size != size:
            raise StorageError("the store took the file but does not have it whole")
        await asyncio.to_thread(local.unlink)
        return stored

    async def find(self, path: str) -> Stored | None:
        try:
            found = await _said(obstore.head_async(self._store, str(checked(path))))
        except FileNotFoundError:
            return None
        return Stored(path, found["size"])

    async def fetch(self, path: str, local: Path) -> None:
        part = local.with_name(local.name + ".part")
        try:
            found = await _said(obstore.get_async(self._store, str(checked(path))))
            with await asyncio.to_thread(part.open, "wb") as file:
                stream = found.stream(min_chunk_size=PART_BYTES)
                while (chunk := await _said(anext(stream, None))) is not None:
                    await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(part.replace, local)
        except FileNotFoundError:
            raise StorageError("the file is not there") from None
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    async def delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            await _said(obstore.delete_async(self._store, str(checked(path))))

    async def url(self, path: str, expires: float, *, method: Literal["GET", "HEAD"] = "GET") -> str | None:
        seconds = timedelta(seconds=min(expires, LONGEST_URL))
        return await _said(obstore.sign_async(self._store, method, str(checked(path)), seconds))

    def local_path(self, path: str) -> Path | None:
        return None


async def _said(work: Awaitable[Answer]) -> Answer:
    """obstore raises a family of errors, and Python's own for what is not there."""
    try:
        return await work
    except FileNotFoundError:
        raise
    except (BaseError, OSError, ValueError) as error:
        raise StorageError(_words(error)) from None


def _words(error: Exception) -> str:
    """For people. obstore's own words quote whole requests, keys and signatures included: they are left out."""
    text = str(error)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or "InvalidAccessKeyId" in text:
        return "the object store refuses our key"
    for hint, words in HINTS.items():
        if hint in text:
            return f"the object store {words}"
    if isinstance(error, FileNotFoundError):
        return "the object store does not find the bucket or the key"
    return f"the object store failed ({type(error).__name__})"


HINTS = {
    "NoSuchBucket": "has no such bucket",
    "error sending request": "cannot be reached",
    "timed out": "does not answer in time",
    "Connection": "cannot be reached",
    "SlowDown": "asks us to go slower",
    "500 Internal": "has a failure of its own",
    "503": "is busy",
}
