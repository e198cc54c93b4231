"""A whole server as a process of its own, on free ports of loopback, for tests that must see what a user sees."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 60.0  # a machine under load; what a start may take is the benchmark's matter
URL = re.compile(r"https?://(?:127\.0\.0\.1|\[::1\]|localhost):\d+")


@dataclass
class RunningServer:
    """`url` is what it printed first; `lines` is all it wrote so far, to both outputs."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list)
    ended: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_for_line(self, words: str) -> str:
        """The first line with `words`, now or when it comes; AssertionError with all lines when it does not."""

        def find() -> str | None:
            return next((line for line in self.lines if words in line), None)

        with self.changed:
            self.changed.wait_for(lambda: find() or self.ended, PATIENCE)
        line = find()
        assert line, f"no line with {words!r}:\n{self.output}"
        return line

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def read(self) -> None:
        """Take in what it writes, until it ends; runs in a thread."""
        assert self.process.stdout
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line)
                found = URL.search(line)
                self.url = self.url or (found[0] if found else "")
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()


@contextmanager
def start_process(command: Sequence[str | Path], directory: Path, *, env: dict[str, str]) -> Iterator[RunningServer]:
    """Run a server that prints its URL, in `directory`, until the end of the block; it is up when the block begins."""
    process = subprocess.Popen(
        command, cwd=directory, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    server = RunningServer(process)
    reader = threading.Thread(target=server.read, daemon=True)
    reader.start()
    try:
        with server.changed:
            server.changed.wait_for(lambda: server.url or server.ended, PATIENCE)
        assert server.url, f"the server did not start:\n{server.output}"
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()


@contextmanager
def start_server(
    command: Sequence[str | Path], directory: Path, *, env: dict[str, str], args: Sequence[str] = ()
) -> Iterator[RunningServer]:
    """As `start_process`, for `tidegate serve` (`command`): on free ports."""
    options = ["--http-port", "0", "--rtc-port", "0", "--rtmp-port", "0", *args]
    with start_process([*command, *options], directory, env=env) as server:
        yield server
