"""Recordings made by a whole node with real publishers and real workers, and what is in them."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy

from tests.support.aiortc_peer import COLOURS, ColourTrack, Publisher, ToneTrack
from tests.support.node import RunningNode
from tests.support.served_node import ServedNode

PATIENCE = 40.0  # seconds for what a busy machine may take


@asynccontextmanager
async def publishing(node: RunningNode | ServedNode, room_id: str, name: str, colour: str = "red") -> AsyncIterator[Publisher]:
    """Somebody in the room with a coloured picture and a 440 Hz tone, once both are published."""
    async with aiohttp.ClientSession() as http:
        url = f"{node.url}/v2/whip?roomId={room_id}&participantId={name}&displayName={name}"
        peer = Publisher(http, url, node.token())
        peer.publish(ColourTrack(colour), ToneTrack())
        try:
            await peer.connect()
            await until(lambda: node.is_published(room_id, name))
            yield peer
        finally:
            await peer.close()


async def until(what: Callable[[], Any]) -> Any:
    """The first true answer of an async question."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await what()
            if answer:
                return answer
            await asyncio.sleep(0.05)


async def state_of(node: RunningNode | ServedNode, path: str, *states: str) -> dict[str, Any]:
    """The row of `path` once it is in one of the states."""

    async def look() -> dict[str, Any] | None:
        row = await node.call("GET", path)
        return row if row["status"] in states else None

    return await until(look)


async def download(node: RunningNode | ServedNode, url: str, target: Path) -> Path:
    async with node.http.get(f"{node.url}/{url.split('/', 3)[3]}") as answer:
        assert answer.status == 200, await answer.text()
        await asyncio.to_thread(target.write_bytes, await answer.read())
    return target


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of a file."""
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def pictures(path: Path) -> list[tuple[float, numpy.ndarray]]:
    """(seconds, RGB) of every frame."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def shows(picture: numpy.ndarray, colour: str) -> bool:
    """Whether a good part of the picture has that colour."""
    y, u, v = COLOURS[colour]
    red = y + 1.402 * (v - 128)
    green = y - 0.344 * (u - 128) - 0.714 * (v - 128)
    blue = y + 1.772 * (u - 128)
    distance = numpy.abs(picture.astype(int) - numpy.array([red, green, blue])).max(axis=2)
    return float((distance < 48).mean()) > 0.1


def tone(path: Path) -> float:
    """The strongest frequency of the sound, in Hz."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = numpy.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
        rate = stream.codec_context.sample_rate
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    spectrum = numpy.abs(numpy.fft.rfft(middle * numpy.hanning(len(middle))))
    return float(numpy.argmax(spectrum) * rate / len(middle))


def is_well(row: dict[str, Any]) -> bool:
    """Stopped, and nothing to say of it, but perhaps of a machine that other tests keep busy."""
    return row["status"] == "stopped" and (row["error"] is None or "too busy" in row["error"])
