"""A published track: its streams (one for each encoding), who consumes it, and what it asks of its publisher."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from media.codecs import Codec, Kind
from media.drops import DropCounts, DropReason
from media.errors import ParseError
from sfu.config import SfuConfig
from sfu.consumer import Consumer
from sfu.events import ProducerLayers, ProducerStarted, RtpEvent
from sfu.router import Router
from sfu.rtp.extensions import AUDIO_LEVEL
from sfu.rtp.packet import RtpPacket
from sfu.rtp.payload import KEYFRAME_DETECTORS, vp8
from sfu.rtp.reports import SenderReport
from sfu.stream import rtx
from sfu.stream.layers import LayerSelector
from sfu.stream.link import PublisherLink
from sfu.stream.receive import RtpStreamRecv
from sfu.stream.stats import ProducerStats

LOUD_LEVEL = 50  # -dBov; a packet below this is louder: speech is at 20 to 40, rooms and fans at 55 to 80
AUDIO_HISTORY = 128  # 2.5 s of 20 ms packets; a history made for video would hold 20 s of sound


@dataclass(frozen=True, slots=True)
class Encoding:
    """One encoding of a track. Simulcast publishers name it by rid only; its SSRCs are learned."""

    ssrc: int | None = None
    rtx_ssrc: int | None = None
    rid: str | None = None


@dataclass(frozen=True, slots=True)
class ProducerParameters:
    """What was negotiated for one published track. Encodings go from the lowest quality to the highest."""

    id: str
    mid: str
    kind: Kind
    codecs: tuple[Codec, ...]
    header_extensions: dict[str, int] = field(default_factory=dict)  # URI -> id
    encodings: tuple[Encoding, ...] = ()
    simulcast: bool = False


class Producer:
    """Made by `RtpEndpoint.add_producer`."""

    def __init__(
        self,
        params: ProducerParameters,
        config: SfuConfig,
        link: PublisherLink,
        *,
        drops: DropCounts,
        events: deque[RtpEvent],
    ) -> None:
        self.params = params
        self.id = params.id
        self.kind = params.kind
        self.link = link
        self.muted = False
        self.closed = False
        self.stats = ProducerStats()
        self.layers = LayerSelector()
        self.router = Router(params.kind, self.layers, drops=drops, stats=link.stats)
        self._config = config
        self._drops = drops
        self._events = events
        self._codecs = {codec.payload_type: codec for codec in params.codecs}
        self._rtx = {c.rtx_payload_type: c.payload_type for c in params.codecs if c.rtx_payload_type is not None}
        self._detectors = {pt: KEYFRAME_DETECTORS.get(codec.name) for pt, codec in self._codecs.items()}
        self._nacks = any("nack" in codec.feedback for codec in params.codecs)
        self._fir = not any("nack pli" in c.feedback for c in params.codecs) and any(
            "ccm fir" in c.feedback for c in params.codecs
        )
        self._renumbers = params.simulcast and any(codec.name == "VP8" for codec in params.codecs)
        self._started = False
        self._level_id = params.header_extensions.get(AUDIO_LEVEL) if params.kind is Kind.AUDIO else None
        self._packets_heard = self._loud_packets = self._loudness = 0  # since `take_levels`

    @property
    def consumers(self) -> list[Consumer]:
        return self.router.consumers

    @property
    def payload_types(self) -> set[int]:
        """Of media and of retransmissions."""
        return {*self._codecs, *self._rtx}

    @property
    def retransmission_types(self) -> set[int]:
        return set(self._rtx)

    def add_stream(
        self, ssrc: int, *, rid: str | None, index: int, rtx_ssrc: int | None
    ) -> tuple[RtpStreamRecv, RtpStreamRecv | None]:
        """A new SSRC of this track; and the stream that it replaces, if its encoding had one."""
        history = AUDIO_HISTORY if self.kind is Kind.AUDIO else None
        stream = RtpStreamRecv(ssrc, self._config, rid=rid, index=index, rtx_ssrc=rtx_ssrc, history_packets=history)
        stream.nacks = self._nacks
        if self.params.codecs:
            stream.clock_rate = self.params.codecs[0].clock_rate
        return stream, self.layers.add(stream)

    # The way of a packet

    def receive_rtx(self, stream: RtpStreamRecv, packet: RtpPacket, *, now: float) -> None:
        """A packet of the stream's RTX SSRC. Probes without payload only count for transport feedback."""
        if packet.payload_end == packet.payload_offset:
            self._drops.count(DropReason.RTP_PADDING)
            return
        payload_type = self._rtx.get(packet.payload_type)
        if payload_type is None:
            self._drops.count(DropReason.RTP_UNKNOWN_PAYLOAD_TYPE)
            return
        try:
            original = rtx.unwrap(packet, ssrc=stream.ssrc, payload_type=payload_type)
        except ParseError:
            self._drops.count(DropReason.RTX_MALFORMED)
            return
        self.receive(stream, original, now=now, recovered=True)

    def receive(self, stream: RtpStreamRecv, packet: RtpPacket, *, now: float, recovered: bool = False) -> None:
        """A media packet: place it, let it begin what waits for a keyframe, fan it out."""
        if packet.payload_type not in self._codecs:
            self._drops.count(DropReason.RTP_UNKNOWN_PAYLOAD_TYPE)
            return
        drop = stream.receive(packet, now=now, recovered=recovered)
        changed = stream.restarting
        if changed:
            self.router.restart(stream, now=now)
            drop = stream.receive(packet, now=now)
        nack = stream.nack
        if nack.due is not None and now >= nack.due:
            self._send_nack(stream, now)
        if drop is not None:
            self._drops.count(drop)
            return
        if not stream.sending:
            self._stream_began(stream, now)
            changed = True
        if stream.overrun:
            stream.overrun = False
            changed = True
            if self.kind is Kind.VIDEO and stream.groups:
                stream.keyframes.request(now)
        keyframe = self.kind is not Kind.VIDEO or self._look_into(stream, packet, now)
        if self.muted:
            self._drops.count(DropReason.RTP_TRACK_MUTED)
        else:
            if self._level_id is not None:
                self._hear(packet)
            self.router.route(stream, packet, keyframe=keyframe, now=now)
        if changed:  # only now: the packet itself may be the keyframe that is wanted
            self._send_keyframe_requests(now)

    def _hear(self, packet: RtpPacket) -> None:
        """RFC 6464 section 3: seven bits of -dBov, so 127 is silence."""
        for ident, start, end in packet.elements:
            if ident == self._level_id:
                if end > start:
                    level = packet.data[start] & 0x7F
                    self._packets_heard += 1
                    self._loudness += 127 - level
                    if level < LOUD_LEVEL:
                        self._loud_packets += 1
                return

    def take_levels(self) -> tuple[int, int, int] | None:
        """Packets with a level since the last call, loud ones among them, the sum of 127 less their levels.

        None from publishers that tell no levels.
        """
        if self._level_id is None:
            return None
        heard = self._packets_heard, self._loud_packets, self._loudness
        if heard[0]:
            self.stats.audio_level = heard[2] // heard[0] - 127
        self._packets_heard = self._loud_packets = self._loudness = 0
        return heard

    def _look_into(self, stream: RtpStreamRecv, packet: RtpPacket, now: float) -> bool:
        """Whether a keyframe begins here; keeps what a change of layers will need."""
        payload = packet.data[packet.payload_offset : packet.payload_end]
        if self._renumbers and packet.sequence == stream.highest_sequence:
            self._keep_picture(stream, packet, payload)
        detect = self._detectors[packet.payload_type]
        if detect is None or not detect(payload):
            return False
        stream.keyframe_count += 1
        if self._renumbers and (height := vp8.frame_height(payload)) and height != stream.height:
            stream.height = height
            if self.layers.resize():  # an encoding is chosen by its height, which only its first keyframe tells
                self.router.refresh_all(now=now)
        stream.keyframes.receive_keyframe()  # after what asked for one: here it is
        return True

    def _keep_picture(self, stream: RtpStreamRecv, packet: RtpPacket, payload: bytes) -> None:
        if self._codecs[packet.payload_type].name != "VP8":
            return
        try:
            descriptor = vp8.parse(payload)
        except ParseError:
            return
        if descriptor.picture_id is not None:
            stream.picture_id = descriptor.picture_id
            stream.tl0picidx = descriptor.tl0picidx

    def _stream_began(self, stream: RtpStreamRecv, now: float) -> None:
        if not self._started:
            self._started = True
            self._events.append(ProducerStarted(self.id))
        if self.layers.receive(stream, now=now):
            self.router.refresh_all(now=now)
        self._tell_layers()

    def _tell_layers(self) -> None:
        if self.params.simulcast:
            self._events.append(ProducerLayers(self.id, self.layers.sending_rids()))

    # Control

    def set_muted(self, muted: bool, *, now: float) -> None:
        """A muted producer takes packets in and forwards none; on unmute video starts again from a keyframe."""
        if muted == self.muted:
            return
        self.muted = self.router.muted = muted
        self.router.refresh_all(now=now)
        if muted:
            for stream in self.layers.streams:
                stream.keyframes.cancel()
        self._send_keyframe_requests(now)

    def request_keyframe(self, *, now: float, stream: RtpStreamRecv | None = None) -> None:
        """Ask the publisher for a keyframe; requests are merged within `config.keyframe_interval_min`."""
        if self.kind is not Kind.VIDEO or self.muted or self.closed:
            return
        if stream is not None and stream in self.layers.streams:
            stream.keyframes.request(now)
        else:
            self.router.request_keyframe(now=now)
        self._send_keyframe_requests(now)

    def attach(self, consumer: Consumer, *, now: float) -> None:
        self.router.attach(consumer, now=now)
        self._send_keyframe_requests(now)

    def detach(self, consumer: Consumer) -> None:
        self.router.detach(consumer)
        if not self.router.consumers:
            for stream in self.layers.streams:
                stream.keyframes.cancel()

    def refresh(self, consumer: Consumer, *, now: float) -> None:
        """The consumer was paused, resumed, or its transport became ready."""
        if not self.closed:
            self.router.refresh(consumer, now=now)
            self._send_keyframe_requests(now)

    def receive_sr(self, stream: RtpStreamRecv, report: SenderReport, *, now: float) -> None:
        stream.receive_sr(report, now=now)
        self.link.receive_sr_time(report.ntp, now=now)

    def receive_bye(self, stream: RtpStreamRecv, *, now: float) -> None:
        if stream.sending and len(self.layers.streams) > 1:
            if self.layers.stop(stream):
                self.router.refresh_all(now=now)
                self._send_keyframe_requests(now)
            self._tell_layers()

    def close(self) -> None:
        """Nobody is sent anything any more; consumers stay attached until their own endpoints remove them."""
        self.closed = True
        for consumer in self.router.consumers:
            consumer.stop_segment()
        self.router.pending.clear()
        for stream in self.layers.streams:
            stream.nack.clear()
            stream.keyframes.cancel()

    # Time

    def get_timer(self) -> float | None:
        times = [self.layers.next_check]
        for stream in self.layers.streams:
            times += (stream.nack.due, stream.keyframes.due)
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        for stream in self.layers.streams:
            if stream.nack.due is not None and now >= stream.nack.due:
                self._send_nack(stream, now)
        fell_silent, changed = self.layers.handle_timer(now=now)
        if fell_silent:
            self._tell_layers()
        if changed:
            self.router.refresh_all(now=now)
        self._send_keyframe_requests(now)

    def _send_nack(self, stream: RtpStreamRecv, now: float) -> None:
        lost = stream.lost_to_ask(now=now, round_trip_time=self.link.round_trip_time)
        if lost and not self.muted:
            self.stats.nacks += len(lost)
            self.link.send_nack(stream.ssrc, lost)

    def _send_keyframe_requests(self, now: float) -> None:
        for stream in self.layers.streams:
            if stream.keyframes.collect(now):
                self.stats.keyframe_requests += 1
                self.link.send_keyframe_request(stream.ssrc, fir=self._fir)
            if stream.keyframes.due is not None:
                self.link.wake()  # a subscriber's session may have asked

    def update_stats(self) -> ProducerStats:
        """The counters with what the streams count."""
        stats, streams = self.stats, self.layers.streams
        stats.packets = sum(stream.packets for stream in streams)
        stats.bytes = sum(stream.bytes for stream in streams)
        stats.lost = sum(stream.lost for stream in streams)
        stats.recovered = sum(stream.recovered for stream in streams)
        stats.padding = sum(stream.padding for stream in streams)
        stats.keyframes = sum(stream.keyframe_count for stream in streams)
        stats.jitter = max((stream.jitter / stream.clock_rate for stream in streams), default=0.0)
        stats.round_trip_time = self.link.round_trip_time
        return stats
