"""Finished files into the storage, or to the caller's own address; tried again until it works."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidegate.egress import names
from tidegate.egress.plane import Plane
from tidegate.egress.run import MadeFile
from tidegate.storage import StorageError, UploadRefused, put_presigned
from tidegate.store import Recording, Transcoding
from tidegate.store.media_models import StoredFile

log = logging.getLogger(__name__)

UPLOAD_PATIENCE = 6 * 3600.0  # seconds until the caller's address, which does not live for ever, is given up
GIVEN_UP = "the upload address could not be reached; the file is kept here"
NOT_ASKED = ""
LOST = "a file is not there any more"
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0  # seconds between attempts; the file stays on this disk meanwhile


async def deliver(
    plane: Plane, row: Recording | Transcoding, files: tuple[MadeFile, ...]
) -> tuple[list[StoredFile], str | None]:
    """The row's `files`, and what went wrong on the way. Ends only when all of them are safe, or cancelled: then the next
    start of the node goes on. What the caller's address refuses is kept here instead."""
    found: list[StoredFile] = []
    error: str | None = None
    for number, made in enumerate(files, start=1):
        name = names.file_name(row.id, number, len(files), made.path.suffix)
        try:
            refused = await _upload(plane, row, made) if number == 1 else NOT_ASKED
            if refused is None:
                found.append(names.stored_file(name, None, made.info.size, made) | {"uploaded": True})
                plane.bytes_recorded += made.info.size
                continue
            error = refused or error
            stored = await put(plane, row, made.path, name)
        except FileNotFoundError:
            log.error("the file %s of %s is neither on this disk nor in the storage", name, row.id)
            error = LOST
            continue
        found.append(names.stored_file(name, stored.path, stored.size, made))
        plane.bytes_recorded += stored.size
    return found, error


async def _upload(plane: Plane, row: Recording | Transcoding, made: MadeFile) -> str | None:
    """To the caller's own address, if there is one. None: it is there; else why it is kept here (NOT_ASKED: no address)."""
    url = row.upload_url
    if url is None:
        return NOT_ASKED
    try:
        async with asyncio.timeout(UPLOAD_PATIENCE):
            await _until_done(plane, lambda: put_presigned(plane.guard, url, made.path), row.id)
    except UploadRefused as refused:
        return f"{refused}; the file is kept here"
    except TimeoutError:
        return GIVEN_UP
    return None


async def find(plane: Plane, row: Recording, name: str) -> str | None:
    """Where the storage has a file of the row already."""
    stored = await _until_done(plane, lambda: plane.storage.find(f"{names.folder(row)}/{name}"), row.id)
    return stored.path if stored is not None else None


async def put(plane: Plane, row: Recording | Transcoding, local: Path, name: str) -> Any:
    """One file of the row under `name`."""
    path = f"{names.folder(row)}/{name}"
    return await _until_done(plane, lambda: plane.storage.put_file(local, path), row.id)


async def _until_done(plane: Plane, attempt: Callable[[], Any], row_id: str) -> Any:
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except UploadRefused:
            raise
        except StorageError as error:
            log.error("the files of %s cannot be stored (%s); trying again in %.0f s", row_id, error, pause)
        await plane.pause(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
