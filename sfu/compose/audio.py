"""The sum of all sources' sound on one clock: 48 kHz, two channels, float32. Decoding and encoding live elsewhere."""

from __future__ import annotations

import numpy as np


class Mixer:
    """`write` puts each source's samples where their capture time says, `read` takes the next samples of the mix.

    Sample 0 is `start` (Unix seconds). `read` is to lag what has been written by `HOLD`, or ends of sources click.
    """

    def __init__(self, start: float) -> None: ...

    def add(self, track_id: str, *, muted: bool = False) -> None: ...

    def remove(self, track_id: str) -> None: ...

    def set_muted(self, track_id: str, muted: bool) -> None: ...

    def write(self, track_id: str, samples: np.ndarray, at: float, *, discontinuity: bool = False) -> None:
        """`samples` (n, 2) whose first one was captured `at` (Unix seconds)."""

    def read(self, count: int) -> np.ndarray:
        """The next `count` samples (count, 2), limited to -1..1."""
        raise NotImplementedError
