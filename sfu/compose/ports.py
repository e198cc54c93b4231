"""The seam between a media worker's loop (`tidegate/workers/worker.py`) and what it runs. Protocols only."""

from __future__ import annotations

from typing import Any, Protocol


class Pipeline(Protocol):
    """One running thing in a worker: driven by packets, controls and time, drained by `next_report` and `datagrams_to_send`.

    `now` is monotonic seconds. A pipeline may write files and take its time: a worker does nothing else.
    """

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        """One RTP or RTCP packet of the socket pair (RFC 5761 tells them apart). Garbage is counted."""
        ...

    def receive_control(self, message: Any, *, now: float) -> None:
        """One of `messages.CONTROLS`. `Stop` begins the end: `is_done` is true once everything is written."""
        ...

    def tick(self, *, now: float) -> float:
        """Do what is due; returns when to come again (monotonic seconds)."""
        ...

    def next_report(self) -> Any | None:
        """One of `messages.REPORTS`, in order; None when there is no more."""
        ...

    def datagrams_to_send(self) -> list[bytes]:
        """RTCP for the node: PLI. Emptied by the call."""
        ...

    @property
    def is_done(self) -> bool: ...

    def close(self) -> None:
        """Let go of what is open; after an error too."""
        ...
