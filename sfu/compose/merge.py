"""Finished files into one: speech left and right, side by side, or one after the other.

Files are decoded, put where their offsets say on one clock, and encoded as a composition is. MP3 takes sound only.
"""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path
from typing import Any

import av
import numpy as np

from sfu.compose.arrange import Rect, tiling
from sfu.compose.audio import HOLD, RATE, Mixer
from sfu.compose.canvas import Canvas, Scaler
from sfu.compose.encoder import EncoderMissing, Encoders
from sfu.compose.finalize import Finalizer, file_info
from sfu.compose.messages import Done, EncoderSpec, Failed, MergeInput, MergeSpec, Progress, Stop, Warned
from sfu.compose.outputs import FileOutput
from sfu.compose.probe import UnreadableFile, probe
from sfu.compose.readers import FileReader

FPS = 30
GRID_SIZE = (1280, 720)
GAP = 8  # pixels between tiles
TILE_ASPECTS = (9 / 16, 16 / 9)
BLACK = (16, 128, 128)
STEP_FRAMES = 5  # of one turn: a tenth of a second of work
PROGRESS_INTERVAL = 1.0
MAX_INPUTS = 25
FAMILIES = {"mp4": "h264", "webm": "webm", "mp3": "mp3"}


class _Wall:
    """Pictures of some files in fixed places of one canvas."""

    def __init__(self, size: tuple[int, int], places: list[tuple[FileReader, Rect]]) -> None:
        self._canvas = Canvas(*size)
        self._places = [(reader, rect, Scaler()) for reader, rect in places]

    def at(self, time: float) -> av.VideoFrame:
        self._canvas.fill(BLACK)
        for reader, rect, scaler in self._places:
            frame = reader.picture_at(time)
            if frame is not None:
                self._canvas.paste(scaler.scale(frame, rect.width, rect.height, "contain", BLACK), rect)
        return self._canvas.to_frame()


class Merge:
    """`ports.Pipeline` that makes `merged.mp4`, `.webm` or `.mp3`. Takes no media but files."""

    def __init__(self, spec: MergeSpec) -> None:
        self._spec = spec
        self._reports: deque[Any] = deque()
        self._done = False
        self._readers: list[FileReader] = []
        self._output: FileOutput | None = None
        self._finalizer: Finalizer | None = None
        self._wall: _Wall | None = None
        self._frame = 0
        self._progress_at: float | None = None
        self._path = Path(spec.directory) / f"merged.{spec.file_format}"
        try:
            self._open()
        except (UnreadableFile, EncoderMissing) as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(f"{self._path.name} cannot be written: {error.strerror}")

    def _open(self) -> None:
        spec = self._spec
        if not 1 <= len(spec.inputs) <= MAX_INPUTS:
            raise UnreadableFile(f"1 to {MAX_INPUTS} files can be merged")
        begin = 0.0
        for item in spec.inputs:
            reader = FileReader(Path(item.path), begin + item.offset)
            self._readers.append(reader)
            if spec.task == "concat":
                begin = reader.end
        self._frames = math.ceil(round(max(reader.end for reader in self._readers) * FPS, 3))
        size = self._set_up_pictures()
        self._mixer = Mixer(0.0)
        for index, reader in enumerate(self._readers):
            if spec.task == "stereo" and reader.info.kind == "video":
                raise UnreadableFile(f"{Path(spec.inputs[index].path).name} has no sound")
            self._mixer.add(str(index))
        self._encoders = Encoders(EncoderSpec(), FAMILIES[spec.file_format], size, FPS)
        self._output = FileOutput(self._path, self._encoders)

    def _set_up_pictures(self) -> tuple[int, int] | None:
        """The size of the picture, if there is one."""
        seen = [reader for reader in self._readers if reader.info.kind != "audio"]
        if self._spec.task == "stereo" or self._spec.file_format == "mp3" or not seen:
            return None
        if self._spec.task == "concat":
            size = seen[0].info.width // 2 * 2, seen[0].info.height // 4 * 4
            rects = (Rect(0, 0, *size),) * len(seen)
        else:
            size = GRID_SIZE
            rects = tiling(len(seen), Rect(0, 0, *size), GAP, TILE_ASPECTS)
        self._wall = _Wall(size, list(zip(seen, rects, strict=True)))
        return size

    # The pipeline

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        """There is no media."""

    def receive_control(self, message: Any, *, now: float) -> None:
        """Stop gives up: half a merge is of no use."""
        if isinstance(message, Stop) and not self._done:
            self._fail("the merge was stopped")

    def tick(self, *, now: float) -> float:
        if self._done:
            return now + PROGRESS_INTERVAL
        if self._finalizer is not None:
            if self._finalizer.step():
                self._finish()
        else:
            self._step()
        if self._progress_at is None or now - self._progress_at >= PROGRESS_INTERVAL:
            self._progress_at = now
            self._reports.append(Progress(self._frame / FPS, frames=self._frame))
        return now

    def _step(self) -> None:
        assert self._output is not None
        for _ in range(min(STEP_FRAMES, self._frames - self._frame)):
            if self._wall is not None:
                self._write(self._encoders.encode_video(self._picture(self._wall), self._frame))
            self._frame += 1
            self._make_sound(self._frame / FPS)
        if self._output.error is not None:
            self._fail(f"{self._path.name} cannot be written: {self._output.error}")
        elif self._frame >= self._frames:
            self._make_sound(self._frames / FPS + self._encoders.block_samples / RATE)
            self._write(self._encoders.flush())
            self._output.close()
            files = [] if self._spec.file_format == "mp3" else [(self._path, 0.0)]
            self._finalizer = Finalizer(files)

    def _picture(self, wall: _Wall) -> av.VideoFrame:
        return wall.at(self._frame / FPS)

    def _make_sound(self, until: float) -> None:
        block = self._encoders.block_samples
        while self._mixer.position + block <= until * RATE:
            position = self._mixer.position
            needed = (position + block) / RATE + HOLD
            for index, (reader, item) in enumerate(zip(self._readers, self._spec.inputs, strict=True)):
                for at, samples in reader.sounds_until(needed):
                    self._mixer.write(str(index), self._placed(samples, item), at)
            self._write(self._encoders.encode_audio(self._mixer.read(block), position))

    def _placed(self, samples: np.ndarray, item: MergeInput) -> np.ndarray:
        if self._spec.task != "stereo":
            return samples
        placed = np.zeros_like(samples)
        placed[:, item.channel & 1] = samples.mean(axis=1)
        return placed

    def _write(self, packets: Any) -> None:
        assert self._output is not None
        for packet in packets:
            self._output.write(packet)

    def _finish(self) -> None:
        assert self._finalizer is not None
        self._reports.extend(Warned(text) for text in self._finalizer.warnings)
        files = tuple(self._finalizer.done)
        try:
            files = files or (file_info(self._path, 0.0, probe(self._path)),)
        except UnreadableFile as error:
            self._fail(str(error))
            return
        self._done = True
        self._reports.append(Done(files))
        self.close()

    def _fail(self, text: str) -> None:
        self._done = True
        self._reports.append(Failed(text))
        self.close()
        self._path.unlink(missing_ok=True)

    def next_report(self) -> Any | None:
        return self._reports.popleft() if self._reports else None

    def datagrams_to_send(self) -> list[bytes]:
        return []

    @property
    def is_done(self) -> bool:
        return self._done

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        if self._output is not None:
            self._output.close()
        if self._finalizer is not None:
            self._finalizer.close()
