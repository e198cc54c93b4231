"""Deletes files: of recordings that somebody deleted, and of those that are older than they are to be kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tidegate.storage.ports import Storage, StorageError
from tidegate.store import Recording, Store, Transcoding

log = logging.getLogger(__name__)

INTERVAL = 3600.0
DAY_MS = 24 * 3_600_000
SLICE = 100  # rows at a time


async def tidy(store: Store, storage: Storage, keep_days: int, now_wall: float) -> int:
    """One round; of how many recordings and transcodings the files went. `keep_days` 0: only deleted ones."""
    before_ms = int(now_wall * 1000) - keep_days * DAY_MS if keep_days else None
    cleared = 0
    for ledger in (store.recordings, store.transcodings):
        while rows := await ledger.to_clear(before_ms, SLICE):
            done = sum([await clear(store, storage, row) for row in rows])
            cleared += done
            if done < len(rows):
                break  # what the storage does not delete now is tried again with the next round
    return cleared


async def clear(store: Store, storage: Storage, row: Recording | Transcoding) -> bool:
    """Delete the files of a row, and note it; False when the storage did not."""
    paths = [entry["path"] for entry in row.files if entry.get("path")]
    timeline = getattr(row, "timeline", None)
    try:
        for path in [*paths, *([timeline] if timeline else [])]:
            await storage.delete(path)
    except StorageError as error:
        log.warning("files are not deleted: %s", error, extra={"recording": row.id})
        return False
    ledger = store.recordings if isinstance(row, Recording) else store.transcodings
    async with ledger.transaction() as tx:
        await ledger.update(tx, row.id, is_cleared=True)
    return True


async def run(store: Store, storage: Storage, keep_days: int, wall: Callable[[], float]) -> None:
    """A round every hour, until cancelled. A round that fails is tried again with the next."""
    while True:
        try:
            cleared = await tidy(store, storage, keep_days, wall())
            if cleared:
                log.info("files of recordings are deleted", extra={"recordings": cleared})
        except Exception:
            log.exception("deleting files failed")
        await asyncio.sleep(INTERVAL)
