from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress

import pytest

from tidegate.storage import guard as module
from tidegate.storage.guard import DiskGuard, free_bytes


async def test_the_fullest_folder_counts(tmp_path):
    room = {tmp_path / "a": 900_000_000, tmp_path / "b": 600_000_000}
    guard = DiskGuard(tuple(room), min_free_mb=500, measure=room.__getitem__)
    assert guard.ok() and guard.free is None
    assert await guard.look() and guard.free == 600_000_000
    room[tmp_path / "b"] = 499_999_999
    assert not await guard.look() and not guard.ok()


async def test_a_disk_that_cannot_be_asked_takes_nothing(tmp_path):
    def broken(folder):
        raise OSError(5, "Input/output error")

    assert not await DiskGuard((tmp_path,), min_free_mb=1, measure=broken).look()


async def test_recordings_are_ended_as_long_as_it_is_low(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0)
    free = [10_000_000, 1, 1, 10_000_000, 1]
    calls: list[int] = []
    done = asyncio.Event()

    def measure(folder):
        if not free:
            done.set()
            return 10_000_000
        return free.pop(0)

    async def on_low():
        calls.append(len(free))

    guard = DiskGuard((tmp_path,), min_free_mb=5, measure=measure)
    task = asyncio.create_task(guard.run(on_low))
    async with asyncio.timeout(30):
        await done.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert calls == [3, 2, 0]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 8 MB."""
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs privileges")
    yield disk
    subprocess.run(["umount", disk], check=True)


async def test_a_real_disk_that_fills_up(small_disk):
    guard = DiskGuard((small_disk / "not made yet",), min_free_mb=4)
    assert await guard.look() and 7_000_000 < guard.free <= 8_400_000
    (small_disk / "film").write_bytes(bytes(5_000_000))
    assert not await guard.look()
    (small_disk / "film").unlink()
    assert await guard.look() and free_bytes(small_disk) > 7_000_000
