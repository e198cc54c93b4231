"""Files as a recording leaves them (fragments, live WebM) into files as players like them (index first, length known)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfu.compose.messages import FinalizeSpec
from sfu.compose.probe import MediaInfo


def finalize_file(path: Path) -> MediaInfo:
    """Rewrites `path` at once, atomically; the original stays until the new one is whole. UnreadableFile when nothing can
    be played; OSError when the disk has no room: the fragmented file is still there and playable."""
    raise NotImplementedError


class Rewriting:
    """The same in steps, so that a worker stays alive to its node: `step` until it says True."""

    def __init__(self, path: Path) -> None: ...

    def step(self, packets: int = 2000) -> bool:
        """Copies some packets; True once the new file stands under the old name."""
        raise NotImplementedError

    @property
    def result(self) -> MediaInfo: ...


class Finalize:
    """`ports.Pipeline` that finalises the files of a killed worker. Takes no media."""

    def __init__(self, spec: FinalizeSpec, *, now: float) -> None: ...

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
