"""A platform that takes RTMP: nginx with its module, which is not ours. What it hears of its publishers, and what its viewers see."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
from aiohttp import web

from tests.support.broadcast import eventually
from tests.support.rtmp_nginx import Nginx, running_nginx

PATIENCE = 40.0  # seconds for what a busy machine may take


async def view(nginx: Nginx, key: str, target: Path, *, seconds: float = 2.0) -> Path:
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
    await eventually(lambda: _size(file) > 50_000, PATIENCE)


async def grows(file: Path, size: int) -> None:
    """Until so many bytes more of a stream are on its disk."""
    enough = _size(file) + size
    await eventually(lambda: _size(file) >= enough, PATIENCE)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def goodbye(nginx: Nginx, count: int = 1) -> None:
    """Until so many publishers have ended in order, with deleteStream."""
    await eventually(lambda: len(re.findall("deleteStream", nginx.log())) >= count, PATIENCE)


@asynccontextmanager
async def refuses_all() -> AsyncIterator[str]:
    """For nginx's `on_publish`: whom it asks whether somebody may publish, and who lets nobody."""
    app = web.Application()

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=403)

    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def output(nginx: Nginx, key: str, *, query: str = "") -> dict[str, str]:
    """As POST /v2/livestreams/start has it."""
    return {"url": f"rtmp://127.0.0.1:{nginx.port}/live{query}", "streamKey": key}


@contextmanager
def platforms(home: Path, *names: str, more: str = "") -> Iterator[list[Nginx]]:
    """Several of them, each with a folder of its own."""
    with ExitStack() as stack:
        found = []
        for name in names:
            (home / name).mkdir()
            found.append(stack.enter_context(running_nginx(home / name, more=more)))
        yield found


@dataclass(frozen=True)
class Stream:
    """What a platform kept of a publisher, in seconds."""

    times: list[float]
    keyframes: list[float]
    sounds: list[float]

    @property
    def longest_gap(self) -> float:
        return max(after - before for before, after in pairwise(self.times))

    @property
    def longest_silence(self) -> float:
        return max(after - before for before, after in pairwise(self.sounds))


def read_stream(path: Path) -> Stream:
    """Without decoding: the times of what came."""
    times, keyframes, sounds = [], [], []
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is None:
                continue
            at = float(packet.pts * packet.time_base)
            if packet.stream.type == "audio":
                sounds.append(at)
                continue
            times.append(at)
            if packet.is_keyframe:
                keyframes.append(at)
    return Stream(sorted(times), keyframes, sounds)
