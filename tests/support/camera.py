"""People with a camera and a voice of their own for Chromium, and how to find them again in what was made of the call."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy
from playwright.async_api import Browser

from tests.support.aiortc_peer import COLOURS
from tests.support.browser import chromium
from tests.support.recordings import shows

WIDTH, HEIGHT, FPS = 640, 360, 30
RATE = 48000
BEEP = RATE // 5  # samples on, then as many off: what never pauses is noise to a browser, which takes it away
LOUDER = 20.0  # a voice that is there, against the same spectrum's middle


@dataclass(frozen=True)
class Looks:
    """How somebody looks and sounds."""

    colour: str
    hertz: int


ADA, BOB = Looks("red", 440), Looks("green", 660)


@asynccontextmanager
async def browser_of(looks: Looks, folder: Path) -> AsyncIterator[Browser]:
    """Chromium whose camera shows their colour, with a bar that moves, and whose microphone beeps with their tone."""
    picture, sound = folder / f"{looks.colour}.y4m", folder / f"{looks.hertz}.wav"
    _write_pictures(picture, looks.colour)
    _write_beeps(sound, looks.hertz)
    files = [f"--use-file-for-fake-video-capture={picture}", f"--use-file-for-fake-audio-capture={sound}"]
    async with chromium(extra_args=files) as browser:
        yield browser


def _write_pictures(path: Path, colour: str) -> None:
    y, u, v = COLOURS[colour]
    chroma = bytes([u]) * (WIDTH * HEIGHT // 4) + bytes([v]) * (WIDTH * HEIGHT // 4)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420\n".encode())
        for number in range(FPS):
            luma = numpy.full((HEIGHT, WIDTH), y, numpy.uint8)
            luma[:, number * 20 : number * 20 + 8] = 235
            file.write(b"FRAME\n" + luma.tobytes() + chroma)


def _write_beeps(path: Path, hertz: int) -> None:
    at = numpy.arange(10 * RATE)
    loud = (at // BEEP) % 2 == 0
    samples = (numpy.sin(2 * numpy.pi * hertz * at / RATE) * 12000 * loud).astype(numpy.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


# What was made of it


@dataclass(frozen=True)
class Seen:
    """A picture of a composition. `left` and `right`: whose colour that half has, `all`: everybody's anywhere."""

    time: float
    is_key: bool
    left: frozenset[str]
    right: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.left | self.right


def watch(path: Path, *, each: int = 1) -> list[Seen]:
    """Every `each`-th picture of a file."""
    return list(_watch(path, each))


def _watch(path: Path, each: int) -> Iterator[Seen]:
    with av.open(str(path)) as container:
        if not container.streams.video:
            return  # a glimpse of a stream, over before a keyframe came
        for number, frame in enumerate(container.decode(video=0)):
            if number % each:
                continue
            pixels = frame.to_ndarray(format="rgb24", width=frame.width // 4, height=frame.height // 4)
            middle = pixels.shape[1] // 2
            yield Seen(frame.time, frame.key_frame, _colours(pixels[:, :middle]), _colours(pixels[:, middle:]))


def _colours(pixels: numpy.ndarray) -> frozenset[str]:
    return frozenset(colour for colour in COLOURS if shows(pixels, colour))


def hears(path: Path, looks: Looks) -> bool:
    """Whether their tone stands out of the sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = numpy.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
        rate = stream.codec_context.sample_rate
    spectrum = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(len(samples))))
    hertz = numpy.arange(len(spectrum)) * rate / len(samples)
    near = spectrum[abs(hertz - looks.hertz) < 3].max()
    around = numpy.median(spectrum[(hertz > 300) & (hertz < 900)])
    return bool(near > LOUDER * around)
