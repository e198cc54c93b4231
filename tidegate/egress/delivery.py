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
        if row.upload_url is not None and number == 1:
            size = (await asyncio.to_thread(made.path.stat)).st_size
            try:
                await _until_done(lambda made=made: put_presigned(plane.guard, row.upload_url, made.path), row.id)
            except UploadRefused as refused:
                error = f"{refused}; the file is kept here"
            else:
                found.append(names.stored_file(name, None, size, made) | {"uploaded": True})
                continue
        stored = await put(plane, row, made.path, name)
        found.append(names.stored_file(name, stored.path, stored.size, made))
        plane.bytes_recorded += stored.size
    return found, error


async def put(plane: Plane, row: Recording | Transcoding, local: Path, name: str) -> Any:
    """One file of the row under `name`."""
    path = f"{names.folder(row)}/{name}"
    return await _until_done(lambda: plane.storage.put_file(local, path), row.id)


async def _until_done(attempt: Callable[[], Any], row_id: str) -> Any:
    pause = FIRST_PAUSE
    while True:
        try:
            return await attempt()
        except UploadRefused:
            raise
        except StorageError as error:
            log.error("the files of %s cannot be stored (%s); trying again in %.0f s", row_id, error, pause)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 2)
