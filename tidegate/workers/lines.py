"""Lines over a child's pipes, without blocking and without bounds that the child could stretch.

A pipe that is written faster than `READ / PAUSE` bytes a second is read no faster: its writer waits, the node does not work for it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

READ = 1 << 14  # bytes of one turn of the loop: some 80 reports, about 1 ms
PAUSE = 0.01  # seconds after a turn that found so much
MAX_QUEUED = 4 << 20  # bytes for a child that does not read; then it is given up


class LineReader:
    """Calls `on_line(line)` (without its end) for each line of at most `max_line` bytes; of longer ones for the beginning only."""

    def __init__(self, fd: int, on_line: Callable[[bytes], None], *, max_line: int) -> None:
        self._fd = fd
        self._on_line = on_line
        self._max_line = max_line
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._partial = bytearray()
        self._skipping = False
        self._open = True
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._on_readable)

    def close(self) -> None:
        """Read what is left (the child is dead: at most what a pipe holds), then stop. The descriptor is its owner's."""
        if not self._open:
            return
        self._stop()
        self._open = False
        while self._read():
            pass
        if self._partial:
            self._on_line(bytes(self._partial))

    def _on_readable(self) -> None:
        self._pause = None
        count = self._read()
        if count == 0:
            self._stop()
        elif count == READ:
            self._loop.remove_reader(self._fd)
            self._pause = self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._fd, self._on_readable)
        self._on_readable()

    def _stop(self) -> None:
        self._loop.remove_reader(self._fd)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _read(self) -> int | None:
        """Bytes that were read; 0 at the end, None when there are none now."""
        try:
            data = os.read(self._fd, READ)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return 0
        self._take(data)
        return len(data)

    def _take(self, data: bytes) -> None:
        first, *rest = data.split(b"\n")
        self._append(first)
        for part in rest:
            if not self._skipping:
                line = bytes(self._partial)
                self._partial.clear()
                self._on_line(line)
            self._partial.clear()
            self._skipping = False
            self._append(part)

    def _append(self, part: bytes) -> None:
        if self._skipping:
            return
        self._partial += part
        if len(self._partial) > self._max_line:
            line = bytes(self._partial[: self._max_line])
            self._partial.clear()
            self._skipping = True
            self._on_line(line)


class LineWriter:
    """Writes at once what the pipe takes and keeps the rest. A closed pipe swallows everything: its reader's end is noticed elsewhere."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._open = True
        os.set_blocking(fd, False)

    def write(self, line: bytes) -> bool:
        """False: the child has not read for so long that the line was not taken."""
        if not self._open:
            return True
        if self._queued + len(line) > MAX_QUEUED:
            return False
        self._queue.append(line)
        self._queued += len(line)
        if len(self._queue) == 1 and not self._flush():
            self._loop.add_writer(self._fd, self._on_writable)
        return True

    def close(self) -> None:
        """What is queued is dropped. The descriptor is its owner's."""
        if self._open:
            self._open = False
            self._loop.remove_writer(self._fd)
            self._queue.clear()
            self._queued = 0

    def _on_writable(self) -> None:
        if self._flush():
            self._loop.remove_writer(self._fd)

    def _flush(self) -> bool:
        """True when nothing is left."""
        while self._queue:
            line = self._queue[0]
            try:
                written = os.write(self._fd, line)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                self.close()
                return True
            self._queued -= written
            if written < len(line):
                self._queue[0] = line[written:]
            else:
                self._queue.popleft()
        return True
