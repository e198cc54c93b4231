"""Microphones as their audio levels (-dBov, one for each packet of 20 ms): recorded voices, and what is no voice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain, islice, repeat
from pathlib import Path

from sfu.meeting.speaker import TICK, Level, SpeakerDetector
from sfu.producer import LOUD_LEVEL

PACKET = 0.02
VOICES = Path(__file__).parents[1] / "sfu" / "meeting" / "levels"
Trace = Iterator[int | None]  # None: no packet was sent


def voice(name: str, seconds: float | None = None, *, gain: int = 0, since: float = 0.0) -> list[int | None]:
    """A recorded voice from `since` on; `gain` in dB."""
    lines = (VOICES / f"{name}.txt").read_text().splitlines()
    levels = [int(word) for line in lines if not line.startswith("#") for word in line.split()]
    start = round(since / PACKET)
    end = None if seconds is None else start + round(seconds / PACKET)
    return [max(0, min(127, level - gain)) for level in levels[start:end]]


def room(seconds: float, *, level: float = 62.0, seed: int = 1) -> list[int | None]:
    """Nobody speaks; somewhere there is a computer."""
    noise = random.Random(seed)
    return [round(noise.gauss(level, 2.0)) for _ in range(round(seconds / PACKET))]


def silence(seconds: float) -> list[int | None]:
    """Discontinuous transmission: a packet of comfort noise each 400 ms."""
    return [127 if at % 20 == 0 else None for at in range(round(seconds / PACKET))]


def cough(*, length: float = 0.35) -> list[int | None]:
    return [18 + at // 3 for at in range(round(length / PACKET))]


def keyboard(seconds: float, *, seed: int = 2) -> list[int | None]:
    """Clicks of 20 to 40 ms, seven in a second, close to the microphone."""
    keys = random.Random(seed)
    out = room(seconds, seed=seed)
    at = 0
    while at < len(out):
        for click in range(at, min(len(out), at + keys.choice((1, 1, 2)))):
            out[click] = keys.randint(22, 38)
        at += round(keys.uniform(0.08, 0.2) / PACKET)
    return out


def music(seconds: float, *, level: float = 30.0, seed: int = 3) -> list[int | None]:
    """Bars of two seconds that swell a little and never pause."""
    band = random.Random(seed)
    return [round(band.gauss(level + 2 * (at % 100 > 50), 1.5)) for at in range(round(seconds / PACKET))]


class Table:
    """Some people around a detector; their traces go on side by side, then fall silent."""

    def __init__(self, **traces: list[int | None]) -> None:
        self.detector = SpeakerDetector()
        self.now = 0.0
        self.changes: list[tuple[float, str | None]] = []  # when, who
        self.traces: dict[str, Trace] = {}
        for name, trace in traces.items():
            self.put(name, trace)

    def put(self, name: str, trace: list[int | None]) -> None:
        """From now on."""
        self.traces[name] = chain(trace, repeat(62))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            levels = [heard(name, islice(trace, round(TICK / PACKET))) for name, trace in self.traces.items()]
            if self.detector.hear(levels):
                self.changes.append((round(self.now, 3), self.detector.active))

    @property
    def speakers(self) -> list[str | None]:
        return [name for _, name in self.changes]


def heard(name: str, packets: Iterator[int | None]) -> Level:
    """What a producer counts of these packets."""
    told = [level for level in packets if level is not None]
    return name, len(told), sum(level < LOUD_LEVEL for level in told), sum(127 - level for level in told)
