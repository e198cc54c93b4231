"""A disk of a few megabytes (tmpfs), and how to leave little of it. Needs root and the right to mount; skips without."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

MEGABYTE = 1_000_000


class SmallDisk:
    """`leave` so many bytes of it to others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def leave(self, size: int) -> None:
        """More or less than now."""
        present = self._ballast.stat().st_size if self._ballast.exists() else 0
        wanted = present + self.free - size
        with self._ballast.open("ab", buffering=0) as file:
            if wanted < present:
                file.truncate(wanted)
            else:
                _grow(file, wanted - present)


def _grow(file: BinaryIO, size: int) -> None:
    """Others write meanwhile: what they took is not to be had."""
    with suppress(OSError):
        while size > 0:
            size -= file.write(bytes(min(size, 1 << 16)))


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True) if os.geteuid() == 0 else None
    if mounted is None or mounted.returncode:
        pytest.skip("nobody but root mounts a disk" if mounted is None else mounted.stderr.strip())
    try:
        yield SmallDisk(folder)
    finally:
        # What still holds files there lets go soon; the folder is out of the way at once.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
