"""A broadcaster under test: what it said of its targets, and an encoder that feeds it in real time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from rtmp.config import BroadcasterConfig
from rtmp.flv import FlvReader
from rtmp.io.broadcaster import Broadcaster, TargetPhase, TargetState
from tests.support.flv_source import HEADER, make_flv, raw_tag

KEY = "s3cretkey"
PATIENCE = 30.0

# Short times: what is waited for in tests is the outcome.
QUICK = {"connect_timeout": 1.0, "stall_timeout": 0.5, "retry_min": 0.05, "retry_max": 0.2}


async def loopback(host: str, port: int, scheme: str) -> Sequence[str]:
    return ["127.0.0.1"]


class Stage:
    """A broadcaster, every state it reported, and waiting for one."""

    def __init__(self, resolve=loopback, **options: Any) -> None:
        settings = {name: options.pop(name) for name in tuple(options) if name in BroadcasterConfig.__slots__}
        self.reported: list[TargetState] = []
        self._changed = asyncio.Condition()
        self._notifiers: set[asyncio.Task[None]] = set()
        self.broadcaster = Broadcaster(BroadcasterConfig(**QUICK | settings), resolve, self._on_state, **options)

    def _on_state(self, state: TargetState) -> None:
        self.reported.append(state)
        task = asyncio.get_running_loop().create_task(self._notify())
        self._notifiers.add(task)
        task.add_done_callback(self._notifiers.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def add(
        self, port: int, target_id: str = "t", *, scheme: str = "rtmp", host: str = "localhost", key: str = KEY
    ) -> None:
        self.broadcaster.add_target(target_id, f"{scheme}://{host}:{port}/live", key)

    def of(self, target_id: str) -> list[TargetState]:
        return [state for state in self.reported if state.id == target_id]

    async def until(
        self, phase: TargetPhase, target_id: str = "t", *, times: int = 1, words: str = "", timeout: float = PATIENCE
    ) -> TargetState:
        """The `times`-th report of this phase with these words."""

        def found() -> list[TargetState]:
            return [state for state in self.of(target_id) if state.state is phase and words in state.error]

        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: len(found()) >= times)
        except TimeoutError:
            raise AssertionError(f"no {phase} {words!r}: {self.of(target_id)}") from None
        return found()[times - 1]

    def state(self, target_id: str = "t") -> TargetState:
        return next(state for state in self.broadcaster.states() if state.id == target_id)


@contextlib.asynccontextmanager
async def staged(*args: Any, **options: Any) -> AsyncIterator[Stage]:
    stage = Stage(*args, **options)
    try:
        yield stage
    finally:
        await stage.broadcaster.stop(1.0)


async def eventually(condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
    """For what nobody reports: numbers, files."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def encoder(
    broadcaster: Broadcaster, *, seconds: float = 120.0, speed: float = 1.0, noise: bool = False
) -> AsyncIterator[None]:
    """Feeds the broadcaster as an encoder in real time would, until the block ends."""
    period = 4000  # a whole number of the pictures' forty greys
    tags = [tag for tag in FlvReader().receive_data(make_flv(period / 1000, noise=noise)) if tag.timestamp_ms < period]

    async def feed() -> None:
        loop = asyncio.get_running_loop()
        broadcaster.receive_flv(HEADER)
        began, lap = loop.time(), 0
        while lap * period < seconds * 1000:
            for tag in tags:
                if lap and (tag.is_metadata or tag.is_sequence_header):
                    continue
                at = tag.timestamp_ms + lap * period
                # Late or not, the receivers get their turn: most of them are in this process.
                await asyncio.sleep(max(0.0, began + at / 1000 / speed - loop.time()))
                broadcaster.receive_flv(raw_tag(tag.type, at, tag.data))
            lap += 1

    task = asyncio.create_task(feed())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
