"""A seeded model of one direction of a network path. Pure: times are arguments, so it runs in virtual time and behind a relay.

Order of events for one datagram: loss, then the bottleneck (a queue in front of a rate), then delay with jitter. Jitter does
not reorder by itself (queues keep order); `reorder` lets single datagrams be overtaken.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Path:
    """What one direction does to datagrams. Probabilities are 0..1, times seconds."""

    rate_bps: float | None = None
    queue_bytes: int = 256 * 1024
    delay: float = 0.0
    jitter: float = 0.0
    """Extra delay, uniform in 0..jitter."""
    loss: float = 0.0
    burst: float = 1.0
    """Mean number of datagrams lost in a row (1: independent losses)."""
    reorder: float = 0.0
    reorder_delay: float = 0.01
    """How much later an overtaken datagram comes."""
    duplicate: float = 0.0


class Network:
    """`push` datagrams in, `pop_due` them at the other end. `next_due` says when the next comes out."""

    def __init__(self, path: Path, *, seed: int) -> None:
        self.path = path
        self.lost = self.overflowed = self.duplicated = self.reordered = 0
        self._random = random.Random(seed)
        self._heap: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._free_at = 0.0  # when the bottleneck has sent what it holds
        self._last_out = 0.0
        self._in_burst = False

    def push(self, data: bytes, now: float) -> None:
        path, draw = self.path, self._random.random
        if self._loses(draw):
            self.lost += 1
            return
        out = now
        if path.rate_bps is not None:
            waiting = round(max(0.0, self._free_at - now) * path.rate_bps / 8)
            if waiting + len(data) > path.queue_bytes:
                self.overflowed += 1
                return
            self._free_at = max(self._free_at, now) + len(data) * 8 / path.rate_bps
            out = self._free_at
        out += path.delay + path.jitter * draw()
        if path.reorder and draw() < path.reorder:
            self.reordered += 1
            self._enqueue(out + path.reorder_delay, data)
        else:
            self._last_out = out = max(out, self._last_out)
            self._enqueue(out, data)
        if path.duplicate and draw() < path.duplicate:
            self.duplicated += 1
            self._enqueue(out + path.reorder_delay * draw(), data)

    def _loses(self, draw) -> bool:
        """Gilbert's model: a burst goes on with the probability that gives its mean length; the mean loss stays `loss`."""
        path = self.path
        if not path.loss:
            return False
        if path.burst <= 1:
            return draw() < path.loss  # each by itself
        stay = 1 - 1 / path.burst
        enter = min(1.0, path.loss * (1 - stay) / (1 - path.loss)) if path.loss < 1 else 1.0
        self._in_burst = draw() < (stay if self._in_burst else enter)
        return self._in_burst

    def _enqueue(self, at: float, data: bytes) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, data))

    def pop_due(self, now: float) -> list[bytes]:
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        return due

    def next_due(self) -> float | None:
        return self._heap[0][0] if self._heap else None
