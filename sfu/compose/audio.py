"""The sum of all sources' sound on one clock: 48 kHz, two channels, float32. Decoding and encoding live elsewhere.

A source that runs a little fast or slow is brought back sample by sample, inaudibly; what is missing is silence between
short fades; what jumps, jumps there.
"""

from __future__ import annotations

import numpy as np

RATE = 48_000
HOLD = 0.02  # seconds by which `read` is to lag what is due: the end of a gap's neighbour is known before it is read
CAPACITY = 24_000  # samples that a source may be ahead of the reader; what comes earlier is dropped
FADE = 144  # 3 ms: no click is heard, no syllable lost
JUMP = 1440  # 30 ms off: not skew but a gap or a new clock; the source is put where its time says
SLACK = 24  # 0.5 ms: below it nothing is corrected
SMOOTHING = 0.1  # of one block's error in the running mean: capture times are coarse (Opus blocks, sender reports)
MAX_SLIP = 200  # one sample in so many at most is added or left out: 0.5 %, a twelfth of a semitone
KNEE = 0.708  # -3 dBFS: what is quieter leaves as it came
RELEASE = 0.3  # seconds until the limiter has let go


def _ramp(count: int) -> np.ndarray:
    return (np.arange(1, count + 1, dtype=np.float32) / (count + 1))[:, None]


FADE_IN = _ramp(FADE)
FADE_OUT = FADE_IN[::-1].copy()


def stretched(samples: np.ndarray, count: int) -> np.ndarray:
    """`samples` as `count` of them (a few more or less), by cubic interpolation."""
    length = len(samples)
    position = np.arange(count, dtype=np.float64) * (length / count)
    index = position.astype(np.intp)
    t = (position - index).astype(np.float32)[:, None]
    last = length - 1
    before, here = samples[np.maximum(index - 1, 0)], samples[index]
    after, beyond = samples[np.minimum(index + 1, last)], samples[np.minimum(index + 2, last)]
    slope, bend = (after - before) / 2, before - 2.5 * here + 2 * after - beyond / 2
    return ((((beyond - before) / 2 + 1.5 * (here - after)) * t + bend) * t + slope) * t + here


