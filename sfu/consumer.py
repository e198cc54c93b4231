"""A track on its way to one subscriber: own SSRC, numbering, payload types and header extensions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from media.clock import WallClock, ntp_middle, ntp_to_wall
from media.codecs import Codec, Kind
from media.ids import RandomBytes
from media.ports import PacketSource
from media.seq import diff
from sfu.rtp import extensions, fast
from sfu.rtp.packet import RtpPacket, parse
from sfu.rtp.reports import ReportBlock, SenderReport
from sfu.stream import rtx
from sfu.stream.formats import SubscriberFormat
from sfu.stream.receive import RtpStreamRecv
from sfu.stream.seqmap import Segment, SegmentMap
from sfu.stream.stats import ConsumerStats, RtpStats

if TYPE_CHECKING:
    from sfu.producer import Producer

MAX_TIME_STEP = 2.0  # where a mapped time and the clock differ by more, the clock is believed
RESEND_MIN_INTERVAL = 0.01  # the same packet is not resent faster, whatever the subscriber asks
MAX_RESENT = 1024  # remembered resends; the oldest are forgotten
MAX_ASKED = 1024  # numbers a subscriber may ask for at once; beyond these, one for each packet sent: asking amplifies


@dataclass(frozen=True, slots=True)
class ConsumerParameters:
    """What was negotiated with the subscriber. Codecs carry the subscriber's payload types."""

    mid: str
    kind: Kind
    codecs: tuple[Codec, ...]
    ssrc: int
    rtx_ssrc: int | None = None
    header_extensions: dict[str, int] = field(default_factory=dict)  # URI -> id
    cname: str = ""


@dataclass(frozen=True, slots=True)
class Numbering:
    """Where a stream to a subscriber stands, so that another producer can go on under its SSRC.

    RFC 3711 section 9.1: under one key and SSRC no packet index may be used twice; beginning anew at random would.
    """

    next_sequence: int
    rtx_sequence: int
    last_time: float | None
    last_timestamp: int
    packets: int
    octets: int


