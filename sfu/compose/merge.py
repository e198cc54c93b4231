"""Finished files into one: speech left and right, side by side, or one after the other."""

from __future__ import annotations

from typing import Any

from sfu.compose.messages import MergeSpec


class Merge:
    """`ports.Pipeline` that makes one file of finished ones. Takes no media."""

    def __init__(self, spec: MergeSpec, *, now: float) -> None: ...

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
