"""A whole server as a process of its own, on free ports of loopback, for tests that must see what a user sees."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

READY_TIMEOUT = 60.0  # a machine under load; what a start may take is the benchmark's matter
URL = re.compile(r"https?://(?:127\.0\.0\.1|\[::1\]|localhost):\d+")


@dataclass
class RunningServer:
    """`url` is what it printed first; `lines` is all it wrote so far, to both outputs."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)


@contextmanager
def start_server(
    command: Sequence[str | Path], directory: Path, *, env: dict[str, str], args: Sequence[str] = ()
) -> Iterator[RunningServer]:
    """Run `tidegate serve` (as `command`) in `directory` until the end of the block; it is up when the block begins."""
    options = ["--http-port", "0", "--rtc-port", "0", "--rtmp-port", "0", *args]
    process = subprocess.Popen(
        [*command, *options], cwd=directory, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    server = RunningServer(process, "")
    ready = threading.Event()

    def read() -> None:
        assert process.stdout
        for line in process.stdout:
            server.lines.append(line)
            found = URL.search(line)
            if found and not server.url:
                server.url = found[0]
                ready.set()
        ready.set()  # it ended: nothing more will come

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        ready.wait(READY_TIMEOUT)
        assert server.url, "the server did not start:\n" + "".join(server.lines)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