class _Source:
    """Samples from the mixer's position on, and where the next block goes."""

    __slots__ = ("buffer", "end", "error", "faded", "gain", "muted", "next")

    def __init__(self, muted: bool) -> None:
        self.buffer = np.zeros((CAPACITY, 2), np.float32)
        self.end = 0  # samples of the buffer that are not silence
        self.next: int | None = None  # where a block that follows on goes, relative to the buffer
        self.error = 0.0  # running mean of (where its time says - where it goes), samples
        self.faded = True  # the last samples lead into silence: what follows begins with a fade
        self.muted = muted
        self.gain = 0.0 if muted else 1.0

    def write(self, samples: np.ndarray, position: float, discontinuity: bool) -> None:
        """`position` is relative to the buffer."""
        if self.next is None or discontinuity or abs(position - self.next) > JUMP:
            self._jump(round(position))
        else:
            self.error += SMOOTHING * (position - self.next - self.error)
            samples = self._corrected(samples)
        self._place(samples)

    def _corrected(self, samples: np.ndarray) -> np.ndarray:
        """With a sample more or less where the source's clock is off."""
        if abs(self.error) < SLACK:
            return samples
        most = max(1, len(samples) // MAX_SLIP)
        slip = max(-most, min(most, round(self.error / 16)))
        self.error -= slip
        return stretched(samples, len(samples) + slip)

    def _jump(self, position: int) -> None:
        self.fade_out()
        self.next = position
        self.error = 0.0

    def fade_out(self) -> None:
        """What is last leads into silence."""
        if not self.faded:
            count = min(FADE, self.end)
            self.buffer[self.end - count : self.end] *= FADE_OUT[FADE - count :]
        self.faded = True

    def _place(self, samples: np.ndarray) -> None:
        begin = self.next
        self.next = begin + len(samples)
        if begin < self.end:  # a jump back: what is there stays, the rest follows it
            samples = samples[max(0, self.end - begin) :]
            begin = self.end
        samples = samples[: max(0, CAPACITY - begin)]
        if not len(samples):
            return
        end = begin + len(samples)
        self.buffer[begin:end] = samples
        if self.faded or begin > self.end:
            count = min(FADE, len(samples))
            self.buffer[begin : begin + count] *= FADE_IN[:count]
        self.faded = False
        self.end = end

    def take(self, count: int, into: np.ndarray) -> None:
        """Adds the next `count` samples to `into` and lets go of them."""
        if self.end:
            if self.end < count + FADE:
                self.fade_out()
            self._add(min(count, self.end), count, into)
            left = max(0, self.end - count)
            self.buffer[:left] = self.buffer[count : self.end]
            self.buffer[left : self.end] = 0
            self.end = left
        else:
            self.gain = 0.0 if self.muted else 1.0
        if self.next is not None:
            self.next -= count
            if self.next < -RATE:
                self.next = None  # silent for a second: it begins anew wherever it goes on

    def _add(self, present: int, count: int, into: np.ndarray) -> None:
        wanted = 0.0 if self.muted else 1.0
        if self.gain == wanted:
            if wanted:
                into[:present] += self.buffer[:present]
            return
        ramp = np.linspace(self.gain, wanted, count, dtype=np.float32)[:present, None]
        into[:present] += self.buffer[:present] * ramp
        self.gain = wanted


class Limiter:
    """Keeps a sum of many within -1..1: the gain goes down with a loud block and comes back slowly, and what is still above
    the knee is bent. Sound below the knee leaves as it came."""

    def __init__(self) -> None:
        self._gain = 1.0

    def limit(self, block: np.ndarray) -> None:
        """In place."""
        np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
        peak = float(np.abs(block).max(initial=0.0))
        wanted = min(1.0, 1.0 / peak) if peak else 1.0
        gain = self._gain
        if wanted > gain:
            wanted = min(wanted, gain + (1 - gain) * len(block) / (RELEASE * RATE))
        if gain < 1 or wanted < 1:
            if wanted > 0.999:
                wanted = 1.0
            block *= np.linspace(gain, wanted, len(block), dtype=np.float32)[:, None]
            peak *= max(gain, wanted)
            self._gain = wanted
        if peak > KNEE:
            size = np.abs(block)
            bent = KNEE + (1 - KNEE) * np.tanh((size - KNEE) / (1 - KNEE))
            np.copyto(block, np.copysign(bent, block), where=size > KNEE)


class Mixer:
    """`write` puts each source's samples where their capture time says, `read` takes the next samples of the mix.

    Sample 0 is `start` (Unix seconds). `read` is to lag what has been written by `HOLD`, or ends of sources click.
    """

    def __init__(self, start: float) -> None:
        self.start = start
        self.position = 0
        self._sources: dict[str, _Source] = {}
        self._leaving: list[_Source] = []
        self._limiter = Limiter()

    def add(self, track_id: str, *, muted: bool = False) -> None:
        if track_id in self._sources:
            self.remove(track_id)
        self._sources[track_id] = _Source(muted)

    def remove(self, track_id: str) -> None:
        """What it said already is still heard."""
        source = self._sources.pop(track_id, None)
        if source is not None:
            self._leaving.append(source)

    def set_muted(self, track_id: str, muted: bool) -> None:
        source = self._sources.get(track_id)
        if source is not None:
            source.muted = muted

    def write(self, track_id: str, samples: np.ndarray, at: float, *, discontinuity: bool = False) -> None:
        """`samples` (n, 2) whose first one was captured `at` (Unix seconds)."""
        source = self._sources.get(track_id)
        if source is not None and len(samples):
            source.write(samples, (at - self.start) * RATE - self.position, discontinuity)

    def read(self, count: int) -> np.ndarray:
        """The next `count` samples (count, 2), limited to -1..1."""
        block = np.zeros((count, 2), np.float32)
        for source in self._sources.values():
            source.take(count, block)
        for source in self._leaving:
            source.take(count, block)
        self._leaving = [source for source in self._leaving if source.end]
        self.position += count
        self._limiter.limit(block)
        return block
