"""One incoming RTP stream: extended numbers, loss, jitter, history, what to ask again. RFC 3550 sections 6.4.1, A.1, A.3, A.8.

Wire numbers become plain ints here and nowhere else. Which subscribers get the packets is the router's matter.
"""

from __future__ import annotations

from media.clock import ntp_middle
from media.drops import DropReason
from media.seq import Unwrapper, diff
from sfu.config import SfuConfig
from sfu.rtp.fast import FanOutGroup
from sfu.rtp.packet import RtpPacket
from sfu.rtp.reports import ReportBlock, SenderReport
from sfu.stream.cache import PacketHistory
from sfu.stream.keyframe import KeyframeRequester
from sfu.stream.nack import NackGenerator
from sfu.stream.seqmap import Compactor

MAX_DROPOUT = 3000  # RFC 3550 A.1: a greater jump is a restart, believed when a second packet confirms it


class RtpStreamRecv:
    """`highest` counts as the wire does, `highest_sequence` without dropped padding: subscribers are numbered from that."""

    def __init__(
        self,
        ssrc: int,
        config: SfuConfig,
        *,
        rid: str | None = None,
        rtx_ssrc: int | None = None,
        index: int = 0,
        history_packets: int | None = None,
    ):
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.rid = rid
        self.index = index  # of its encoding: higher is better
        self.clock_rate = 90000
        self.nacks = True  # whether the publisher answers NACKs
        self.groups: list[FanOutGroup] = []
        self.history = PacketHistory(history_packets or config.history_packets, config.history_seconds)
        self.nack = NackGenerator(config.nack_retries)
        self.keyframes = KeyframeRequester(config.keyframe_interval_min)
        self.sending = False
        self.restarting = False  # the last packet begins a new run of numbers and is to be received once more
        self.overrun = False  # more was lost than is asked for again; read and cleared by the producer

        self.highest = -1
        self.highest_sequence = -1
        self.last_timestamp = 0
        self.last_arrival = 0.0
        self.picture_id: int | None = None  # VP8 simulcast only
        self.tl0picidx: int | None = None
        self.height = 0

        self.packets = 0
        self.bytes = 0
        self.recovered = 0
        self.padding = 0
        self.keyframe_count = 0
        self.jitter = 0.0  # timestamp units
        self.sr: SenderReport | None = None
        self.sr_arrival = 0.0

        self._unwrapper = Unwrapper()
        self._compactor = Compactor()
        self._base = 0  # first number of this run
        self._run_start = 0  # nothing before it is placed
        self._suspect: int | None = None  # RFC 3550 A.1 "bad_seq"
        self._transit: float | None = None
        self._expected_prior = 0
        self._received_prior = 0
        self._earlier_expected = 0  # of runs before this one

    def receive(self, packet: RtpPacket, *, now: float, recovered: bool = False) -> DropReason | None:
        """Place the packet: sets its `sequence` and keeps it. A reason if it is not to be forwarded.

        If afterwards `restarting` is set, nothing was done yet: the old run can be ended before this is called again.
        """
        number = packet.sequence_number
        if self.highest < 0 or self.restarting:
            self._start(number, compact=None if self.highest < 0 else self.highest_sequence + 1)
            self.restarting = False
            extended = self.highest
            step = 1
        else:
            extended = self._unwrapper.peek(number)
            step = extended - self.highest
            if step > MAX_DROPOUT or step <= -self.history.capacity or (step <= 0 and extended < self._run_start):
                if recovered or self._suspect != number:
                    self._suspect = (number + 1) & 0xFFFF
                else:
                    self.restarting = True
                return DropReason.RTP_TOO_OLD
        if step > 0:
            drop = self._receive_newest(packet, extended, step)
        else:
            drop = self._receive_late(packet, extended)
            if drop is DropReason.RTP_DUPLICATE:
                return drop
        self.packets += 1
        self.bytes += packet.payload_end - packet.payload_offset
        if recovered:
            self.recovered += 1
        else:
            transit = now * self.clock_rate - packet.timestamp
            if self._transit is not None:
                delta = abs(diff(round(transit), round(self._transit), 32))
                self.jitter += (delta - self.jitter) / 16
            self._transit = transit
        return drop

    def _start(self, number: int, *, compact: int | None) -> None:
        """Begin a run of numbers; `compact` is what its first is to become."""
        if self.highest >= 0:
            self._earlier_expected += self.highest - self._base + 1
            self.sr = None  # it told of times that may have begun anew, too
        self._unwrapper = Unwrapper()
        extended = self._unwrapper.unwrap(number)
        self._base = extended
        # In the first run what was overtaken by the very first packet still has its place.
        self._run_start = extended if compact is not None else extended - self.history.capacity
        if compact is not None:
            self._compactor.restart(extended, compact)
        self.highest = extended
        self._suspect = None
        self._transit = None
        self.nack.clear()

    def _receive_newest(self, packet: RtpPacket, extended: int, step: int) -> DropReason | None:
        if step > 1 and self.nacks and not self.nack.add(extended - step + 1, extended, packet.arrival):
            self.overrun = True
        self.highest = extended
        self._unwrapper.last = extended
        if packet.payload_end == packet.payload_offset:
            self._compactor.skip(extended)
            self.padding += 1
            return DropReason.RTP_PADDING
        packet.sequence = self.highest_sequence = self._compactor.compact(extended)
        self.history.put(packet)
        self.last_timestamp = packet.timestamp
        self.last_arrival = packet.arrival
        return None

    def _receive_late(self, packet: RtpPacket, extended: int) -> DropReason | None:
        """Padding that comes late is passed on: numbers after its own are given out, only itself fills the hole."""
        sequence = self._compactor.compact(extended)
        if self._compactor.is_skipped(extended) or self.history.holds(sequence):
            return DropReason.RTP_DUPLICATE
        self.nack.remove(extended)
        if sequence <= self.highest_sequence - self.history.capacity:
            return DropReason.RTP_TOO_OLD
        packet.sequence = sequence
        self.history.put(packet)
        return None

    def receive_sr(self, report: SenderReport, *, now: float) -> None:
        self.sr = report
        self.sr_arrival = now

    def lost_to_ask(self, *, now: float, round_trip_time: float) -> list[int]:
        """Wire numbers to ask the publisher for now."""
        if self.nack.due is None or now < self.nack.due:
            return []
        self.nack.forget_before(self.highest - self.history.capacity)
        return [number & 0xFFFF for number in self.nack.collect(now, round_trip_time)]

    @property
    def expected(self) -> int:
        return self._earlier_expected + (self.highest - self._base + 1 if self.highest >= 0 else 0)

    @property
    def lost(self) -> int:
        """Cumulative; retransmissions do not count as received, RFC 4588 keeps their statistics apart."""
        return self.expected - (self.packets - self.recovered)

    def report_block(self, *, now: float) -> ReportBlock:
        """RFC 3550 A.3."""
        received = self.packets - self.recovered
        expected_interval = self.expected - self._expected_prior
        lost_interval = expected_interval - (received - self._received_prior)
        self._expected_prior, self._received_prior = self.expected, received
        fraction = min(255, lost_interval * 256 // expected_interval) if expected_interval > 0 < lost_interval else 0
        lsr = dlsr = 0
        if self.sr is not None:
            lsr = ntp_middle(self.sr.ntp)
            dlsr = min(0xFFFFFFFF, round((now - self.sr_arrival) * 65536))
        highest = (self.highest - (1 << 16)) & 0xFFFFFFFF  # the unwrapper begins one lap ahead
        return ReportBlock(self.ssrc, fraction, self.lost, highest, round(self.jitter) & 0xFFFFFFFF, lsr, dlsr)
