"""The last packets of one stream, for retransmission and to know duplicates. A ring: the newest displaces the oldest."""

from __future__ import annotations

from sfu.rtp.packet import RtpPacket


class PacketHistory:
    """`capacity` packets, rounded up to a power of two, each for `seconds`."""

    __slots__ = ("_mask", "_ring", "_seconds", "capacity")

    def __init__(self, capacity: int, seconds: float) -> None:
        self.capacity = 1 << max(0, capacity - 1).bit_length()
        self._mask = self.capacity - 1
        self._ring: list[RtpPacket | None] = [None] * self.capacity
        self._seconds = seconds

    def put(self, packet: RtpPacket) -> None:
        self._ring[packet.sequence & self._mask] = packet

    def holds(self, sequence: int) -> bool:
        packet = self._ring[sequence & self._mask]
        return packet is not None and packet.sequence == sequence

    def get(self, sequence: int, now: float) -> RtpPacket | None:
        packet = self._ring[sequence & self._mask]
        if packet is None or packet.sequence != sequence or now - packet.arrival > self._seconds:
            return None
        return packet
