"""The RTP side of one peer session: takes decrypted packets, finds their producer, forwards, reports. Sans-I/O."""

from __future__ import annotations

from collections import deque

from media.clock import WallClock
from media.drops import DropCounts, DropReason
from media.errors import ParseError
from media.ids import RandomBytes
from media.ports import PacketSource
from sfu.config import SfuConfig
from sfu.consumer import Consumer, ConsumerParameters, Numbering
from sfu.events import RtpEvent
from sfu.producer import Producer, ProducerParameters
from sfu.rtp import extensions
from sfu.rtp.compound import RtcpMessage, parse_compound
from sfu.rtp.extensions import find_elements
from sfu.rtp.feedback import Fir, Nack, Pli, Remb
from sfu.rtp.packet import RtpPacket, parse
from sfu.rtp.reports import Bye, ExtendedReport, ReceiverReport, ReportBlock, SenderReport
from sfu.rtp.twcc import ArrivalRecorder
from sfu.stream.link import PublisherLink
from sfu.stream.report import Reporter
from sfu.stream.resolve import Binding, StreamTable
from sfu.stream.stats import RtpStats


class RtpEndpoint:
    """Implements `PacketSink`; sends through a `PacketSource`. Consumers may belong to another endpoint than their producer."""

    def __init__(
        self,
        config: SfuConfig,
        transport: PacketSource,
        *,
        random_bytes: RandomBytes,
        wall_clock: WallClock,
        cname: str,
        drops: DropCounts,
        stats: RtpStats,
    ) -> None:
        self.transport = transport
        self.drops = drops
        self.stats = stats
        self.producers: list[Producer] = []
        self.consumers: list[Consumer] = []
        self.link = PublisherLink(transport, int.from_bytes(random_bytes(4), "big"), wall_clock, stats)
        self._config = config
        self._random_bytes = random_bytes
        self._wall_clock = wall_clock
        self._events: deque[RtpEvent] = deque()  # drained after each input
        self._streams = StreamTable(config.max_ssrcs)
        self._by_ssrc: dict[int, Consumer] = {}  # consumers, by the SSRC that their subscriber sees
        self._reporter = Reporter(config.rtcp_interval, self.link, wall_clock, cname, random_bytes)
        self._arrivals = ArrivalRecorder()
        self._twcc_id: int | None = None
        self._next_twcc: float | None = None
        self._ready = True
        self._closed = False

    # The way of a packet

    def receive_rtp(self, data: bytes, *, now: float) -> None:
        """One decrypted RTP packet."""
        stats = self.stats
        stats.packets_in += 1
        stats.bytes_in += len(data)
        try:
            packet = parse(data)
            if packet.ext_profile:
                packet.elements = find_elements(data, packet.ext_profile, packet.ext_offset, packet.ext_end)
        except ParseError:
            self.drops.count(DropReason.RTP_MALFORMED)
            return
        packet.arrival = now
        if self._twcc_id is not None:
            self._record_arrival(packet, now)
        binding = self._streams.by_ssrc.get(packet.ssrc)
        if binding is None:
            binding = self._streams.learn(packet)
            if isinstance(binding, DropReason):
                self.drops.count(binding)
                return
        if binding.retransmission:
            stats.rtx_in += 1
            binding.producer.receive_rtx(binding.stream, packet, now=now)
        else:
            binding.producer.receive(binding.stream, packet, now=now)

    def _record_arrival(self, packet: RtpPacket, now: float) -> None:
        for ident, start, end in packet.elements:
            if ident == self._twcc_id:
                if end - start == 2:
                    self._arrivals.receive(packet.data[start] << 8 | packet.data[start + 1], now)
                    if self._next_twcc is None:
                        self._next_twcc = now + self._config.twcc_interval
                return

    def receive_rtcp(self, data: bytes, *, now: float) -> None:
        """One decrypted RTCP compound packet."""
        self.stats.rtcp_in += 1
        try:
            messages = parse_compound(data)
        except ParseError:
            self.drops.count(DropReason.RTCP_MALFORMED)
            return
        for message in messages:
            self._handle_rtcp(message, now)

    def _handle_rtcp(self, message: RtcpMessage, now: float) -> None:
        match message:
            case Nack():
                if consumer := self._by_ssrc.get(message.media_ssrc):
                    consumer.receive_nack(message.lost, now=now)
            case Pli():
                self._handle_keyframe_request(message.media_ssrc, now)
            case Fir():
                for ssrc, _ in message.requests:
                    self._handle_keyframe_request(ssrc, now)
            case SenderReport():
                binding = self._streams.by_ssrc.get(message.ssrc)
                if binding is not None and not binding.retransmission:
                    binding.producer.receive_sr(binding.stream, message, now=now)
                self._handle_blocks(message.blocks, now)
            case ReceiverReport():
                self._handle_blocks(message.blocks, now)
            case ExtendedReport():
                self._reporter.receive_extended(message, now=now)
            case Remb():
                for consumer in self.consumers:
                    if consumer.params.ssrc in message.ssrcs:
                        consumer.stats.remb_bps = message.bitrate_bps
            case Bye():
                for ssrc in message.ssrcs:
                    self._handle_bye(self._streams.by_ssrc.get(ssrc), now)
            case _:
                pass  # SDES tells nothing that signalling did not; transport feedback waits for a sender's estimator

    def _handle_blocks(self, blocks: list[ReportBlock], now: float) -> None:
        for block in blocks:
            if consumer := self._by_ssrc.get(block.ssrc):
                consumer.receive_report(block, self._wall_clock, now=now)

    def _handle_keyframe_request(self, ssrc: int, now: float) -> None:
        if consumer := self._by_ssrc.get(ssrc):
            consumer.request_keyframe(now=now)

    def _handle_bye(self, binding: Binding | None, now: float) -> None:
        if binding is not None and not binding.retransmission:
            binding.producer.receive_bye(binding.stream, now=now)

    # Control

    def add_producer(self, params: ProducerParameters, *, now: float) -> Producer:
        producer = Producer(params, self._config, self.link, drops=self.drops, events=self._events)
        self.producers.append(producer)
        self._streams.add(producer)
        self._twcc_id = params.header_extensions.get(extensions.TRANSPORT_CC, self._twcc_id)
        self._reporter.start(now=now)
        return producer

    def remove_producer(self, producer: Producer, *, now: float) -> None:
        """Forget the track and its SSRCs; its consumers send no more and stay until their own endpoints remove them."""
        if producer in self.producers:
            self.producers.remove(producer)
            self._streams.remove(producer)
            producer.close()

    def add_consumer(
        self, producer: Producer, params: ConsumerParameters, *, numbering: Numbering | None = None, now: float
    ) -> Consumer:
        """Attach to the producer's fan-out and ask for a keyframe. `numbering`: of the one that had this SSRC before."""
        consumer = Consumer(
            producer,
            params,
            self.transport,
            random_bytes=self._random_bytes,
            stats=self.stats,
            numbering=numbering,
        )
        consumer.ready = self._ready
        self.consumers.append(consumer)
        self._by_ssrc[params.ssrc] = consumer
        self._reporter.start(now=now)
        producer.attach(consumer, now=now)
        return consumer

    def remove_consumer(self, consumer: Consumer, *, bye: bool = True, now: float) -> None:
        """Detach and say BYE, unless its SSRC will go on."""
        if consumer not in self.consumers:
            return
        self.consumers.remove(consumer)
        del self._by_ssrc[consumer.params.ssrc]
        consumer.closed = True
        consumer.producer.detach(consumer)
        if bye and self._ready and consumer.target.packets:
            self.link.send(ReceiverReport(consumer.params.ssrc), Bye([consumer.params.ssrc]))

    def set_ready(self, ready: bool, *, now: float) -> None:
        """Whether the transport can send (default: yes). Consumers of an endpoint that is not ready wait and ask no keyframes."""
        self._ready = ready
        for consumer in self.consumers:
            consumer.set_ready(ready, now=now)

    def close(self, *, now: float) -> None:
        """Remove all producers and consumers."""
        for consumer in list(self.consumers):
            self.remove_consumer(consumer, now=now)
        for producer in list(self.producers):
            self.remove_producer(producer, now=now)
        self._closed = True

    # Time

    def get_timer(self) -> float | None:
        """The soonest time at which `handle_timer` has something to do."""
        if self._closed:
            return None
        times = [self._reporter.due, self._next_twcc, *(producer.get_timer() for producer in self.producers)]
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Send what is due: NACKs, keyframe requests, transport feedback, reports."""
        if self._closed:
            return
        for producer in self.producers:
            producer.handle_timer(now=now)
        if self._next_twcc is not None and now >= self._next_twcc:
            self._send_transport_feedback(now)
        if self._reporter.due is not None and now >= self._reporter.due:
            self.report(now=now)

    def report(self, *, now: float) -> None:
        """Send reports, due or not; the next are due an interval later."""
        self._reporter.report(self.producers, self.consumers, now=now)

    def _send_transport_feedback(self, now: float) -> None:
        self._next_twcc = None  # armed again by the next arrival
        media_ssrc = next(iter(self._streams.by_ssrc), 0)
        for feedback in self._arrivals.build(sender_ssrc=self.link.ssrc, media_ssrc=media_ssrc, now=now):
            self.stats.twcc_out += 1
            self.link.send(feedback)

    def next_event(self) -> RtpEvent | None:
        return self._events.popleft() if self._events else None
