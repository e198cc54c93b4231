"""The way back to one publisher: feedback messages, its round-trip time, and how its clock stands to ours."""

from __future__ import annotations

from collections.abc import Callable

from media.clock import WallClock, ntp_to_wall
from media.ports import PacketSource
from sfu.rtp.compound import RtcpMessage, serialize_compound
from sfu.rtp.feedback import Fir, Nack, Pli
from sfu.stream.stats import RtpStats

DEFAULT_ROUND_TRIP_TIME = 0.1  # until the first report tells
MAX_NACKED = 256  # of one message: even if each takes an item of its own, it stays below 1200 bytes
CLOCK_JUMP = 1.0  # a publisher whose clock moves by more has set it; what drift adds up to is no jump


class PublisherLink:
    """Shared by all tracks of one endpoint. Feedback leaves as reduced-size RTCP, RFC 5506."""

    def __init__(self, transport: PacketSource, ssrc: int, wall_clock: WallClock, stats: RtpStats) -> None:
        self.ssrc = ssrc
        self.round_trip_time = DEFAULT_ROUND_TRIP_TIME
        self.clock_offset: float | None = None  # our wall time less the publisher's NTP time, for all of its tracks
        self.clock_set_at = float("-inf")  # a report that came before speaks of another clock
        self._transport = transport
        self._wall_clock = wall_clock
        self.stats = stats
        self.wake: Callable[[], None] = lambda: None
        """Tells the owner that its timer is to be read anew, where another session's doing moved it."""
        self._fir_number = 0

    def send(self, *messages: RtcpMessage) -> None:
        self.stats.rtcp_out += 1
        self._transport.send_rtcp(serialize_compound(messages))

    def send_nack(self, ssrc: int, lost: list[int]) -> None:
        self.stats.nack_out += len(lost)
        for at in range(0, len(lost), MAX_NACKED):
            self.send(Nack(self.ssrc, ssrc, lost[at : at + MAX_NACKED]))

    def send_keyframe_request(self, ssrc: int, *, fir: bool) -> None:
        self.stats.pli_out += 1
        if fir:
            # RFC 5104 section 4.3.1.1: each new command has a new number; one count serves all targets
            self._fir_number = (self._fir_number + 1) & 0xFF
            self.send(Fir(self.ssrc, [(ssrc, self._fir_number)]))
        else:
            self.send(Pli(self.ssrc, ssrc))

    def receive_sr_time(self, ntp: int, *, now: float) -> None:
        """One offset serves audio and video, so that subscribers see their relation as it was published."""
        offset = self._wall_clock.wall(now) - ntp_to_wall(ntp)
        if self.clock_offset is None or abs(offset - self.clock_offset) > CLOCK_JUMP:
            self.clock_offset = offset
            self.clock_set_at = now

    def publisher_wall(self, now: float) -> float | None:
        """`now` on the publisher's clock, as Unix seconds; None before its first report."""
        return None if self.clock_offset is None else self._wall_clock.wall(now) - self.clock_offset
