"""A composition in virtual time: real RTP in, the file out, looked at frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from sfu.compose import messages
from sfu.compose.pipeline import Composition
from sfu.rtp.compound import parse_compound
from tests.support.rtp_media import BEEP_HZ, Packet, Sender, record_video, solid

WALL = 1_700_000_000.0
NOW = 5_000.0  # monotonic seconds at the start
TICK = 0.005
RED, BLUE, GREEN = (82, 90, 240), (41, 240, 110), (145, 54, 34)
SYNC = 0.040  # seconds that sound and picture may be apart


@dataclass
class World:
    """Drives one `Composition`. Times given to it are seconds since its start."""

    composition: Composition
    reports: list[Any] = field(default_factory=list)
    feedback: list[tuple[float, Any]] = field(default_factory=list)
    """RTCP that the composition sent, with the times."""
    now: float = NOW

    @classmethod
    def of(cls, directory: Path, flv_fd: int | None = None, **changes: Any) -> World:
        values = {"width": 640, "height": 360, "file_format": "mp4"} | changes
        spec = messages.CompositionSpec("CO_1", str(directory), **values)
        return cls(Composition(spec, flv_fd, wall=lambda: WALL, now=NOW))

    def run(
        self, until: float, packets: list[Packet] | None = None, controls: list[tuple[float, Any]] | None = None
    ) -> None:
        """Packets as they were sent (Unix seconds), controls at their times."""
        waiting = sorted(packets or (), key=lambda packet: packet.sent)
        told = sorted(controls or (), key=lambda pair: pair[0])
        sent = said = 0
        due = self.now
        while self.now < NOW + until - 1e-9:
            while said < len(told) and told[said][0] <= self.now - NOW + 1e-9:
                self.tell(told[said][1])
                said += 1
            while sent < len(waiting) and waiting[sent].sent - WALL <= self.now - NOW:
                self.composition.receive_datagram(waiting[sent].data, now=self.now)
                sent += 1
            if self.now >= due:
                due = self.composition.tick(now=self.now)
            self.drain()
            self.now += TICK

    def tell(self, *controls: Any) -> None:
        for control in controls:
            self.composition.receive_control(control, now=self.now)

    def stop(self) -> tuple[messages.FileInfo, ...]:
        """Ends well; the files."""
        self.tell(messages.Stop())
        for _ in range(100_000):
            if self.composition.is_done:
                break
            self.now = max(self.composition.tick(now=self.now), self.now + 1e-4)
        assert self.composition.is_done
        self.drain()
        self.composition.close()
        return self.reports[-1].files

    def drain(self) -> None:
        while (report := self.composition.next_report()) is not None:
            self.reports.append(report)
        for data in self.composition.datagrams_to_send():
            self.feedback += [(self.now - NOW, message) for message in parse_compound(data)]

    def asked(self, ssrc: int) -> list[float]:
        """When keyframes of that stream were asked for."""
        return [at for at, message in self.feedback if message.media_ssrc == ssrc]

    def said(self, kind: type) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind)]


def camera(who: str, units: list, ssrc: int, *, began: float = 0.0, **changes) -> Sender:
    return Sender(f"cam-{who}", who, "webcam", units, WALL + began, ssrc, **changes)


def mic(who: str, units: list, ssrc: int, *, began: float = 0.0, **changes) -> Sender:
    return Sender(f"mic-{who}", who, "mic", units, WALL + began, ssrc, **changes)


def arrival(sender: Sender, at: float = 0.0) -> list:
    return [(at, messages.PersonJoined(sender.participant_id, sender.participant_id.title())), (at, sender.added())]


def colored(color: tuple[int, int, int], seconds: float, size: tuple[int, int] = (320, 180), **options) -> list:
    return record_video(solid(*size, color), seconds, bps=200_000, keyframe_every=60, **options)


def recorded(directory: Path) -> Path:
    return directory / "recording.mp4"


def pictures(path: Path) -> list[tuple[float, av.VideoFrame]]:
    """All of a file, with their times."""
    with av.open(str(path)) as container:
        return [(frame.time, frame) for frame in container.decode(video=0)]


def color_at(frame: av.VideoFrame, x: float, y: float) -> tuple[int, int, int]:
    """Y, U, V in the middle of a small patch; `x`, `y` as parts of width and height."""
    values = []
    for index, plane in enumerate(frame.planes):
        pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        row, column = round(y * plane.height), round(x * plane.width)
        reach = 4 if index == 0 else 2
        values.append(int(pixels[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach].mean()))
    return tuple(values)


def is_near(color: tuple[int, int, int], wanted: tuple[int, int, int], within: int = 14) -> bool:
    return all(abs(a - b) <= within for a, b in zip(color, wanted, strict=True))


def sound(path: Path) -> tuple[float, np.ndarray]:
    """Time of the first sample, and one channel, gaps filled with silence."""
    with av.open(str(path)) as container:
        blocks = [(frame.time, _left(frame)) for frame in container.decode(audio=0)]
    begin = blocks[0][0]
    whole = np.zeros(round((blocks[-1][0] - begin) * 48_000) + len(blocks[-1][1]), np.float32)
    for at, samples in blocks:
        where = round((at - begin) * 48_000)
        whole[where : where + len(samples)] = samples[: len(whole) - where]
    return begin, whole


def _left(frame: av.AudioFrame) -> np.ndarray:
    samples = frame.to_ndarray()
    return samples[0] if frame.format.is_planar else samples.reshape(-1, len(frame.layout.channels))[:, 0]


def beep_times(path: Path, hertz: float = BEEP_HZ, level: float = 0.1) -> list[float]:
    """When a tone begins, within 2 ms."""
    begin, samples = sound(path)
    return [begin + start / 48_000 for start in tone_starts(samples, hertz, level)]


def tone_starts(samples: np.ndarray, hertz: float, level: float = 0.1) -> list[int]:
    """At which samples a tone begins, within 96 of them."""
    window = 96
    count = len(samples) // window
    cycle = np.exp(-2j * np.pi * hertz * np.arange(window) / 48_000)
    loud = 2 * np.abs(samples[: count * window].reshape(count, window) @ cycle) > level * window
    starts = np.flatnonzero(loud & ~np.r_[False, loud[:-1]])
    return [int(start) * window for start in starts]


def flash_times(path: Path, x: float, y: float, level: int = 190) -> list[float]:
    """When the place becomes bright."""
    found, before = [], False
    for at, frame in pictures(path):
        bright = color_at(frame, x, y)[0] > level
        if bright and not before:
            found.append(at)
        before = bright
    return found
