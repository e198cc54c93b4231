"""Recordings of participants and tracks without transcoding: `TrackFiles`, a pipeline of the media worker.

Packets become access units (`source.py`) and go into files as they are (`passthrough.py`), by the plan of `continuous.py` or
`runs.py`; at the end files are finalised (`finalize.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from media.clock import WallClock
from sfu.compose.blank import can_record
from sfu.compose.continuous import ContinuousFiles
from sfu.compose.finalize import Finalizer, file_info
from sfu.compose.messages import (
    Done,
    Failed,
    FileInfo,
    FileOpened,
    Progress,
    SourceAdded,
    SourceMuted,
    SourceRemoved,
    Started,
    Stop,
    TrackFileSpec,
    Warned,
)
from sfu.compose.passthrough import FileSet, Mp3File
from sfu.compose.probe import UnreadableFile, probe
from sfu.compose.runs import RunFiles
from sfu.compose.source import SourceTable

TICK = 0.1  # seconds between looks at what is missing; packets are written when they come
PROGRESS_INTERVAL = 1.0
GRACE = 0.3  # seconds that the last packets may take after the request to stop


class TrackFiles:
    """Implements `ports.Pipeline`. Unix time comes from `wall`, once: `now` carries it on."""

    def __init__(self, spec: TrackFileSpec, *, wall: Callable[[], float], now: float) -> None:
        self._clock = WallClock(wall=wall(), now=now)
        self._table = SourceTable(spec.playout_delay, self._clock, hold=False)
        self._reports: deque[Any] = deque()
        self._files = FileSet(Path(spec.directory), spec.file_format, self._tell_opened)
        self._plan = ContinuousFiles(spec, self._files) if spec.continuous else RunFiles(spec, self._files)
        self._started = False
        self._progress_at = now
        self._end: float | None = None  # Unix time of the last moment
        self._error: str | None = None
        self._finalizer: Finalizer | None = None
        self._tracks: dict[str, str | None] = {}  # by file name
        self._done = False

    def _tell_opened(self, name: str, at: float) -> None:
        if not self._started:
            self._started = True
            self._reports.append(Started(at))
        self._reports.append(FileOpened(name, at))

    # In

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        self._table.receive_datagram(data, now=now)

    def receive_control(self, message: Any, *, now: float) -> None:
        """What is not about sources does not concern a recording."""
        if self._end is not None:
            return
        wall = self._clock.wall(now)
        match message:
            case SourceAdded():
                self._remove(message.track_id, now, wall)
                self._add(message, now, wall)
            case SourceRemoved():
                self._remove(message.track_id, now, wall)
            case SourceMuted() if message.track_id in self._table.sources:
                self._plan.step(now=now, wall=wall)
                if message.muted != self._table.sources[message.track_id].muted:
                    self._table.set_muted(message.track_id, message.muted)
                    self._plan.set_muted(message.track_id, message.muted, now=now, wall=wall)
            case Stop():
                self._end = wall

    def _add(self, info: SourceAdded, now: float, wall: float) -> None:
        if not any(can_record(codec) for codec in info.codecs):
            self._reports.append(Warned("none of its codecs can be recorded", info.track_id))
            return
        self._plan.add(self._table.add(info, now=now), now=now, wall=wall)

    def _remove(self, track_id: str, now: float, wall: float) -> None:
        if track_id in self._table.sources:
            self._plan.step(now=now, wall=wall)
            self._plan.remove(track_id, now=now, wall=wall)
            self._table.remove(track_id)

    # On

    def tick(self, *, now: float) -> float:
        if self._done:
            return now + PROGRESS_INTERVAL
        if self._finalizer is not None:
            self._finalize()
            return now
        wall = self._clock.wall(now)
        self._plan.step(now=now, wall=wall, end=self._end)
        self._error = self._error or self._files.error
        if self._error is not None or (self._end is not None and wall >= self._end + GRACE):
            self._close_files(self._end if self._end is not None else wall)
            return now
        if now - self._progress_at >= PROGRESS_INTERVAL:
            self._progress_at = now
            self._reports.append(self._progress(wall))
        return now + TICK

    def _progress(self, wall: float) -> Progress:
        begins = self._plan.begins
        return Progress(
            media_time=wall - begins if begins is not None else 0.0,
            frames=self._files.frames,
            bytes_written=self._files.bytes_written,
        )

    def _close_files(self, end: float) -> None:
        self._plan.finish(end)
        self._files.close()
        self._tracks = {opened.file.path.name: opened.track_id for opened in self._files.all}
        files = [opened.file for opened in self._files.all if not isinstance(opened.file, Mp3File)]
        self._finalizer = Finalizer([(file.path, file.zero) for file in files])

    def _finalize(self) -> None:
        assert self._finalizer is not None
        if not self._finalizer.step():
            return
        self._reports.extend(Warned(text) for text in self._finalizer.warnings)
        infos = [*self._finalizer.done, *self._plain_files()]
        infos.sort(key=lambda info: (info.start, info.name))
        files = tuple(replace(info, track_id=self._tracks.get(info.name)) for info in infos)
        if self._error is not None:
            self._reports.append(Failed(f"nothing could be written any more: {self._error}", files))
        else:
            self._reports.append(Done(files))
        self._done = True

    def _plain_files(self) -> list[FileInfo]:
        """MP3 is finished as it is."""
        out = []
        for opened in self._files.all:
            if isinstance(opened.file, Mp3File):
                try:
                    out.append(file_info(opened.file.path, opened.file.zero, probe(opened.file.path)))
                except UnreadableFile as error:
                    self._reports.append(Warned(str(error)))
        return out

    # Out

    def next_report(self) -> Any | None:
        return self._reports.popleft() if self._reports else None

    def datagrams_to_send(self) -> list[bytes]:
        return self._table.datagrams_to_send()

    @property
    def is_done(self) -> bool:
        return self._done

    def close(self) -> None:
        """Without finalising: what is on disk stays playable."""
        self._files.close()
        if self._finalizer is not None:
            self._finalizer.close()
