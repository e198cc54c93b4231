"""Renumbering: closing the holes that dropped padding leaves, and what one subscriber was sent under which number."""

from __future__ import annotations

from bisect import bisect_left

from media.seq import diff

MAX_SKIPPED = 256  # dropped numbers that late packets are still placed around
MAX_SEGMENTS = 16  # of one subscriber; what it was sent before them cannot be retransmitted


class Compactor:
    """Extended sequence numbers without those of dropped packets. Numbers out keep growing over restarts of the stream."""

    __slots__ = ("_base", "_skipped")

    def __init__(self) -> None:
        self._base = 0
        self._skipped: list[int] = []  # growing

    def compact(self, sequence: int) -> int:
        skipped = self._skipped
        if not skipped or sequence > skipped[-1]:
            return sequence - self._base - len(skipped)
        return sequence - self._base - bisect_left(skipped, sequence)

    def is_skipped(self, sequence: int) -> bool:
        at = bisect_left(self._skipped, sequence)
        return at < len(self._skipped) and self._skipped[at] == sequence

    def skip(self, sequence: int) -> None:
        """Leave out the newest number."""
        self._skipped.append(sequence)
        if len(self._skipped) > MAX_SKIPPED:
            del self._skipped[0]
            self._base += 1

    def restart(self, sequence: int, compact: int) -> None:
        """From now on `sequence` becomes `compact`."""
        self._base = sequence - compact
        self._skipped.clear()


class Segment:
    """A run of one subscriber's numbers that come from one stream by fixed offsets. `end` is None while it goes on."""

    __slots__ = ("end", "group", "sequence_offset", "start", "stream", "timestamp_offset")

    def __init__(self, stream, group, *, start: int, sequence_offset: int, timestamp_offset: int) -> None:
        self.stream = stream
        self.group = group
        self.start = start  # the stream's numbers, extended and compacted
        self.end: int | None = None
        self.sequence_offset = sequence_offset
        self.timestamp_offset = timestamp_offset


class SegmentMap:
    """The last segments of one subscriber, oldest first."""

    __slots__ = ("segments",)

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def add(self, segment: Segment) -> None:
        self.segments.append(segment)
        if len(self.segments) > MAX_SEGMENTS:
            del self.segments[0]

    def find(self, number: int, highest: int) -> tuple[Segment, int] | None:
        """Which segment a 16-bit number fell into, and the stream's number there; `highest`: the newest number sent, extended."""
        extended = highest + diff(number, highest & 0xFFFF)
        for segment in reversed(self.segments):
            sequence = extended - segment.sequence_offset
            if sequence >= segment.start:
                if segment.end is not None and sequence >= segment.end:
                    return None
                return segment, sequence
        return None
