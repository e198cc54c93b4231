"""One media worker as its user sees it: what it is told, what it reports, how it ends. `supervisor.py` makes them.

    starting --first report--> running --stop()--> stopping (Stop, after stop_timeout SIGTERM, 5 s later SIGKILL) --> ended
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from media.errors import ParseError
from sfu.compose import messages
from tidegate.config.egress import WorkersConfig
from tidegate.http.ratelimit import RateLimiter
from tidegate.logs import scrub
from tidegate.workers.link import WorkerLink
from tidegate.workers.messages import CONTROLS, REPORTS, SPECS, Heartbeat, Log, Ready
from tidegate.workers.process import WORKER_COMMAND, WorkerProcess

log = logging.getLogger(__name__)

TERM_TIMEOUT = 5.0  # seconds from SIGTERM to SIGKILL
FAREWELL = 10.0  # seconds from Done or Failed to the process's end; then it is killed, which loses nothing
LOG_BURST, LOG_RATE = 30, 2.0  # records of a worker at once, and a second
GATHER, GATHERED_LINES = 0.1, 60  # seconds in which lines of standard error are one record (a crash's stacks), and how many
MIN_BEAT = 0.5  # seconds between heartbeats that say how much CPU is taken: the first comes while Python starts
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Reason = Literal["done", "failed", "killed", "crashed", "heartbeat"]


class State(Enum):
    SPARE = "spare"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended. `text` is for people, without secrets, empty for "done"."""

    reason: Reason
    returncode: int
    text: str = ""


@dataclass(slots=True)
class WorkerStats:
    """From its heartbeats. `cpu_share` is of one core."""

    cpu_seconds: float = 0.0
    cpu_share: float = 0.0
    rss_bytes: int = 0
    log_lines_dropped: int = 0
    garbage_lines: int = 0


def _ignore(_: Any) -> None:
    pass


