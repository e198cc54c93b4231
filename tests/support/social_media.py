"""A platform that takes RTMP: nginx with its module, which is not ours. What it hears of its publishers, and what its viewers see."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.support.broadcast import eventually
from tests.support.rtmp_nginx import Nginx

PATIENCE = 40.0  # seconds for what a busy machine may take


async def view(nginx: Nginx, key: str, target: Path, *, seconds: float = 3.0) -> Path:
    """What somebody sees who watches it there for so long, by ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", f"rtmp://127.0.0.1:{nginx.port}/live/{key}", "-t", str(seconds)]
    viewer = await asyncio.create_subprocess_exec(
        *command, "-c", "copy", str(target), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE):
            _, words = await viewer.communicate()
    finally:
        if viewer.returncode is None:
            viewer.kill()
            await viewer.wait()
    assert viewer.returncode == 0, words.decode()
    return target


async def publishes(nginx: Nginx, key: str, *, life: int = 1) -> None:
    """Until some of the stream is on its disk."""
    file = nginx.recording(key, life=life)
    await eventually(lambda: file.exists() and file.stat().st_size > 50_000, PATIENCE)


async def goodbye(nginx: Nginx, count: int = 1) -> None:
    """Until so many publishers have ended in order, with deleteStream."""
    await eventually(lambda: len(re.findall("deleteStream", nginx.log())) >= count, PATIENCE)
