"""When to ask a publisher for a keyframe: requests are merged, spaced, and repeated until one comes."""

from __future__ import annotations

RETRY_FIRST = 0.5  # an encoder answers within a frame and the way there and back
RETRY_MAX = 4.0  # a publisher that sends nothing is still asked now and then


class KeyframeRequester:
    """Of one stream. `due` is when `collect` has something to say; None while nothing is wanted."""

    __slots__ = ("_interval", "_last", "_retry", "due")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._last: float | None = None
        self._retry = RETRY_FIRST
        self.due: float | None = None

    def request(self, now: float) -> None:
        """Somebody needs a keyframe. Who asks anew does not wait for what earlier silence has drawn out."""
        soonest = now if self._last is None else max(now, self._last + self._interval)
        if self.due is None or soonest < self.due:
            self.due = soonest

    def receive_keyframe(self) -> None:
        self.due = None
        self._retry = RETRY_FIRST

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.receive_keyframe()

    def collect(self, now: float) -> bool:
        """Whether to ask the publisher now; if no keyframe comes, it will be so again later."""
        if self.due is None or now < self.due:
            return False
        self._last = now
        self.due = now + max(self._retry, self._interval)
        self._retry = min(self._retry * 2, RETRY_MAX)
        return True
