"""When a pipeline whose worker died is begun again. Pure."""

from __future__ import annotations

WINDOW = 600.0  # seconds in which restarts are counted: a pipeline that fails once an hour may go on doing so
FIRST_DELAYS = (0.0, 1.0)  # a single crash costs as little of a recording as possible
MAX_DELAY = 30.0  # seconds


class RestartPolicy:
    """At most `max_restarts` within `window` seconds, the first at once, further ones after growing pauses."""

    def __init__(self, max_restarts: int, window: float = WINDOW) -> None:
        self._max_restarts = max_restarts
        self._window = window
        self._restarts: list[float] = []

    def next_delay(self, now: float) -> float | None:
        """Seconds to wait before the restart that is hereby counted; None: give the pipeline up."""
        self._restarts = [at for at in self._restarts if now - at < self._window]
        count = len(self._restarts)
        if count >= self._max_restarts:
            return None
        delay = FIRST_DELAYS[count] if count < len(FIRST_DELAYS) else min(MAX_DELAY, FIRST_DELAYS[-1] * 2.0 ** (count - 1))
        self._restarts.append(now)
        return delay
