"""A media worker whose pipeline does nothing but keep a core busy: what `workers_lag.py` starts when it is to burn."""

from __future__ import annotations

import sys
import time
from typing import Any

from sfu.compose import messages
from tidegate.workers.worker import run

TURN = 0.02  # seconds of work between looks at the inputs, as a frame of a large picture takes


class Burner:
    def __init__(self, spec: Any, flv_fd: int | None) -> None:
        self._reports: list[Any] = [messages.Started(time.time())]
        self.is_done = False

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        pass

    def receive_control(self, message: Any, *, now: float) -> None:
        if isinstance(message, messages.Stop):
            self.is_done = True
            self._reports.append(messages.Done())

    def tick(self, *, now: float) -> float:
        end = now + TURN
        while time.monotonic() < end:
            sum(range(1000))
        return end

    def next_report(self) -> Any | None:
        return self._reports.pop(0) if self._reports else None

    def datagrams_to_send(self) -> list[bytes]:
        return []

    def close(self) -> None:
        pass


if __name__ == "__main__":
    sys.exit(run(Burner, lambda: None))
