"""A composition: RTP of many in, one picture and one mix out, into a file and an FLV stream.

Everything hangs on one clock: what was captured at media time t is shown at t. Pictures are counted out, sound is counted out,
and neither drives the other. `intake.py` decodes, `stage.py` composes, `audio.py` mixes, `encoder.py` encodes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from media.clock import WallClock
from media.errors import ParseError
from sfu.compose.audio import HOLD, RATE, Mixer
from sfu.compose.costs import Costs
from sfu.compose.encoder import Encoded, EncoderMissing, Encoders
from sfu.compose.finalize import Finalizer
from sfu.compose.intake import Intake
from sfu.compose.messages import (
    CompositionSpec,
    Done,
    Failed,
    FileFailed,
    FileOpened,
    PersonJoined,
    PersonLeft,
    PicturesWanted,
    PinsChanged,
    Progress,
    SceneChanged,
    SourceAdded,
    SourceMuted,
    SourceRemoved,
    SpeakersChanged,
    Started,
    Stop,
    Warned,
)
from sfu.compose.outputs import FileOutput, FlvOutput, Output
from sfu.compose.stage import Stage

PROGRESS_INTERVAL = 1.0
THIN_BEHIND = 0.5  # seconds: further behind, every other picture is left out until we are not
JUMP_BEHIND = 2.0  # further behind, no picture up to now is decoded or made; sound goes on without a gap
FLV_PATIENCE = 3.0  # seconds for the node to take the end of a stream
MAX_WAITING_CONTROLS = 10_000  # told in advance of their media time; beyond it they act at once


class Composition:
    """`ports.Pipeline`. Media time zero is `wall()` at the start; what was captured at t is encoded once `playout_delay` has
    passed. `flv_fd` is ours to close. ParseError when the scene's layout is wrong."""

    def __init__(
        self, spec: CompositionSpec, flv_fd: int | None = None, *, wall: Callable[[], float], now: float
    ) -> None:
        self._spec = spec
        self._begin = now
        self._clock = WallClock(wall=wall(), now=now)
        self._start = self._clock.wall(now)
        self._reports: deque[Any] = deque()
        self._costs = Costs()
        directory = Path(spec.directory)
        pictures = spec.mode == "video-and-audio"
        size = (spec.width, spec.height)
        self._stage = Stage(*size, spec.fps, spec.scene, directory=directory) if pictures else None
        self._mixer = Mixer(self._start)
        self._intake = Intake(spec.playout_delay, self._clock, self._mixer, self._stage, self._costs)
        self._controls: deque[tuple[float, Any]] = deque()  # with the media time at which they act
        self._added: dict[str, float] = {}  # tracks, and when they came
        self._frame = 0  # the next one
        self._jump_to = 0  # pictures before this one are left out
        self._wanted: frozenset[str] = frozenset()  # as last told
        self._end: int | None = None  # frames in all
        self._dropped = 0
        self._phase = self._run
        self._progress_at = now
        self._outputs: list[Output] = []
        self._ended: set[str] = set()  # outputs whose failure was told
        self._finalizer: Finalizer | None = None
        self._flv_deadline: float | None = None
        try:
            self._open_outputs(directory, size if pictures else None, flv_fd)
        except (EncoderMissing, OSError) as error:
            self._fail(error.strerror or "a file cannot be made" if isinstance(error, OSError) else str(error))

    def _open_outputs(self, directory: Path, size: tuple[int, int] | None, flv_fd: int | None) -> None:
        spec = self._spec
        webm = spec.file_format == "webm"
        if webm and spec.flv:
            raise EncoderMissing("one encode serves a broadcast and an MP4 file, not a WebM file")
        self._encoders = Encoders(spec.encoder, "webm" if webm else "h264", size, spec.fps)
        if spec.file_format is not None:
            path = _free_path(directory, f".{spec.file_format}")
            self._outputs.append(FileOutput(path, self._encoders))
            self._reports.append(FileOpened(path.name, self._start))
        if spec.flv and flv_fd is not None:
            self._outputs.append(FlvOutput(flv_fd, self._encoders))

    # In

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        self._intake.receive_datagram(data, now=now)

    def receive_control(self, message: Any, *, now: float) -> None:
        """What changes the picture or mutes acts at its media time: a playout delay from now. Decoders get ready at once."""
        match message:
            case Stop():
                self._stop(now)
            case SourceAdded():
                self._reports.extend(self._intake.add(message, now=now))
                self._added[message.track_id] = now - self._begin
            case SourceMuted() if not message.muted:
                self._intake.unmute(message.track_id, now=now)
            case SpeakersChanged() if message.active is not None:
                self._intake.expect(self._intake.tracks_of([message.active]), now=now)
            case PinsChanged():
                self._intake.expect(self._intake.tracks_of((*message.cameras, *message.shares)), now=now)
            case SceneChanged():
                self._intake.expect(self._intake.track_ids, now=now)
        if not isinstance(message, Stop):
            self._controls.append((now - self._begin, message))
        if len(self._controls) > MAX_WAITING_CONTROLS:
            self._apply(*self._controls.popleft())

    def _apply(self, at: float, message: Any) -> None:
        if isinstance(message, SourceMuted | SourceRemoved) and at >= self._added.get(message.track_id, 0.0):
            # Else it was meant for a track of the same id that another has replaced since.
            if isinstance(message, SourceMuted):
                self._intake.set_muted(message.track_id, message.muted)
            else:
                self._intake.remove(message.track_id)
                self._added.pop(message.track_id, None)
        if self._stage is not None:
            self._apply_to_stage(self._stage, at, message)

    def _apply_to_stage(self, stage: Stage, at: float, message: Any) -> None:
        match message:
            case SourceAdded():
                stage.source_added(message.track_id, message.participant_id, message.source, at, muted=message.muted)
            case SourceRemoved():
                stage.source_removed(message.track_id, at)
            case SourceMuted():
                stage.source_muted(message.track_id, message.muted, at)
            case PersonJoined():
                stage.person_joined(message.participant_id, message.name, at)
            case PersonLeft():
                stage.person_left(message.participant_id, at)
            case SpeakersChanged():
                stage.set_speakers(message.active, message.order, at)
            case PinsChanged():
                stage.set_pins(message.cameras, message.shares, at)
            case SceneChanged():
                try:
                    stage.set_scene(message.scene, at)
                except ParseError as error:
                    self._reports.append(Warned(f"the layout was not changed: {error}"))

    def _stop(self, now: float) -> None:
        if self._end is None:
            self._end = max(self._frame, math.ceil(round((now - self._begin) * self._spec.fps, 3)))

    # On

    def tick(self, *, now: float) -> float:
        """At most one picture a call, so that packets are read in between."""
        again = self._phase(now)
        elapsed = now - self._progress_at
        if elapsed >= PROGRESS_INTERVAL and not self.is_done:
            self._progress_at = now
            self._reports.append(self._progress(now, elapsed))
        return again

    def _due(self, frame: int) -> float:
        """A frame shows what was captured until the middle of its time: half a frame early or late, not up to a whole one late."""
        return self._begin + (frame + 0.5) / self._spec.fps + self._spec.playout_delay

    def _run(self, now: float) -> float:
        due = self._due(self._frame)
        if self._end is None and now < due:
            return min(due, self._progress_at + PROGRESS_INTERVAL)
        if self._end is not None and self._frame >= self._end:
            self._finish_encoding()
            self._phase = self._end_outputs
            return now
        behind = now - due
        if behind > JUMP_BEHIND:
            self._jump_to = self._frame + int((behind - THIN_BEHIND) * self._spec.fps)
        ends = self._end is not None
        if self._frame < self._jump_to:
            self._make_frame(decodes=False, paints=ends)
        else:
            if behind > THIN_BEHIND and self._frame % 2 and not ends:
                self._make_frame(paints=False)
            self._make_frame()
        return now if ends else self._due(self._frame)

    def _make_frame(self, *, decodes: bool = True, paints: bool = True) -> None:
        """What is due with one picture. Sound is made with each, seen or not: the mixer holds half a second."""
        at = self._frame / self._spec.fps
        while self._controls and self._controls[0][0] <= at:
            self._apply(*self._controls.popleft())
        self._reports.extend(self._intake.pull(now=self._due(self._frame), pictures=decodes))
        if not paints:
            self._dropped += 1
        elif self._stage is not None:
            self._make_picture(self._stage, at)
        self._frame += 1
        self._make_sound(self._frame / self._spec.fps - HOLD)
        if self._frame == 1 and self._outputs:
            self._reports.append(Started(self._start))

    def _make_picture(self, stage: Stage, at: float) -> None:
        scaled = stage.seconds["scale"]
        with self._costs.of("blend"):
            picture = stage.render(at)
        scaled = stage.seconds["scale"] - scaled
        self._costs.add("scale", scaled)
        self._costs.add("blend", -scaled)
        wanted = self._intake.wanted
        if wanted != self._wanted:
            self._wanted = wanted
            self._reports.append(PicturesWanted(tuple(sorted(wanted))))
        for text in stage.take_warnings():
            self._reports.append(Warned(text))
        with self._costs.of("encode"):
            packets = list(self._encoders.encode_video(picture, self._frame))
        self._mux(packets)

    def _make_sound(self, until: float) -> None:
        """As many whole blocks as end before `until`, media time."""
        block = self._encoders.block_samples
        while self._mixer.position + block <= until * RATE:
            position = self._mixer.position
            with self._costs.of("audio"):
                packets = list(self._encoders.encode_audio(self._mixer.read(block), position))
            self._mux(packets)

    def _mux(self, packets: list[Encoded]) -> None:
        with self._costs.of("mux"):
            for packet in packets:
                for output in self._outputs:
                    output.write(packet)
        self._check_outputs()

    def _check_outputs(self) -> None:
        """An output that broke costs itself only; the last one costs the composition."""
        alive = 0
        for output in self._outputs:
            error = output.error
            if error is None:
                alive += 1
            elif output.name not in self._ended:
                self._ended.add(output.name)
                is_file = output.path is not None
                self._reports.append(FileFailed(output.name, error) if is_file else Warned(f"{output.name} ended: {error}"))
        if not alive and self._outputs and self._end is None:
            self._end = self._frame

    # The end

    def _finish_encoding(self) -> None:
        self._make_sound(self._frame / self._spec.fps + self._encoders.block_samples / RATE)
        self._mux(self._encoders.flush())

    def _end_outputs(self, now: float) -> float:
        """The stream first: its targets hear of the end at once. Then files are finalised."""
        if self._flv_deadline is None:
            self._flv_deadline = now + FLV_PATIENCE
        finished = [output.finish() for output in self._outputs]
        if not all(finished) and now < self._flv_deadline:
            return now + 0.01
        for output in self._outputs:
            output.close()
        self._check_outputs()
        files = [output.path for output in self._outputs if output.path is not None]
        self._finalizer = Finalizer([(path, self._start) for path in files])
        self._phase = self._finalize
        return now

    def _finalize(self, now: float) -> float:
        assert self._finalizer is not None
        if not self._finalizer.step():
            return now
        self._reports.extend(Warned(text) for text in self._finalizer.warnings)
        files = tuple(self._finalizer.done)
        if self._outputs and all(output.error for output in self._outputs):
            self._fail(f"nothing could be written any more: {self._outputs[0].error}", files)
        else:
            self._reports.append(Done(files))
            self._phase = self._nothing
        return now

    def _nothing(self, now: float) -> float:
        return now + PROGRESS_INTERVAL

    def _fail(self, text: str, files: tuple = ()) -> None:
        self._reports.append(Failed(text, files))
        self._phase = self._nothing

    # Out

    def _progress(self, now: float, elapsed: float) -> Progress:
        return Progress(
            media_time=self._frame / self._spec.fps,
            frames=self._frame - self._dropped,
            dropped=self._dropped,
            lag=round(max(0.0, now - self._due(self._frame)), 3),
            bytes_written=sum(output.bytes_written for output in self._outputs),
            shares=self._costs.take_shares(elapsed),
            shown=self._stage.shown() if self._stage is not None else (),
        )

    def next_report(self) -> Any | None:
        return self._reports.popleft() if self._reports else None

    def datagrams_to_send(self) -> list[bytes]:
        return self._intake.table.datagrams_to_send()

    @property
    def is_done(self) -> bool:
        return self._phase == self._nothing

    def close(self) -> None:
        """Without finalising: what is on disk stays playable."""
        for output in self._outputs:
            output.close()
        if self._finalizer is not None:
            self._finalizer.close()


def _free_path(directory: Path, suffix: str) -> Path:
    """A pipeline begun again goes on in another file."""
    path, number = directory / f"recording{suffix}", 1
    while path.exists():
        number += 1
        path = directory / f"recording-{number}{suffix}"
    return path
