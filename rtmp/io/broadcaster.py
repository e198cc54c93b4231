"""One FLV stream to several RTMP targets.

Here: splitting the stream once and handing the same tags to every target. Not here: one target's attempts (`target`), one
connection (`publisher`), what is in the stream (`rtmp.flv`, `rtmp.program`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from media.errors import UsageError
from rtmp.config import BroadcasterConfig
from rtmp.io.publisher import Resolve
from rtmp.io.target import Target, TargetPhase, TargetState
from rtmp.program import Program
from rtmp.url import parse_target

__all__ = ["Broadcaster", "Resolve", "TargetPhase", "TargetState"]


class Broadcaster:
    """Fed by `receive_flv`; targets come and go meanwhile. All on one event loop; `stop` leaves nothing running."""

    def __init__(
        self,
        config: BroadcasterConfig,
        resolve: Resolve,
        on_state: Callable[[TargetState], None],
        *,
        forbidden: tuple[type[Exception], ...] = (),
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`resolve(host, port, scheme)` gives the addresses that may be connected to, at every attempt anew.

        What it raises is shown in its words; an exception of a type in `forbidden` fails the target, an OSError is tried again.
        `on_state` is told of every change of a target's `state` or `error`, not of its numbers; it must not raise.
        `ssl_context` replaces the system's list of authorities for rtmps.
        """
        self._config = config
        self._resolve = resolve
        self._on_state = on_state
        self._forbidden = forbidden
        self._ssl_context = ssl_context
        self._program = Program()
        self._targets: dict[str, Target] = {}
        self._stopped = False

    def receive_flv(self, data: bytes) -> None:
        """The next bytes of the encoder's stream. ParseError when they are no FLV: `restart_flv` before the next ones."""
        now = asyncio.get_running_loop().time()
        for tag, on_air in self._program.receive_data(data, now=now):
            for target in self._targets.values():
                target.send_tag(tag, on_air)

    def restart_flv(self) -> None:
        """Another encoder begins: its stream has a file header and times of its own. Targets stay connected, their time goes on."""
        self._program.restart()

    def add_target(self, target_id: str, url: str, stream_key: str = "") -> None:
        """Connects from now on; it begins with the next keyframe. ParseError (in words) for an address that cannot be meant."""
        if self._stopped:
            raise UsageError("the broadcaster is stopped")
        if target_id in self._targets:
            raise UsageError(f"target {target_id} is there already")
        if len(self._targets) >= self._config.max_targets:
            raise UsageError(f"{self._config.max_targets} targets are all that a broadcast may have")
        target = Target(
            target_id,
            parse_target(url, stream_key),
            self._config,
            resolve=self._resolve,
            on_state=self._on_state,
            ssl_context=self._ssl_context,
            forbidden=self._forbidden,
        )
        self._targets[target_id] = target
        target.start()

    async def remove_target(self, target_id: str, timeout: float = 5.0) -> TargetState:
        """End one target in order; its last state. KeyError when there is none of this id."""
        target = self._targets.pop(target_id)
        await target.stop(timeout)
        return target.state()

    async def stop(self, timeout: float = 5.0) -> None:
        """End all targets in order, at the same time; those that do not take it in `timeout` seconds are cut."""
        self._stopped = True
        await asyncio.gather(*(target.stop(timeout) for target in self._targets.values()))

    def states(self) -> list[TargetState]:
        """In the order in which they were added, removed ones left out."""
        return [target.state() for target in self._targets.values()]
