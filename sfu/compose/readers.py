"""A finished file on a clock: the picture at a time, and sound in order. What is broken in it ends it early, no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from sfu.compose.audio import RATE
from sfu.compose.probe import MediaInfo, open_input, probe


class FileReader:
    """`begin` is where the file's zero is in the result, seconds. UnreadableFile from the constructor."""

    def __init__(self, path: Path, begin: float) -> None:
        self.info: MediaInfo = probe(path)
        self.begin = begin
        self.end = begin + self.info.duration
        # One container for each: what the one has read ahead the other would have to keep.
        self._containers = []
        self._pictures = self._open(path, "video") if self.info.kind != "audio" else iter(())
        self._sounds = self._open(path, "audio") if self.info.kind != "video" else iter(())
        self._picture: av.VideoFrame | None = None
        self._next = next(self._pictures, None)
        self._resampler = av.AudioResampler(format="flt", layout="stereo", rate=RATE)
        self._waiting: tuple[float, np.ndarray] | None = None

    def _open(self, path: Path, kind: str) -> Iterator:
        container = open_input(path)
        self._containers.append(container)
        stream = container.streams.best(kind)
        if kind == "video":
            stream.thread_type = "NONE"
        return _decoded(container, stream)

    def picture_at(self, at: float) -> av.VideoFrame | None:
        """The latest one at or before `at`, which never goes back; None before the file's beginning and after its end."""
        while self._next is not None and self.begin + (self._next.time or 0.0) <= at:
            self._picture = self._next
            self._next = next(self._pictures, None)
        return self._picture if self.begin <= at < self.end else None

    def sounds_until(self, at: float) -> Iterator[tuple[float, np.ndarray]]:
        """Blocks (n, 2) at 48 kHz that begin before `at`, with their times, in order and once."""
        while True:
            if self._waiting is None:
                self._waiting = self._next_sound()
            if self._waiting is None or self._waiting[0] >= at:
                return
            yield self._waiting
            self._waiting = None

    def _next_sound(self) -> tuple[float, np.ndarray] | None:
        for frame in self._sounds:
            time = self.begin + (frame.time or 0.0)
            parts = [out.to_ndarray().reshape(-1, 2) for out in self._resampler.resample(frame)]
            if parts:
                return time, np.concatenate(parts)
        return None

    def close(self) -> None:
        for container in self._containers:
            container.close()


def _decoded(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator:
    try:
        yield from container.decode(stream)
    except av.FFmpegError:  # a cut end
        return