class Consumer:
    """Made by `RtpEndpoint.add_consumer`. Segments begin and end by the producer's router."""

    def __init__(
        self,
        producer: Producer,
        params: ConsumerParameters,
        transport: PacketSource,
        *,
        random_bytes: RandomBytes,
        stats: RtpStats,
        numbering: Numbering | None = None,
    ) -> None:
        self.producer = producer
        self.params = params
        self.paused = False
        self.ready = True
        self.closed = False
        self.stats = ConsumerStats()
        self.segment: Segment | None = None
        mid_id = params.header_extensions.get(extensions.MID)
        self.target = fast.FanOutTarget(transport.send_rtp, params.ssrc, mid_id, params.mid.encode())
        self.format = SubscriberFormat(
            producer.params.codecs,
            producer.params.header_extensions,
            params.codecs,
            params.header_extensions,
            params.mid,
        )
        self._transport = transport
        self._node_stats = stats
        self._segments = SegmentMap()
        # RFC 3711 section 3.3.1: a start below 2**15 keeps a loss of the first packets from losing the roll-over count.
        self._next_sequence = int.from_bytes(random_bytes(2), "big") & 0x7FFF | 1 << 16
        self._timestamp_offset = int.from_bytes(random_bytes(4), "big")
        self._rtx_sequence = int.from_bytes(random_bytes(2), "big") & 0x7FFF
        self._last_stream: RtpStreamRecv | None = None
        self._last_time: float | None = None
        self._last_timestamp = 0  # sent
        self._picture_offsets = (0, 0)
        self._resent: dict[int, float] = {}
        self._may_ask = MAX_ASKED  # as of `_may_ask_at` packets sent
        self._may_ask_at = 0
        if numbering is not None:
            self._next_sequence, self._rtx_sequence = numbering.next_sequence, numbering.rtx_sequence
            self._last_time, self._last_timestamp = numbering.last_time, numbering.last_timestamp
            self.target.packets, self.target.octets = numbering.packets, numbering.octets
            self._may_ask_at = numbering.packets

    @property
    def numbering(self) -> Numbering:
        """Of a consumer that was removed, for the one that follows it."""
        target = self.target
        return Numbering(
            self._next_sequence, self._rtx_sequence, self._last_time, self._last_timestamp, target.packets, target.octets
        )

    @property
    def active(self) -> bool:
        return self.ready and not self.paused and not self.closed

    @property
    def highest_sequence(self) -> int:
        """The newest number sent, extended."""
        segment = self.segment
        if segment is None:
            return self._next_sequence - 1
        return segment.stream.highest_sequence + segment.sequence_offset

    def set_paused(self, paused: bool, *, now: float) -> None:
        """A paused consumer sends nothing; resumed, video starts again from a keyframe."""
        self.paused = paused
        self.producer.refresh(self, now=now)

    def set_ready(self, ready: bool, *, now: float) -> None:
        self.ready = ready
        self.producer.refresh(self, now=now)

    # Segments

    def start_segment(self, stream: RtpStreamRecv, packet: RtpPacket, *, now: float) -> None:
        """Forward `stream` from `packet` on, in numbers and times that go on where the last segment ended."""
        self.stop_segment()
        target = self.target
        self._timestamp_offset = self._map_timestamp(stream, packet, now)
        self._picture_offsets = self._map_picture(stream)
        segment = Segment(
            stream,
            self.format.group_of(stream, self._picture_offsets),
            start=packet.sequence,
            sequence_offset=self._next_sequence - packet.sequence,
            timestamp_offset=self._timestamp_offset,
        )
        target.start = segment.start
        target.sequence_offset = segment.sequence_offset
        target.timestamp_offset = segment.timestamp_offset
        segment.group.targets.append(target)
        self._segments.add(segment)
        self.segment = segment
        self._last_stream = stream

    def stop_segment(self) -> None:
        segment = self.segment
        if segment is None:
            return
        stream = segment.stream
        self._next_sequence = self.highest_sequence + 1
        self._last_time = stream.last_arrival
        self._last_timestamp = (stream.last_timestamp + segment.timestamp_offset) & 0xFFFFFFFF
        segment.end = stream.highest_sequence + 1
        segment.group.targets.remove(self.target)
        if not segment.group.targets:
            stream.groups.remove(segment.group)
        self.segment = None

    def _map_timestamp(self, stream: RtpStreamRecv, packet: RtpPacket, now: float) -> int:
        """The offset to the subscriber's times: by the publisher's clock where reports of both streams tell it, else by ours."""
        last = self._last_stream
        if self._last_time is None:
            return self._timestamp_offset
        expected = (self._last_timestamp + round((now - self._last_time) * stream.clock_rate)) & 0xFFFFFFFF
        mapped: int | None = None
        if stream is last:
            mapped = packet.timestamp + self._timestamp_offset
        elif last is not None and stream.sr is not None and last.sr is not None and stream.clock_rate == last.clock_rate:
            between = (stream.sr.ntp - last.sr.ntp) / (1 << 32)
            same_instant = packet.timestamp - stream.sr.rtp_time + last.sr.rtp_time + round(between * last.clock_rate)
            mapped = same_instant + self._timestamp_offset
        if mapped is None or abs(diff(mapped, expected, 32)) > MAX_TIME_STEP * stream.clock_rate:
            mapped = expected
        if stream is not last and diff(mapped, self._last_timestamp, 32) <= 0:
            mapped = self._last_timestamp + 1  # two frames never share a time
        return (mapped - packet.timestamp) & 0xFFFFFFFF

    def _map_picture(self, stream: RtpStreamRecv) -> tuple[int, int]:
        """VP8 picture ids go on too: a receiver orders its frames by them."""
        last = self._last_stream
        if last is None or last is stream or last.picture_id is None or stream.picture_id is None:
            return self._picture_offsets
        picture = last.picture_id + self._picture_offsets[0] + 1 - stream.picture_id
        tl0 = (last.tl0picidx or 0) + self._picture_offsets[1] + 1 - (stream.tl0picidx or 0)
        return picture & 0x7FFF, tl0 & 0xFF

    # Sending apart from the fan-out

    def send_again(self, packet: RtpPacket) -> None:
        """One packet of the current segment that the fan-out has passed by."""
        segment = self.segment
        if segment is None:
            return
        plain = self._write(segment, packet, packet.sequence + segment.sequence_offset)
        if plain is not None:
            self.target.packets += 1
            self.target.octets += packet.payload_end - packet.payload_offset
            self._node_stats.packets_out += 1
            self._node_stats.bytes_out += len(plain)
            self._transport.send_rtp(plain)

    def _write(self, segment: Segment, packet: RtpPacket, sequence: int) -> bytes | None:
        return fast.write_one(
            packet,
            segment.group,
            self.target,
            sequence_number=sequence & 0xFFFF,
            timestamp=(packet.timestamp + segment.timestamp_offset) & 0xFFFFFFFF,
        )

    def receive_nack(self, lost: list[int], *, now: float) -> None:
        """Answer from the producer's history. What it does not hold yet comes by itself once the publisher resends it."""
        stats, resent = self._node_stats, self._resent
        lost = self._within_budget(lost)
        interval = max(RESEND_MIN_INTERVAL, (self.stats.round_trip_time or 0.0) * 0.8)
        highest = self.highest_sequence
        for number in lost:
            stats.nack_in += 1
            self.stats.nacks += 1
            found = self._segments.find(number, highest)
            packet = found and found[0].stream.history.get(found[1], now)
            if not packet:
                stats.nack_unanswered += 1
                continue
            if now - resent.get(number, -interval) < interval:
                continue
            resent.pop(number, None)
            resent[number] = now
            if len(resent) > MAX_RESENT:
                del resent[next(iter(resent))]
            plain = self._write(found[0], packet, number)
            if plain is not None:
                self._resend(plain)

    def _within_budget(self, lost: list[int]) -> list[int]:
        """What of a NACK is looked at; the rest is counted as not answered."""
        sent = self.target.packets
        self._may_ask = min(MAX_ASKED, self._may_ask + sent - self._may_ask_at)
        self._may_ask_at = sent
        taken = lost[: self._may_ask]
        self._may_ask -= len(taken)
        refused = len(lost) - len(taken)
        self._node_stats.nack_in += refused
        self._node_stats.nack_unanswered += refused
        return taken

    def _resend(self, plain: bytes) -> None:
        """By RTX where it was negotiated; else the same packet again."""
        payload_type = self.format.rtx_payload_types.get(plain[1] & 0x7F)
        if payload_type is not None and self.params.rtx_ssrc is not None:
            plain = rtx.wrap(
                plain,
                payload_offset=parse(plain).payload_offset,
                ssrc=self.params.rtx_ssrc,
                payload_type=payload_type,
                sequence_number=self._rtx_sequence,
            )
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        self.stats.retransmitted += 1
        self._node_stats.rtx_out += 1
        self._transport.send_rtp(plain)

    def request_keyframe(self, *, now: float) -> None:
        """The subscriber sent PLI or FIR."""
        self.stats.keyframe_requests += 1
        self._node_stats.pli_in += 1
        stream = self.segment.stream if self.segment is not None else None
        self.producer.request_keyframe(now=now, stream=stream)

    # Reports

    def sender_report(self, wall_clock: WallClock, *, now: float) -> SenderReport | None:
        """Our time now, and the same instant in the subscriber's RTP times by the publisher's last report.

        None while the publisher has not told its clock: no report is better than a wrong relation of audio to video.
        """
        stream, link = self._last_stream, self.producer.link
        publisher_now = link.publisher_wall(now)
        if stream is None or stream.sr is None or publisher_now is None or stream.sr_arrival < link.clock_set_at:
            return None
        elapsed = publisher_now - ntp_to_wall(stream.sr.ntp)
        rtp_time = stream.sr.rtp_time + round(elapsed * stream.clock_rate) + self._timestamp_offset
        target = self.target
        return SenderReport(
            self.params.ssrc,
            wall_clock.ntp(now),
            rtp_time & 0xFFFFFFFF,
            target.packets & 0xFFFFFFFF,
            target.octets & 0xFFFFFFFF,
        )

    def receive_report(self, block: ReportBlock, wall_clock: WallClock, *, now: float) -> None:
        """A report block of the subscriber about us. RFC 3550 section 6.4.1."""
        stats = self.stats
        stats.lost = block.packets_lost
        stats.fraction_lost = block.fraction_lost / 256
        stats.jitter = block.jitter / self._clock_rate
        if block.lsr:
            ticks = diff(ntp_middle(wall_clock.ntp(now)), (block.lsr + block.dlsr) & 0xFFFFFFFF, 32)
            stats.round_trip_time = max(0, ticks) / 65536

    @property
    def _clock_rate(self) -> int:
        return self.params.codecs[0].clock_rate if self.params.codecs else 90000

    def update_stats(self) -> ConsumerStats:
        """The counters with what the fan-out counts elsewhere."""
        self.stats.packets = self.target.packets
        self.stats.payload_bytes = self.target.octets
        return self.stats
