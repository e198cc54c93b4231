"""The seams between planes: small Protocols, plain methods. Control calls data; data tells control through events."""

from __future__ import annotations

from typing import Protocol


class PacketSink(Protocol):
    """Takes decrypted packets: the RTP side of a peer session, or a worker's socket pair."""

    def receive_rtp(self, data: bytes, *, now: float) -> None: ...

    def receive_rtcp(self, data: bytes, *, now: float) -> None: ...


class PacketSource(Protocol):
    """Takes packets that are to leave: a peer's transport protects and queues them. A call never blocks or raises."""

    def send_rtp(self, data: bytes) -> None: ...

    def send_rtcp(self, data: bytes) -> None: ...


class FrameSink(Protocol):
    """Takes whole access units, in decode order (workers)."""

    def receive_frame(self, data: bytes, *, rtp_time: int, keyframe: bool, now: float) -> None: ...
