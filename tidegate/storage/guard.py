"""Watches the disk: with little left, recordings are ended while there is still room to end them well."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

log = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds: ten recordings at 5 Mbit/s write 31 MB meanwhile, a sixteenth of the default reserve
MEGABYTE = 1_000_000


def free_bytes(folder: Path) -> int:
    """What an ordinary process may still write where the folder is, or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


class DiskGuard:
    """`folders`: where pipelines write and where finished files stay; the fullest one counts."""

    def __init__(
        self, folders: tuple[Path, ...], *, min_free_mb: int, measure: Callable[[Path], int] = free_bytes
    ) -> None:
        self._folders = folders
        self.min_free = min_free_mb * MEGABYTE
        self._measure = measure
        self.free: int | None = None
        """Bytes, when last looked; for metrics."""

    async def look(self) -> bool:
        """Whether there is room. A disk that cannot be asked is taken for a full one."""
        try:
            self.free = await asyncio.to_thread(lambda: min(self._measure(folder) for folder in self._folders))
        except OSError as error:
            log.error("the disk cannot be asked how much is free: %s", error.strerror)
            self.free = 0
        return self.ok()

    def ok(self) -> bool:
        """As it was when last looked; before that, yes."""
        return self.free is None or self.free >= self.min_free

    async def run(self, on_low: Callable[[], Awaitable[None]]) -> None:
        """Look for ever. `on_low` is awaited each time that it is found low, so that it ends what began since, too."""
        was_ok = True
        while True:
            is_ok = await self.look()
            if not is_ok:
                if was_ok:
                    log.error("the disk is nearly full: recordings are ended", extra={"free_bytes": self.free})
                await on_low()
            elif not was_ok:
                log.info("the disk has room again", extra={"free_bytes": self.free})
            was_ok = is_ok
            await asyncio.sleep(INTERVAL)
