"""What each stage of a pipeline costs, in seconds of CPU: of this thread, and of the encoder's own threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STAGES = ("decode", "scale", "blend", "encode", "audio", "mux")


def other_threads() -> float:
    """CPU seconds of the process that are not this thread's: encoders are all that has threads in a worker."""
    return time.process_time() - time.thread_time()


class Costs:
    """`of` measures a block; `take_shares` what was spent since the last time, as shares of one core."""

    def __init__(
        self, clock: Callable[[], float] = time.thread_time, background: Callable[[], float] = other_threads
    ) -> None:
        self._clock = clock
        self._background = background
        self._background_at = background()
        self.total = dict.fromkeys(STAGES, 0.0)
        self._reported = dict(self.total)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            self.total[stage] += self._clock() - began

    def add(self, stage: str, seconds: float) -> None:
        self.total[stage] += seconds

    def take_shares(self, elapsed: float) -> dict[str, float]:
        background = self._background()
        self.total["encode"] += background - self._background_at
        self._background_at = background
        shares = {name: round((self.total[name] - self._reported[name]) / elapsed, 4) for name in STAGES}
        self._reported = dict(self.total)
        return shares
