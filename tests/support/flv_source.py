"""An FLV stream as an encoder writes it, made by PyAV: x264 and AAC, a keyframe each second, a picture that says which it is.

Frame n is grey: its luma is 40 + 4 * (n % 40). The sound is 440 Hz.
"""

from __future__ import annotations

import functools
import io
from fractions import Fraction

import av
import numpy as np

FPS = 20
GOP = 20
WIDTH, HEIGHT = 320, 180
SAMPLE_RATE = 48000
HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"


def raw_tag(kind: int, timestamp: int, data: bytes, *, size: int | None = None) -> bytes:
    """One tag as it stands in a file; `size`: what is said behind it."""
    head = bytes((kind,)) + len(data).to_bytes(3, "big") + (timestamp & 0xFFFFFF).to_bytes(3, "big")
    head += bytes((timestamp >> 24, 0, 0, 0))
    return head + data + (len(data) + 11 if size is None else size).to_bytes(4, "big")


def luma_of(frame: int) -> int:
    return 40 + 4 * (frame % 40)


@functools.cache
def make_flv(seconds: float = 4.0, *, video: bool = True, audio: bool = True, noise: bool = False) -> bytes:
    """`noise`: pictures that do not compress, some 8 Mbit/s, for what has to be filled."""
    out = io.BytesIO()
    container = av.open(out, "w", format="flv")
    streams = []
    if video:
        picture = container.add_stream("libx264", rate=FPS)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.codec_context.gop_size = GOP
        picture.codec_context.time_base = Fraction(1, FPS)
        picture.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "5" if noise else "20"}
        streams.append((picture, _pictures(seconds, noise)))
    if audio:
        sound = container.add_stream("aac", rate=SAMPLE_RATE)
        sound.codec_context.layout = "stereo"
        streams.append((sound, _sounds(seconds)))
    pending = [(next(frames), stream, frames) for stream, frames in streams]
    while pending:
        first = min(range(len(pending)), key=lambda index: pending[index][0].time)
        frame, stream, frames = pending[first]
        container.mux(stream.encode(frame))
        try:
            pending[first] = (next(frames), stream, frames)
        except StopIteration:
            del pending[first]
    for stream, _ in streams:
        container.mux(stream.encode(None))
    container.close()
    return out.getvalue()


def _pictures(seconds: float, noise: bool):
    random = np.random.default_rng(1)
    for index in range(int(seconds * FPS)):
        plane = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        plane[:HEIGHT] = random.integers(16, 235, (HEIGHT, WIDTH)) if noise else luma_of(index)
        frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        yield frame


def _sounds(seconds: float):
    for start in range(0, int(seconds * SAMPLE_RATE), 1024):
        wave = 0.3 * np.sin(2 * np.pi * 440 * (start + np.arange(1024)) / SAMPLE_RATE)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]).astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        yield frame
