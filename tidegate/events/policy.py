"""When deliveries are tried, tried again and given up, and when an endpoint is paused: rules without a clock, store or socket.

Times of deliveries are Unix seconds, since they outlive the process; those of endpoints monotonic ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

BACKOFF = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)  # after the first failure, the second...; the last one from then on
JITTER = 0.2  # up to a fifth more, so that what failed together does not come back together
MAX_RETRY_AFTER = 86_400.0  # a receiver's Retry-After beyond a day is a mistake
PAUSE_AFTER = 5  # different deliveries that fail in a row: it is the endpoint, not what is sent
PAUSES = (5.0, 30.0, 120.0, 600.0)  # before the first probe, the second...: soon enough to notice that it is back
PER_ENDPOINT = 4  # attempts at one endpoint at a time: a slow one does not take all slots
MAX_TRACKED = 1000  # failing endpoints known at a time; beyond it the oldest is forgotten and only has its deliveries' backoff

HTTP_GONE = 410
RETRY_AFTER_STATUS = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt met."""

    status: int | None = None
    """HTTP status of the last answer; none when there was none."""
    error: str | None = None
    """Why it did not succeed, in words."""
    answer: str | None = None
    retry_after: float | None = None
    """Seconds that the receiver asked for."""

    @property
    def ok(self) -> bool:
        return self.error is None and self.status is not None and 200 <= self.status < 300


class Verdict(Enum):
    DELIVERED = "delivered"
    RETRY = "waiting"
    DEAD = "dead"


def judge(
    outcome: Outcome, *, attempts: int, give_up_at: float, now: float, random: Callable[[], float]
) -> tuple[Verdict, float]:
    """What becomes of a delivery after its `attempts`-th attempt (from 1), and when it is to be tried again."""
    if outcome.ok:
        return Verdict.DELIVERED, now
    if outcome.status == HTTP_GONE or now >= give_up_at:
        return Verdict.DEAD, now
    pause = BACKOFF[min(attempts, len(BACKOFF)) - 1] * (1 + JITTER * random())
    pause = max(pause, asked_pause(outcome))
    return Verdict.RETRY, min(now + pause, give_up_at)  # the last attempt is made when the time is up


def asked_pause(outcome: Outcome) -> float:
    """RFC 9110 section 10.2.3, for the statuses that are said to carry it (429: RFC 6585 section 4; 503: section 15.6.4)."""
    if outcome.retry_after is None or outcome.status not in RETRY_AFTER_STATUS:
        return 0.0
    return min(outcome.retry_after, MAX_RETRY_AFTER)


@dataclass(slots=True)
class _Endpoint:
    under_way: int = 0
    failing: set[str] = field(default_factory=set)
    """Deliveries that failed since the last success; PAUSE_AFTER of them are enough."""
    probes: int = 0
    """Since it is paused: 0 when it is not."""
    until: float = 0.0

    @property
    def is_paused(self) -> bool:
        return self.probes > 0

    @property
    def is_doubtful(self) -> bool:
        return bool(self.failing) or self.is_paused


class Endpoints:
    """Which endpoints may be sent to now. `started` and `finished` for each attempt; `blocked` before choosing deliveries.

    After PAUSE_AFTER different deliveries failed in a row an endpoint is paused: one probe at a time, with growing pauses,
    until one succeeds. Attempts at endpoints that failed last take at most half of all slots, so that dead ones leave room for
    the others.
    """

    def __init__(self, concurrency: int) -> None:
        self._known: dict[str, _Endpoint] = {}
        self._limit = max(1, min(PER_ENDPOINT, concurrency // 2))
        self._max_doubtful = max(1, concurrency // 2)
        self._doubtful = 0

    @property
    def paused(self) -> int:
        return sum(endpoint.is_paused for endpoint in self._known.values())

    def room(self, key: str) -> int:
        """How many more attempts may begin at an endpoint that is not blocked."""
        endpoint = self._known.get(key)
        if endpoint is None:
            return self._limit
        if endpoint.is_paused:
            return int(endpoint.under_way == 0 and self._doubtful < self._max_doubtful)
        room = self._limit - endpoint.under_way
        return min(room, self._max_doubtful - self._doubtful) if endpoint.is_doubtful else room

    def share(self) -> Callable[[str], int]:
        """`room` for choosing among several at once: what it has told of one doubtful endpoint, it does not tell of another."""
        left, told = self._max_doubtful - self._doubtful, dict[str, int]()

        def room(key: str) -> int:
            nonlocal left
            if key not in told:
                told[key] = self.room(key)
                if key in self._known and self._known[key].is_doubtful:
                    told[key] = min(told[key], left)
                    left -= told[key]
            return told[key]

        return room

    def blocked(self, now: float) -> set[str]:
        """Endpoints that get nothing now."""
        return {key for key, one in self._known.items() if one.until > now or self.room(key) <= 0}

    def next_change(self, now: float) -> float | None:
        """When the next pause ends."""
        return min((one.until for one in self._known.values() if one.until > now), default=None)

    def started(self, key: str) -> bool:
        """Whether the attempt is a probe: at an endpoint that failed last."""
        endpoint = self._known.setdefault(key, _Endpoint())
        endpoint.under_way += 1
        self._doubtful += endpoint.is_doubtful
        return endpoint.is_doubtful

    def finished(self, key: str, delivery_id: str, outcome: Outcome, now: float, *, probe: bool) -> bool:
        """`probe`: what `started` said. Whether a paused endpoint answers again: what waits for it is due."""
        endpoint = self._known[key]
        endpoint.under_way -= 1
        self._doubtful -= probe
        was_paused = endpoint.is_paused
        if outcome.ok:
            endpoint.failing.clear()
            endpoint.probes, endpoint.until = 0, 0.0
        else:
            self._failed(endpoint, delivery_id, outcome, now)
        if not endpoint.under_way and not endpoint.failing and endpoint.until <= now:
            del self._known[key]
        self._forget_oldest()
        return was_paused and outcome.ok

    def _failed(self, endpoint: _Endpoint, delivery_id: str, outcome: Outcome, now: float) -> None:
        if len(endpoint.failing) < PAUSE_AFTER:
            endpoint.failing.add(delivery_id)
        if endpoint.is_paused or len(endpoint.failing) >= PAUSE_AFTER:
            if endpoint.until <= now:  # attempts that were under way when it was paused are no probes
                endpoint.until = now + PAUSES[min(endpoint.probes, len(PAUSES) - 1)]
                endpoint.probes += 1
        endpoint.until = max(endpoint.until, now + asked_pause(outcome))

    def _forget_oldest(self) -> None:
        if len(self._known) > MAX_TRACKED:
            oldest = next((key for key, one in self._known.items() if not one.under_way), None)
            if oldest is not None:
                del self._known[oldest]
