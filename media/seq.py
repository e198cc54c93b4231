"""Modular arithmetic of sequence numbers and RTP times; the only place where it is written. RFC 1982, RFC 3550 A.1."""

from __future__ import annotations


def diff(a: int, b: int, bits: int = 16) -> int:
    """The signed distance from b to a on a circle of `bits` bits, in [-2**(bits-1), 2**(bits-1))."""
    half = 1 << (bits - 1)
    return ((a - b + half) & ((1 << bits) - 1)) - half


class Unwrapper:
    """Turns wire numbers of `bits` bits into plain ints that keep growing; the first stays as it came, plus one lap.

    The extra lap keeps numbers positive when an older one arrives after the first.
    """

    __slots__ = ("bits", "last")

    def __init__(self, bits: int = 16) -> None:
        self.bits = bits
        self.last: int | None = None

    def unwrap(self, value: int) -> int:
        """The extended number; moves the reference on only when `value` is newer."""
        extended = self.peek(value)
        if self.last is None or extended > self.last:
            self.last = extended
        return extended

    def peek(self, value: int) -> int:
        """The extended number without remembering it."""
        if self.last is None:
            return value + (1 << self.bits)
        return self.last + diff(value, self.last & ((1 << self.bits) - 1), self.bits)
