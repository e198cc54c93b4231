"""A call as a recording worker sees it, in virtual time: cameras and microphones with real encoders in, controls, reports out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from media.codecs import Codec, Kind
from sfu.compose.messages import Done, Failed, FileInfo, SourceAdded, SourceMuted, SourceRemoved, Stop, TrackFileSpec
from sfu.compose.recorder import TrackFiles
from sfu.rtp.compound import parse_compound
from tests.support.encoded import OPUS, VP8, OpusEncoder, Track, VideoEncoder

WALL = 1_750_000_000.0
PATH = 0.03  # seconds from capture to arrival
BLACK = 40  # brighter than black, darker than any picture here


class Camera:
    """30 pictures a second whose brightness is `luma`; a keyframe when asked for."""

    def __init__(
        self, codec: Codec = VP8, *, name: str = "TR_v", ssrc: int = 10, size=(320, 180), source="webcam"
    ) -> None:
        self.info = SourceAdded(name, "PA_1", source, Kind.VIDEO, ssrc, (codec,))
        self.codec, self.size, self.luma = codec, size, 100
        self.track = Track(codec, ssrc, first=65_500, zero=0xFFFFF000)
        self.on = True
        self.path = PATH
        self.pictures = 0
        self._encoder = VideoEncoder(codec, *size)
        self._key = True
        self._next = 0.0

    def ask(self) -> None:
        self._key = True

    def change(self, codec: Codec | None = None, size: tuple[int, int] | None = None) -> None:
        """Of codec or size, under way."""
        self.codec, self.size = codec or self.codec, size or self.size
        self.track.codec = self.codec
        self._encoder = VideoEncoder(self.codec, *self.size)

    def packets(self, now: float) -> Iterator[bytes]:
        while self._next <= now - self.path:
            at, self._next = self._next, self._next + 1 / 30
            if self.on:
                unit = self._encoder.encode(self.luma, keyframe=self._key)
                self._key = False
                self.pictures += 1
                if unit:
                    yield from self.track.packets(unit, at)
            if self.pictures % 30 == 1:
                yield self.track.report(at, WALL + at)


class Microphone:
    """20 ms packets of a tone."""

    def __init__(self, *, name: str = "TR_a", ssrc: int = 20, hertz: float = 1000.0) -> None:
        self.info = SourceAdded(name, "PA_1", "mic", Kind.AUDIO, ssrc, (OPUS,))
        self.track = Track(OPUS, ssrc, first=65_500, zero=77)
        self.on = True
        self._encoder = OpusEncoder(hertz)
        self._next = 0.0

    def ask(self) -> None:
        raise AssertionError("sound has no keyframes")

    def packets(self, now: float) -> Iterator[bytes]:
        while self._next <= now - PATH:
            at, self._next = self._next, self._next + 0.02
            if self.on:
                yield from self.track.packets(self._encoder.encode(), at)
            if round(at / 0.02) % 50 == 1:
                yield self.track.report(at, WALL + at)


class Call:
    """A `TrackFiles` and who is in the call."""

    STEP = 0.01

    def __init__(self, directory: Path, **spec) -> None:
        self.directory = directory
        self.pipeline = TrackFiles(TrackFileSpec("REC_1", str(directory), **spec), wall=lambda: WALL, now=0.0)
        self.now = 0.0
        self.reports: list = []
        self.members: dict[str, Camera | Microphone] = {}
        self._due = 0.0

    def add(self, member: Camera | Microphone) -> None:
        self.members[member.info.track_id] = member
        self.pipeline.receive_control(member.info, now=self.now)

    def remove(self, member: Camera | Microphone) -> None:
        del self.members[member.info.track_id]
        self.pipeline.receive_control(SourceRemoved(member.info.track_id), now=self.now)

    def mute(self, member: Camera | Microphone, muted: bool) -> None:
        member.on = not muted
        self.pipeline.receive_control(SourceMuted(member.info.track_id, muted), now=self.now)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += self.STEP
            for member in self.members.values():
                for data in member.packets(self.now):
                    self.pipeline.receive_datagram(data, now=self.now)
            if self.now >= self._due:
                self._due = self.pipeline.tick(now=self.now)
            for data in self.pipeline.datagrams_to_send():
                for message in parse_compound(data):
                    for member in self.members.values():
                        if member.info.ssrc == message.media_ssrc:
                            member.ask()
            while (report := self.pipeline.next_report()) is not None:
                self.reports.append(report)

    def stop(self) -> tuple[FileInfo, ...]:
        """The files, once everything is written."""
        self.pipeline.receive_control(Stop(), now=self.now)
        for _ in range(1000):
            self.run(self.STEP)
            if self.pipeline.is_done:
                break
        assert self.pipeline.is_done
        self.pipeline.close()
        assert isinstance(self.reports[-1], Done | Failed)
        return self.reports[-1].files

    def of(self, kind: type) -> list:
        return [report for report in self.reports if isinstance(report, kind)]


def pictures(path: Path) -> list[tuple[float, int, tuple[int, int]]]:
    """Each picture's time, brightness (median) and size, as a player decodes them."""
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), _luma(frame), (frame.width, frame.height))
            for frame in container.decode(video=0)
        ]


def _luma(frame: av.VideoFrame) -> int:
    assert frame.format.name == "yuv420p"
    return round(float(np.median(frame.to_ndarray()[: frame.height])))


def sound(path: Path) -> np.ndarray:
    """All of its sound at 48 kHz, one side, as one array placed by its times."""
    out = np.zeros(0, np.float32)
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "stereo", 48_000)
        for frame in container.decode(audio=0):
            start = round(float(frame.pts * frame.time_base) * 48_000)
            for part in resampler.resample(frame):
                samples = part.to_ndarray().reshape(-1, 2)[:, 0]
                start = max(0, start)
                if len(out) < start + len(samples):
                    out = np.concatenate((out, np.zeros(start + len(samples) - len(out), np.float32)))
                out[start : start + len(samples)] = samples
                start += len(samples)
    return out


def level(samples: np.ndarray, start: float, stop: float) -> float:
    """Root mean square between two times."""
    part = samples[round(start * 48_000) : round(stop * 48_000)]
    return float(np.sqrt(np.mean(part**2))) if len(part) else 0.0


def ffprobe(path: Path) -> dict[str, str]:
    """What another reader says of a file; it must have nothing to complain of."""
    entries = "format=duration:stream=codec_name,width"
    command = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "flat", str(path)]
    out = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert not out.stderr
    return dict(line.split("=", 1) for line in out.stdout.replace('"', "").splitlines())
