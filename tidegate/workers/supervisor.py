"""Starts media workers, admits them by their cost, watches and ends them. The owner of everything that runs in children.

One worker waits as a spare with its libraries loaded, so that a pipeline starts in milliseconds also on a busy machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tidegate.config.egress import WorkersConfig
from tidegate.workers.budget import Budget, WorkersBusy, default_cores
from tidegate.workers.handle import TERM_TIMEOUT, Exit, State, Worker
from tidegate.workers.link import LinkStats
from tidegate.workers.process import WORKER_COMMAND

log = logging.getLogger(__name__)

WATCH_INTERVAL = 0.5  # seconds between looks at deadlines and heartbeats
SPARE_DELAY = 2.0  # seconds after a start until the next spare loads its libraries: the pipeline's first frames come first
SPARE_RETRY = 60.0  # seconds after a spare died by itself


def available_cores() -> float:
    """Cores this process may use: its affinity, and the container's limit (cgroup v2 cpu.max)."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return cores if quota == "max" else min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        return cores


class Supervisor:
    """An async context manager; leaving it ends every worker. `cores` replaces what the machine has, `command` what is run."""

    def __init__(
        self, config: WorkersConfig, *, cores: float | None = None, command: Sequence[str] = WORKER_COMMAND
    ) -> None:
        self.config = config
        budget = config.cpu_budget or default_cores(available_cores() if cores is None else cores)
        self.budget = Budget(config.max_pipelines, budget)
        self.started: Counter[str] = Counter()
        """Workers by kind."""
        self.restarted: Counter[str] = Counter()
        self.exits: Counter[tuple[str, str]] = Counter()
        """Ended workers by kind and reason."""
        self.refused = 0
        self.past_links = LinkStats()
        """Of workers that have ended."""
        self._command = command
        self._workers: set[Worker] = set()
        self._spares: list[Worker] = []
        self._spare_at = 0.0
        self._closing = False
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Supervisor:
        self._watcher = asyncio.get_running_loop().create_task(self._watch(), name="worker supervisor")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that run a pipeline."""
        return tuple(self._workers)

    @property
    def spares(self) -> tuple[Worker, ...]:
        return tuple(self._spares)

    @property
    def cores_in_use(self) -> float:
        return sum(self._loads())

    async def start(
        self,
        spec: Any,
        *,
        kind: str,
        cost: float,
        on_report: Callable[[Any], None],
        on_exit: Callable[[Exit], None],
        on_rtcp: Callable[[bytes], None] | None = None,
        on_flv: Callable[[bytes], None] | None = None,
        restarted: bool = False,
    ) -> Worker:
        """Run `spec` (one of `messages.SPECS`) in a worker. WorkersBusy when there is no room for `cost` cores, or the node ends.

        `on_exit` is called once, after the last report. `restarted` is for the count only.
        """
        if self._closing:
            raise WorkersBusy("the server shuts down")
        try:
            self.budget.admit(self._loads(), cost)
        except WorkersBusy:
            self.refused += 1
            raise
        try:
            worker = self._spares.pop() if self._spares else self._spawn()
        except OSError as error:
            log.error("no media worker can be started: %s", error)
            self.refused += 1
            raise WorkersBusy("the server cannot start another process") from error
        self._workers.add(worker)
        self._spare_at = time.monotonic() + SPARE_DELAY
        self.started[kind] += 1
        self.restarted[kind] += restarted
        worker.assign(
            spec, kind=kind, cost=cost, on_report=on_report, on_exit=on_exit, on_rtcp=on_rtcp, on_flv=on_flv
        )
        return worker

    async def close(self, timeout: float | None = None) -> None:
        """Stop every worker, kill what has not ended after `timeout` (default: stop_timeout and what SIGTERM gets), wait for all."""
        self._closing = True
        timeout = self.config.stop_timeout + TERM_TIMEOUT if timeout is None else timeout
        running = self.workers
        for worker in running:
            worker.stop()
        for spare in self.spares:
            spare.kill()
        if running:
            await asyncio.wait([asyncio.ensure_future(worker.wait()) for worker in running], timeout=timeout)
        for worker in self.workers:
            worker.kill("killed", "the server had no more time for it to finish")
        for worker in (*self.workers, *self.spares):
            await worker.wait()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None

    def _loads(self) -> list[float]:
        """What each takes: its estimate, or what it was seen to take if that is more."""
        return [max(worker.cost, worker.stats.cpu_share) for worker in self._workers]

    def _spawn(self) -> Worker:
        return Worker(self.config, self._on_end, self._command)

    def _on_end(self, worker: Worker) -> None:
        if worker in self._spares:
            self._spares.remove(worker)
            self._spare_at = time.monotonic() + SPARE_RETRY
            if not self._closing:
                log.warning("a spare media worker died (exit code %s)", worker.exit.returncode if worker.exit else None)
            return
        self._workers.discard(worker)
        assert worker.exit is not None
        self.exits[worker.kind, worker.exit.reason] += 1
        for name in LinkStats.__slots__:
            setattr(self.past_links, name, getattr(self.past_links, name) + getattr(worker.link.stats, name))

    async def _watch(self) -> None:
        before = time.monotonic()
        while True:
            self._keep_spares(before)
            await asyncio.sleep(WATCH_INTERVAL)
            now = time.monotonic()
            forgive = now - before > 4 * WATCH_INTERVAL  # we stood still, or the loop did: what they said may be unread
            for worker in (*self._workers, *self._spares):
                worker.check(now, forgive=forgive)
            before = now

    def _keep_spares(self, now: float) -> None:
        if self._closing or now < self._spare_at or len(self._workers) >= self.config.max_pipelines:
            return
        while len(self._spares) < self.config.spare:
            try:
                self._spares.append(self._spawn())
            except OSError as error:
                log.error("no spare media worker can be started: %s", error)
                self._spare_at = now + SPARE_RETRY
                return


__all__ = ["Exit", "State", "Supervisor", "Worker", "WorkersBusy"]
