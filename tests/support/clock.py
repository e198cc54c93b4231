"""A clock that tests move by hand."""

from __future__ import annotations


class Clock:
    """`clock()` is seconds; `clock.time += 5` lets five pass."""

    def __init__(self, time: float = 1_700_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time
