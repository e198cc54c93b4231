"""A composition: RTP of many in, one picture and one mix out, into a file and an FLV stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sfu.compose.messages import CompositionSpec


class Composition:
    """`ports.Pipeline`. Media time zero is `wall()` at the start; what was captured at t is shown at t, encoded once
    `playout_delay` has passed. `flv_fd` is ours to close."""

    def __init__(
        self, spec: CompositionSpec, *, flv_fd: int | None, wall: Callable[[], float], now: float
    ) -> None: ...

    def receive_datagram(self, data: bytes, *, now: float) -> None: ...

    def receive_control(self, message: Any, *, now: float) -> None: ...

    def tick(self, *, now: float) -> float:
        raise NotImplementedError

    def next_report(self) -> Any | None: ...

    def datagrams_to_send(self) -> list[bytes]:
        return []

    @property
    def is_done(self) -> bool:
        raise NotImplementedError

    def close(self) -> None: ...
