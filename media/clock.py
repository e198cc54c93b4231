"""NTP, wall and RTP clocks. `now` is monotonic seconds everywhere; wall seconds are Unix time."""

from __future__ import annotations

NTP_UNIX_OFFSET = 2_208_988_800  # seconds from 1900 to 1970, RFC 5905 section 6


def wall_to_ntp(wall: float) -> int:
    """Unix seconds to a 64-bit NTP timestamp (32.32 fixed point)."""
    return round((wall + NTP_UNIX_OFFSET) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def ntp_to_wall(ntp: int) -> float:
    """A 64-bit NTP timestamp to Unix seconds."""
    return ntp / (1 << 32) - NTP_UNIX_OFFSET


def ntp_middle(ntp: int) -> int:
    """The middle 32 bits: LSR of a report block and the unit of DLSR. RFC 3550 section 6.4.1."""
    return (ntp >> 16) & 0xFFFF_FFFF


class WallClock:
    """Maps monotonic `now` to wall seconds by one fixed offset, so that NTP times sent never jump."""

    __slots__ = ("offset",)

    def __init__(self, *, wall: float, now: float) -> None:
        self.offset = wall - now

    def wall(self, now: float) -> float:
        return now + self.offset

    def ntp(self, now: float) -> int:
        return wall_to_ntp(now + self.offset)