class Worker:
    """A process that runs one pipeline, or waits for one (a spare). Callbacks run on the loop's thread and must not block."""

    def __init__(
        self, config: WorkersConfig, on_end: Callable[[Worker], None], command: Sequence[str] = WORKER_COMMAND
    ) -> None:
        self.id = ""
        self.kind = ""
        self.cost = 0.0
        """Cores it is estimated to take; its user may correct it while it runs."""
        self.state = State.SPARE
        self.stats = WorkerStats()
        self.exit: Exit | None = None
        self.is_ready = False
        """Its libraries are loaded."""
        self._config = config
        self._on_end = on_end
        self._on_report: Callable[[Any], None] = _ignore
        self._on_exit: Callable[[Exit], None] = _ignore
        self._log = logging.LoggerAdapter(log, {"pipeline": "spare"})
        self._log_limit = RateLimiter(LOG_RATE, LOG_BURST, time.monotonic)
        self._patient = True  # a spare, a merge, whatever works in one long piece: only silence is a sign of death
        self._last_words: messages.Done | messages.Failed | None = None
        self._forced: Exit | None = None
        self._deadline: float | None = None  # when the next signal is due
        self._terminated = False
        self._heard_at = self._beat_at = time.monotonic()
        self._error_lines: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Exit] = self._loop.create_future()
        self._process = WorkerProcess(self, nice=config.nice, command=command)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def link(self) -> WorkerLink:
        return self._process.link

    def assign(
        self,
        spec: Any,
        *,
        kind: str,
        cost: float,
        on_report: Callable[[Any], None],
        on_exit: Callable[[Exit], None],
        on_rtcp: Callable[[bytes], None] | None = None,
        on_flv: Callable[[bytes], None] | None = None,
    ) -> None:
        """Give it its pipeline: once."""
        assert self.state is State.SPARE
        self.id, self.kind, self.cost = spec.id, kind, cost
        self.state = State.STARTING
        self._log = logging.LoggerAdapter(log, {"pipeline": spec.id})
        self._patient = isinstance(spec, messages.MergeSpec | messages.FinalizeSpec)
        self._on_report, self._on_exit = on_report, on_exit
        self._heard_at = time.monotonic()
        self.stats.cpu_share = 0.0  # what loading took is no pipeline's
        self.link.listen(on_rtcp, on_flv)
        self._process.write(SPECS.serialize(spec))

    def send(self, control: Any) -> None:
        """One of `messages.CONTROLS`, in order, before packets that are sent after it. Never blocks; lost when it has ended."""
        if isinstance(control, messages.Stop):
            self.stop()
        else:
            self._write(control)

    def stop(self) -> None:
        """Ask for an orderly end; escalates by itself. Again is harmless."""
        if self.state in (State.STARTING, State.RUNNING):
            self.state = State.STOPPING
            self._deadline = time.monotonic() + self._config.stop_timeout
            self._write(messages.Stop())

    def kill(self, reason: Reason = "killed", text: str = "it was ended at once") -> None:
        """SIGKILL: files stay as they are, playable to their last fragment."""
        if self.exit is None:
            self._forced = self._forced or Exit(reason, 0, text)
            self._process.send_signal(signal.SIGKILL)

    async def wait(self) -> Exit:
        """Until it has ended and everything it said was delivered."""
        return await asyncio.shield(self._ended)

    def check(self, now: float, *, forgive: bool = False) -> None:
        """Due twice a second or so: missing heartbeats, overdue stops. `forgive`: it is us who were away."""
        if self.exit is not None:
            return
        if forgive:
            self._heard_at = now
        timeout = self._config.heartbeat_timeout
        if now - self._heard_at > timeout:
            self.kill("heartbeat", f"the media worker gave no sign of life for {timeout:.0f} s")
        elif self._deadline is not None and now >= self._deadline:
            self._escalate(now)

    def _escalate(self, now: float) -> None:
        if self._last_words is not None or self._terminated:
            timeout = self._config.stop_timeout + TERM_TIMEOUT
            self.kill("killed", f"it did not finish within {timeout:.0f} s of being asked to stop")
            self._deadline = None
        else:
            self._terminated = True
            self._deadline = now + TERM_TIMEOUT
            self._log.warning("it has not stopped: sending SIGTERM")
            self._process.send_signal(signal.SIGTERM)

    def _write(self, control: Any) -> None:
        if not self._process.write(CONTROLS.serialize(control)):
            self.kill("heartbeat", "the media worker does not read what it is told")

    def handle_line(self, line: bytes) -> None:
        try:
            message = REPORTS.parse(line)
        except ParseError as error:
            self.stats.garbage_lines += 1
            self._emit(logging.WARNING, f"not a report ({error}): {line[:200].decode(errors='replace')}")
            return
        self._heard_at = time.monotonic()
        if isinstance(message, Heartbeat):
            self._take_heartbeat(message)
        elif isinstance(message, Log):
            self._emit(LEVELS[message.level], message.text)
        elif isinstance(message, Ready):
            self.is_ready = True
            self._log.debug("process %d loaded its libraries in %.2f s", message.pid, message.seconds)
        elif self._last_words is None and self.state is not State.SPARE:
            self._take_report(message)

    def _take_report(self, report: Any) -> None:
        if isinstance(report, messages.Done | messages.Failed):
            self._last_words = report
            self._deadline = time.monotonic() + FAREWELL
        if self.state is State.STARTING:
            self.state = State.RUNNING
        try:
            self._on_report(report)
        except Exception:
            self._log.exception("its report made its reader fail: %s", type(report).__name__)

    def _take_heartbeat(self, beat: Heartbeat) -> None:
        stats, now = self.stats, self._heard_at
        if now - self._beat_at >= MIN_BEAT:
            stats.cpu_share = max(0.0, beat.cpu_seconds - stats.cpu_seconds) / (now - self._beat_at)
        self._beat_at = now
        stats.cpu_seconds, stats.rss_bytes = beat.cpu_seconds, beat.rss_bytes
        timeout = self._config.heartbeat_timeout
        if beat.stalled > timeout and not self._patient and self.state is not State.STOPPING:
            self.kill("heartbeat", f"the pipeline has not moved for {timeout:.0f} s")

    def handle_error_line(self, line: bytes) -> None:
        """Native code and what Python says at a crash. What comes together is one record."""
        if not line.strip():
            return
        if not self._error_lines:
            self._loop.call_later(GATHER, self._emit_errors)
        if len(self._error_lines) < GATHERED_LINES:
            self._error_lines.append(line.decode(errors="replace"))
        else:
            self.stats.log_lines_dropped += 1

    def _emit_errors(self) -> None:
        if self._error_lines:
            self._emit(logging.WARNING, "stderr: " + "\n".join(self._error_lines))
            self._error_lines.clear()

    def _emit(self, level: int, text: str) -> None:
        if not log.isEnabledFor(level):
            return
        if self._log_limit.take(""):
            self.stats.log_lines_dropped += 1
            return
        self._log.log(level, "%s", text)

    def handle_end(self, returncode: int) -> None:
        self._emit_errors()
        self.exit = self._how_it_ended(returncode)
        self.state, was = State.ENDED, self.state
        if was is not State.SPARE:
            stats, reason = self.stats, f"{self.exit.reason}: {self.exit.text}" if self.exit.text else self.exit.reason
            level = logging.INFO if self.exit.reason == "done" else logging.WARNING
            self._log.log(
                level, "worker %d (%s) ended: %s; %d log lines left out, %d lines were no reports",
                self.pid, self.kind, reason, stats.log_lines_dropped, stats.garbage_lines,
            )  # fmt: skip
        self._on_end(self)
        self._ended.set_result(self.exit)
        try:
            self._on_exit(self.exit)
        except Exception:
            self._log.exception("its end made its reader fail")

    def _how_it_ended(self, returncode: int) -> Exit:
        if isinstance(self._last_words, messages.Done):
            return Exit("done", returncode)
        if isinstance(self._last_words, messages.Failed):
            return Exit("failed", returncode, scrub(self._last_words.text))
        if self._forced is not None:
            return Exit(self._forced.reason, returncode, self._forced.text)
        if returncode == -signal.SIGKILL:
            return Exit("crashed", returncode, "the system killed the media worker, perhaps for want of memory")
        if returncode < 0:
            return Exit("crashed", returncode, f"the media worker crashed ({signal.Signals(-returncode).name})")
        return Exit("crashed", returncode, f"the media worker ended unexpectedly (exit code {returncode})")
