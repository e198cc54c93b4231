"""Track recordings: a file for each run of a track, from its first media to its mute or end. Nothing is decoded or encoded,
but sound into MP3."""

from __future__ import annotations

from dataclasses import dataclass

from media.codecs import Kind
from sfu.compose.blank import picture_size
from sfu.compose.messages import TrackFileSpec
from sfu.compose.passthrough import FileSet, Form, MediaFile
from sfu.compose.source import AccessUnit, Source


@dataclass(slots=True)
class _Run:
    source: Source
    file: MediaFile | None = None


class RunFiles:
    """Times are Unix seconds (`wall`) but `now`."""

    def __init__(self, spec: TrackFileSpec, files: FileSet) -> None:
        self._files = files
        self._wanted = {kind for kind, wanted in ((Kind.AUDIO, spec.audio), (Kind.VIDEO, spec.video)) if wanted}
        if spec.file_format == "mp3":
            self._wanted.discard(Kind.VIDEO)
        self._runs: dict[str, _Run] = {}
        self.begins: float | None = None

    def add(self, source: Source, *, now: float, wall: float) -> None:
        if source.info.kind in self._wanted:
            self._runs[source.info.track_id] = _Run(source)
        else:
            source.set_shown(False)

    def remove(self, track_id: str, *, now: float, wall: float) -> None:
        run = self._runs.pop(track_id, None)
        if run is not None:
            self._end(run, wall)

    def set_muted(self, track_id: str, muted: bool, *, now: float, wall: float) -> None:
        run = self._runs.get(track_id)
        if run is not None and muted:
            self._end(run, wall)

    def step(self, *, now: float, wall: float, end: float | None = None) -> None:
        for run in self._runs.values():
            while (unit := run.source.next_unit(now=now)) is not None:
                if end is None or unit.at < end:
                    self._write(run, unit)

    def _write(self, run: _Run, unit: AccessUnit) -> None:
        if run.file is None and self._files.is_full:
            return
        if unit.codec.kind is Kind.AUDIO:
            if run.file is None:
                run.file = self._open(run, unit, None)
            run.file.write_audio(unit)
            return
        if run.file is None or (run.file.form is not None and run.file.form.codec != unit.codec.name):
            size = picture_size(unit) if unit.keyframe else None
            if size is None or self._files.is_full:
                return
            self._end(run, unit.at)
            run.file = self._open(run, unit, Form(unit.codec.name, *size))
        run.file.write_video(unit.data, unit.at, keyframe=unit.keyframe)

    def _open(self, run: _Run, unit: AccessUnit, form: Form | None) -> MediaFile:
        if self.begins is None:
            self.begins = unit.at
        info = run.source.info
        return self._files.open(info.source, unit.at, form, audio=form is None, track_id=info.track_id, number=True)

    def _end(self, run: _Run, end: float) -> None:
        if run.file is not None:
            run.file.finish(end)
            run.file = None

    def finish(self, end: float) -> None:
        for run in self._runs.values():
            self._end(run, end)
