"""What a worker says upward: lines on its standard output, never waiting for the node while a pipeline runs.

Reports are kept, bounded; heartbeats, logs and progress are dropped when the node does not read. Runs in the child; two
threads write (the loop and the heartbeat), so there is a lock.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from typing import Any

from sfu.compose import messages
from tidegate.http.ratelimit import RateLimiter
from tidegate.logs import scrub
from tidegate.workers.messages import REPORTS, Heartbeat, Level, Log

DROPPABLE = (Heartbeat, Log, messages.Progress)
MAX_DROPPABLE = 1 << 18  # bytes waiting, above which what can be missed is
MAX_WAITING = 1 << 22  # bytes waiting, above which everything is: the node has read nothing for hours
LOG_BURST, LOG_RATE = 50, 5.0  # records at once, and a second
MAX_LOG = 8000  # characters of a record with its traceback


class Output:
    """Lines to `fd`, which it makes non-blocking."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self.is_broken = False
        """The node does not listen any more: it is dead."""
        os.set_blocking(fd, False)

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def say(self, message: Any) -> None:
        line = REPORTS.serialize(message)
        limit = MAX_DROPPABLE if isinstance(message, DROPPABLE) else MAX_WAITING
        with self._lock:
            if not self.is_broken and self._waiting_bytes + len(line) <= limit:
                self._waiting.append(line)
                self._waiting_bytes += len(line)
            self._flush()

    def flush(self) -> None:
        """What the pipe takes now."""
        with self._lock:
            self._flush()

    def finish(self, timeout: float) -> None:
        """Wait until the node has read everything, at most so many seconds."""
        deadline = time.monotonic() + timeout
        self.flush()
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            select.select([], [self._fd], [], left)
            self.flush()

    def _flush(self) -> None:
        while self._waiting:
            line = self._waiting[0]
            try:
                written = os.write(self._fd, line)
            except BlockingIOError:
                return
            except OSError:
                self.is_broken = True
                self._waiting.clear()
                self._waiting_bytes = 0
                return
            self._waiting_bytes -= written
            if written < len(line):
                self._waiting[0] = line[written:]
            else:
                self._waiting.popleft()


class LogToNode(logging.Handler):
    """Records as `Log` messages, at most `LOG_RATE` a second; how many were left out is said with the next one."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output
        self._limit = RateLimiter(LOG_RATE, LOG_BURST, time.monotonic)
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self._limit.take(""):
            self._left_out += 1
            return
        try:
            text = f"{record.name}: {record.getMessage()}"
            if record.exc_info and record.exc_info[0] is not None:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception:
            self.handleError(record)
            return
        if len(text) > MAX_LOG:  # a traceback's end says what happened
            text = f"{text[: MAX_LOG // 2]}\n[…]\n{text[-MAX_LOG // 2 :]}"
        if self._left_out:
            text += f" ({self._left_out} records before this one were left out)"
            self._left_out = 0
        self._output.say(Log(_level(record.levelno), scrub(text)))


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
