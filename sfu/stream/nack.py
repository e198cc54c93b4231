"""Which packets of a stream are missing, and when to ask the publisher for them again. RFC 4585 section 6.2.1."""

from __future__ import annotations

NACK_REORDER_WAIT = 0.010  # what is only reordered arrives within this time and is not asked for
NACK_MIN_INTERVAL = 0.033  # one frame at 30 fps: asking faster brings duplicates
NACK_MAX_INTERVAL = 0.5  # a wrong round-trip time must not stop the asking
MAX_MISSING = 512  # more holes than this are not worth filling: a keyframe repairs them


class NackGenerator:
    """Extended sequence numbers of holes; each is asked for at most `retries` times, one round trip apart."""

    __slots__ = ("_missing", "_retries", "due")

    def __init__(self, retries: int) -> None:
        self._missing: dict[int, list] = {}  # number -> [when to ask next, how often asked]
        self._retries = retries
        self.due: float | None = None  # the soonest time at which `collect` may find something

    def __len__(self) -> int:
        return len(self._missing)

    def add(self, start: int, stop: int, now: float) -> bool:
        """Note the hole [start, stop). False if there are too many: all are given up."""
        if stop - start + len(self._missing) > MAX_MISSING:
            self.clear()
            return False
        due = now + NACK_REORDER_WAIT
        for sequence in range(start, stop):
            self._missing[sequence] = [due, 0]
        if self.due is None or due < self.due:
            self.due = due
        return True

    def remove(self, sequence: int) -> bool:
        """The packet came. Whether it was missing."""
        if self._missing.pop(sequence, None) is None:
            return False
        if not self._missing:
            self.due = None
        return True

    def forget_before(self, sequence: int) -> None:
        """Give up what no history could hold any more."""
        for number in [number for number in self._missing if number < sequence]:
            del self._missing[number]

    def clear(self) -> None:
        self._missing.clear()
        self.due = None

    def collect(self, now: float, round_trip_time: float) -> list[int]:
        """The numbers to ask for now, growing."""
        if self.due is None or now < self.due:
            return []
        interval = min(max(round_trip_time * 1.25, NACK_MIN_INTERVAL), NACK_MAX_INTERVAL)
        asked: list[int] = []
        soonest: float | None = None
        for sequence, entry in list(self._missing.items()):
            if entry[0] <= now:
                if entry[1] >= self._retries:
                    del self._missing[sequence]
                    continue
                asked.append(sequence)
                entry[0] = now + interval
                entry[1] += 1
            if soonest is None or entry[0] < soonest:
                soonest = entry[0]
        self.due = soonest
        asked.sort()
        return asked
