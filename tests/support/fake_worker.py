"""A worker's process with a pipeline that does what it is told: the tests' stand-in for codecs. Run as a program.

A `PersonJoined` with the name of a method of `Fake` calls it; every control and the number of packets come back as `Warned`,
every packet comes back as it is.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

from sfu.compose import messages
from tidegate.workers import worker

STDOUT = os.dup(1)  # where reports go; the worker makes descriptor 1 another


class Fake:
    def __init__(self, spec: Any, flv_fd: int | None) -> None:
        self._spec = spec
        self._flv_fd = flv_fd
        self._reports: list[Any] = [messages.Started(time.time())]
        self._datagrams: list[bytes] = []
        self._packets = 0
        self._stubborn = False
        self._ticks_to_tell = 0
        self.is_done = False
        logging.getLogger("fake").info("pipeline made in process %d", os.getpid())

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        self._packets += 1
        self._datagrams.append(data)

    def receive_control(self, message: Any, *, now: float) -> None:
        if isinstance(message, messages.Stop):
            self._stop()
        elif isinstance(message, messages.PersonJoined) and hasattr(self, message.name):
            getattr(self, message.name)()
        self._reports.append(messages.Warned(repr(message)))

    def tick(self, *, now: float) -> float:
        if not self._ticks_to_tell:
            return now + 10
        self._ticks_to_tell -= 1
        self._reports.append(messages.Warned(f"a tick after {self._packets} packets"))
        return now

    def next_report(self) -> Any | None:
        return self._reports.pop(0) if self._reports else None

    def datagrams_to_send(self) -> list[bytes]:
        out, self._datagrams = self._datagrams, []
        return out

    def close(self) -> None:
        if self._spec.directory != "/":
            Path(self._spec.directory, "closed").write_text(str(self._packets))

    def _stop(self) -> None:
        if not self._stubborn:
            self.is_done = True
            self._reports.append(messages.Done((messages.FileInfo("recording.mp4", 0.0, float(self._packets), 1),)))

    def be_stubborn(self) -> None:
        self._stubborn = True

    def fail(self) -> None:
        self.is_done = True
        self._reports.append(messages.Failed("no room for rtmp://host/live/streamkey-12345"))

    def abort(self) -> None:
        os.abort()

    def crash(self) -> None:
        ctypes.string_at(0)

    def leave(self) -> None:
        os._exit(7)

    def raise_disk_full(self) -> None:
        raise OSError(28, "No space left on device: /secret/place")

    def hang(self) -> None:
        time.sleep(600)

    def work_long(self) -> None:
        time.sleep(3.5)

    def stand_still(self) -> None:
        self._ticks_to_tell = 2
        time.sleep(1.5)

    def garbage(self) -> None:
        data = b'\xff\xfe\n{"type":"nonsense"}\n[[[[\n' + b"x" * 1_200_000 + b'\n{"type":"started"}\n'
        while data:
            select.select([], [STDOUT], [])
            data = data[os.write(STDOUT, data) :]

    def print_something(self) -> None:
        print("printed by a library", flush=True)

    def flood_stderr(self) -> None:
        os.write(2, b"native words\n" * 100_000)

    def log_much(self) -> None:
        for number in range(10_000):
            logging.getLogger("fake").warning("record %d of password=hunter2hunter2", number)

    def stream(self) -> None:
        assert self._flv_fd is not None
        os.write(self._flv_fd, b"FLV" * 100_000)

    def count_packets(self) -> None:
        self._reports.append(messages.Warned(f"packets {self._packets}"))


if __name__ == "__main__":
    worker.ORPHAN_TIMEOUT = 2.0
    sys.exit(worker.run(Fake, lambda: None))
