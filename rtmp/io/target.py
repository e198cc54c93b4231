"""One target of a broadcast: connections one after the other, and what people are shown of it.

Here: attempts, pauses between them, when to give up, the state. Not here: a connection (`publisher`), the other targets
(`broadcaster`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from rtmp.config import BroadcasterConfig
from rtmp.flv import FlvTag
from rtmp.io.publisher import Failure, Publisher, PublishError, Resolve
from rtmp.program import OnAir
from rtmp.url import PublishTarget

logger = logging.getLogger(__name__)

# A server that has not yet noticed that our last connection is gone refuses the key as being in use.
REFUSED_AFTER_LIVE = 120.0  # seconds
SILENT_REFUSALS = 3  # in a row: a server that restarts hangs up as well
STEADY = 10.0  # seconds live after which the next trouble is a new one
BITRATE_WINDOW = 5.0  # seconds
SLOW = "the server takes less than is sent: frames are dropped; lower the quality or check its network"
SLOW_SHOWN = 10.0  # seconds after the last dropped frame


class TargetPhase(Enum):
    CONNECTING = "connecting"
    LIVE = "live"
    RETRYING = "retrying"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TargetState:
    """What people are shown of one target. `url` carries no key, user, password or query; `error` is words that say what to do."""

    id: str
    url: str
    state: TargetPhase
    error: str
    bitrate_bps: int
    bytes_sent: int
    frames_dropped: int
    attempts: int
    since: float  # Unix seconds at which `state` began


class Target:
    """One task from `start` to `stop`; `send_tag` feeds the connection there is."""

    def __init__(
        self,
        target_id: str,
        target: PublishTarget,
        config: BroadcasterConfig,
        *,
        resolve: Resolve,
        on_state: Callable[[TargetState], None],
        ssl_context: ssl.SSLContext | None,
        forbidden: tuple[type[Exception], ...],
    ) -> None:
        self._id = target_id
        self._target = target
        self._config = config
        self._resolve = resolve
        self._on_state = on_state
        self._ssl_context = ssl_context
        self._forbidden = forbidden
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._publisher: Publisher | None = None
        self._phase = TargetPhase.CONNECTING
        self._error = ""
        self._since = time.time()
        self._attempts = 0
        self._earlier_bytes = 0  # of connections that are over
        self._earlier_dropped = 0
        self._dropped_before = 0  # of this connection, when last looked at
        self._dropped_at = 0.0
        self._samples: deque[tuple[float, int]] = deque()  # (time, bytes sent), one a tenth of a second at most
        self._stopping = False
        self._was_live = False
        self._lost_at = self._loop.time()  # since when there is no connection

    def start(self) -> None:
        self._task = self._loop.create_task(self._run(), name=f"rtmp target {self._id}")

    def send_tag(self, tag: FlvTag, on_air: OnAir) -> None:
        if self._phase is TargetPhase.LIVE and self._publisher is not None:
            self._publisher.send_tag(tag, on_air)
            now = self._loop.time()
            self._sample(now)
            self._notice_drops(self._publisher.frames_dropped, now)

    async def stop(self, timeout: float) -> None:
        """In order if it is live, at once if not; within `timeout` either way."""
        complete, self._stopping = True, True
        if self._phase is TargetPhase.LIVE and self._publisher is not None:
            complete = await self._publisher.close(timeout)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._phase not in (TargetPhase.FAILED, TargetPhase.STOPPED):
            self._set(TargetPhase.STOPPED, "" if complete else "the server did not take the last frames")

    def state(self) -> TargetState:
        return TargetState(
            id=self._id,
            url=self._target.shown_url,
            state=self._phase,
            error=self._error,
            bitrate_bps=self._bitrate_bps(),
            bytes_sent=self._bytes_sent(),
            frames_dropped=self._earlier_dropped + (self._publisher.frames_dropped if self._publisher else 0),
            attempts=self._attempts,
            since=self._since,
        )

    async def _run(self) -> None:
        try:
            await self._attempt_until_final()
        except Exception:  # a bug of ours costs this target only
            logger.exception("target %s: internal error", self._id)
            self._set(TargetPhase.FAILED, "internal error: see the server's log")

    async def _attempt_until_final(self) -> None:
        pause, silent_refusals = self._config.retry_min, 0
        while True:
            began = self._loop.time()
            error = await self._publish()
            if error is None or self._stopping:
                return
            now = self._loop.time()
            if self._lost_at > began + STEADY:
                pause = self._config.retry_min
            silent_refusals = silent_refusals + 1 if error.failure is Failure.REFUSED_SILENTLY else 0
            gone = now - self._lost_at
            if self._is_final(error.failure, silent_refusals, gone):
                self._set(TargetPhase.FAILED, error.description)
                return
            if self._config.give_up_after and gone >= self._config.give_up_after:
                self._set(TargetPhase.FAILED, f"given up after {gone:.0f} s without a connection: {error.description}")
                return
            self._set(TargetPhase.RETRYING, error.description)
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # a server that comes back is not stormed
            pause = min(2 * pause, self._config.retry_max)

    def _is_final(self, failure: Failure, silent_refusals: int, gone: float) -> bool:
        if failure is Failure.FORBIDDEN:
            return True
        if self._was_live and gone < REFUSED_AFTER_LIVE:
            return False
        return failure is Failure.REFUSED or silent_refusals >= SILENT_REFUSALS

    async def _publish(self) -> PublishError | None:
        """One attempt: a connection, from its beginning to its end; more where the server asks for user and password."""
        self._attempts += 1
        if self._attempts > 1:
            self._set(TargetPhase.CONNECTING, self._error)
        error = await self._publish_to(self._target)
        while error is not None and error.again is not None:  # `rtmp.auth` gives no third
            error = await self._publish_to(error.again)
        return error

    async def _publish_to(self, target: PublishTarget) -> PublishError | None:
        publisher = self._publisher = Publisher(
            target,
            self._config,
            resolve=self._resolve,
            ssl_context=self._ssl_context,
            forbidden=self._forbidden,
        )
        try:
            await publisher.open()
            self._was_live = True
            self._dropped_before = 0
            self._set(TargetPhase.LIVE, "")
            error = await publisher.wait_closed()
            self._lost_at = self._loop.time()
            return error
        except PublishError as failure:
            return failure
        finally:
            self._earlier_bytes += publisher.bytes_sent  # what waits is lost by the next line, and was not sent
            publisher.abort()
            self._earlier_dropped += publisher.frames_dropped
            self._publisher = None
            self._samples.clear()

    def _set(self, phase: TargetPhase, error: str) -> None:
        if phase is not self._phase:
            self._since = time.time()
        self._phase, self._error = phase, error
        shown = f": {error}" if error else ""
        level = (
            logging.INFO
            if phase in (TargetPhase.LIVE, TargetPhase.STOPPED, TargetPhase.CONNECTING)
            else logging.WARNING
        )
        logger.log(level, "target %s (%s) %s%s", self._id, self._target.shown_url, phase.value, shown)
        self._on_state(self.state())

    def _bytes_sent(self) -> int:
        return self._earlier_bytes + (self._publisher.bytes_sent if self._publisher else 0)

    def _notice_drops(self, dropped: int, now: float) -> None:
        if dropped > self._dropped_before:
            self._dropped_before, self._dropped_at = dropped, now
            if not self._error:
                self._set(TargetPhase.LIVE, SLOW)
        elif self._error and now - self._dropped_at > SLOW_SHOWN:
            self._set(TargetPhase.LIVE, "")

    def _sample(self, now: float) -> None:
        samples = self._samples
        if not samples or now - samples[-1][0] >= 0.1:
            samples.append((now, self._bytes_sent()))
            while now - samples[0][0] > BITRATE_WINDOW:
                samples.popleft()

    def _bitrate_bps(self) -> int:
        if not self._samples:
            return 0
        began, bytes_then = self._samples[0]
        return int(8 * (self._bytes_sent() - bytes_then) / max(1.0, self._loop.time() - began))
