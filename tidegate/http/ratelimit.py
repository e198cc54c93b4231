"""Token buckets for keys and addresses, in a bounded table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MAX_BUCKETS = 20_000  # bounds what many addresses can make us remember; the bucket unused longest goes first


class RateLimiter:
    """`rate` tokens a second up to `burst`; a rate of 0 lets everything pass."""

    __slots__ = ("_buckets", "_burst", "_now", "_rate")

    def __init__(self, rate: float, burst: int, now: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = float(max(burst, 1))
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one token. 0.0 when there was one, else the seconds until there is."""
        if self._rate <= 0:
            return 0.0
        now = self._now()
        tokens, since = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[key] = (tokens if wait else tokens - 1, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._buckets)
