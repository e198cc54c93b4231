from __future__ import annotations

from tests.support.clock import Clock
from tidegate.http import ratelimit
from tidegate.http.ratelimit import RateLimiter


def test_a_burst_then_the_rate():
    clock = Clock(0.0)
    limiter = RateLimiter(2.0, 3, clock)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.time += 0.5
    assert limiter.take("a") == 0 and limiter.take("a") == 0.5
    assert limiter.take("b") == 0
    clock.time += 1000
    assert [limiter.take("a") for _ in range(4)].count(0) == 3


def test_no_rate_is_no_limit():
    limiter = RateLimiter(0, 1, Clock(0.0))
    assert all(limiter.take("a") == 0 for _ in range(100)) and len(limiter) == 0


def test_the_table_is_bounded_and_the_longest_unused_goes_first(monkeypatch):
    monkeypatch.setattr(ratelimit, "MAX_BUCKETS", 2)
    limiter = RateLimiter(1.0, 1, Clock(0.0))
    for key in ("a", "b", "a", "c"):
        limiter.take(key)
    assert len(limiter) == 2
    assert limiter.take("a") > 0 and limiter.take("b") == 0
