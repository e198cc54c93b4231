"""A child process: how it is spawned, its pipes as lines, its sockets, its end. What the lines mean is `handle.py`'s.

No shell, no secret among the arguments, and of the environment only what a program needs to run: the node's may hold secrets.
The end is noticed by a pidfd, so that it is the same on asyncio's loop and on uvloop.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from media.wire import MAX_LINE
from tidegate.workers.lines import LineReader, LineWriter
from tidegate.workers.link import WorkerLink, make_pair

WORKER_COMMAND = (sys.executable, "-P", "-m", "tidegate.workers.worker")
ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
MAX_ERROR_LINE = 2000  # characters of a line on standard error that are kept
STDIN_SIZE = 1 << 20  # bytes; what /proc/sys/fs/pipe-max-size allows everybody
ROOT = Path(__file__).parents[2]  # where the packages are, installed or not


class Owner(Protocol):
    """Told what a process says, in order; `handle_end` last, when everything has been read."""

    def handle_line(self, line: bytes) -> None: ...

    def handle_error_line(self, line: bytes) -> None: ...

    def handle_end(self, returncode: int) -> None: ...


def environment() -> dict[str, str]:
    """What a worker gets of ours."""
    out = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    out["PYTHONPATH"] = str(ROOT)
    out["PYTHONUTF8"] = "1"
    out["OPENBLAS_NUM_THREADS"] = "1"  # numpy would make a thread for each core at import; pictures need none
    return out


def _enlarge(pipe: int) -> None:
    """What is told before a packet is sent is in the pipe by then, however many people a meeting has."""
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, STDIN_SIZE)
    except OSError:  # the user's pipes take too much already: 64 KiB, some 200 people
        pass


class WorkerProcess:
    """One running child. OSError from the constructor when there cannot be one more."""

    def __init__(self, owner: Owner, *, nice: int, command: Sequence[str] = WORKER_COMMAND) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        packets, child_packets = make_pair(socket.SOCK_SEQPACKET)
        flv, child_flv = make_pair(socket.SOCK_STREAM)
        fds = (child_packets.fileno(), child_flv.fileno())
        try:
            self._popen = subprocess.Popen(
                [*command, "--packets-fd", str(fds[0]), "--flv-fd", str(fds[1]), "--nice", str(nice)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                pass_fds=fds, env=environment(),
                # Ctrl-C in the node's terminal is the node's: it ends workers in order. No session of its own: Linux'
                # autogroups would give that an equal share of the cores, whatever its niceness (measured: loop lag p99 6 ms, not 1).
                process_group=0,
            )  # fmt: skip
        except BaseException:
            packets.close()
            flv.close()
            raise
        finally:
            child_packets.close()
            child_flv.close()
        self.pid = self._popen.pid
        self.returncode: int | None = None
        self.link = WorkerLink(packets, flv)
        assert self._popen.stdin is not None and self._popen.stdout is not None and self._popen.stderr is not None
        _enlarge(self._popen.stdin.fileno())
        self._stdin = LineWriter(self._popen.stdin.fileno())
        self._stdout = LineReader(self._popen.stdout.fileno(), owner.handle_line, max_line=MAX_LINE)
        self._stderr = LineReader(self._popen.stderr.fileno(), owner.handle_error_line, max_line=MAX_ERROR_LINE)
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._on_end)

    def write(self, line: bytes) -> bool:
        """A line for its standard input. False: it has not read for so long that there is no room."""
        return self._stdin.write(line)

    def send_signal(self, number: signal.Signals) -> None:
        """Harmless when it has ended."""
        self._popen.send_signal(number)

    def _on_end(self) -> None:
        returncode = self._popen.poll()
        if returncode is None:
            return
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._stdin.close()
        self._stdout.close()
        self._stderr.close()
        self.link.close()
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            assert pipe is not None
            pipe.close()
        self.returncode = returncode
        self._owner.handle_end(returncode)
