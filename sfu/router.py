"""From one producer's streams to its consumers: who gets which stream, from which packet on, and the fan-out itself."""

from __future__ import annotations

from media.codecs import Kind
from media.drops import DropCounts, DropReason
from sfu.consumer import Consumer
from sfu.rtp import fast
from sfu.rtp.packet import RtpPacket
from sfu.stream.layers import LayerSelector
from sfu.stream.receive import RtpStreamRecv
from sfu.stream.stats import RtpStats


class Router:
    """Consumers that forward sit in the groups of their stream; those that wait for a keyframe are in `pending` too."""

    def __init__(self, kind: Kind, layers: LayerSelector, *, drops: DropCounts, stats: RtpStats) -> None:
        self.kind = kind
        self.layers = layers
        self.muted = False
        self.consumers: list[Consumer] = []
        self.pending: list[Consumer] = []
        self._drops = drops
        self._stats = stats

    def attach(self, consumer: Consumer, *, now: float) -> None:
        self.consumers.append(consumer)
        self.refresh(consumer, now=now)

    def detach(self, consumer: Consumer) -> None:
        if consumer in self.consumers:
            self.consumers.remove(consumer)
        self._set_wanted(consumer, waits=False)
        consumer.stop_segment()

    def refresh(self, consumer: Consumer, *, now: float) -> None:
        """Bring one consumer to where it should be: stopped, forwarding the target, or waiting for the target's keyframe."""
        if self.muted or not consumer.active:
            consumer.stop_segment()
            self._set_wanted(consumer, waits=False)
            return
        target = self.layers.target
        settled = target is not None and consumer.segment is not None and consumer.segment.stream is target
        self._set_wanted(consumer, waits=not settled)
        if not settled:
            self.request_keyframe(now=now)

    def refresh_all(self, *, now: float) -> None:
        for consumer in self.consumers:
            self.refresh(consumer, now=now)

    def _set_wanted(self, consumer: Consumer, *, waits: bool) -> None:
        if waits and consumer not in self.pending:
            self.pending.append(consumer)
        elif not waits and consumer in self.pending:
            self.pending.remove(consumer)

    def restart(self, stream: RtpStreamRecv, *, now: float) -> None:
        """The stream's numbers, and perhaps its times, began anew: so do its consumers'."""
        for consumer in self.consumers:
            if consumer.segment is not None and consumer.segment.stream is stream:
                consumer.stop_segment()
                self.refresh(consumer, now=now)

    def request_keyframe(self, *, now: float) -> None:
        target = self.layers.target
        if self.kind is Kind.VIDEO and target is not None:
            target.keyframes.request(now)

    def route(self, stream: RtpStreamRecv, packet: RtpPacket, *, keyframe: bool, now: float) -> None:
        """Send the packet to everybody whose segment of this stream has begun; a keyframe begins segments."""
        started = self._start_pending(stream, packet, now) if keyframe and self.pending else None
        if not stream.groups:
            self._count_unsent(stream)
            return
        stats = self._stats
        for group in stream.groups:
            count, size = fast.fan_out(packet, group)
            stats.packets_out += count
            stats.bytes_out += size
        if started and packet.sequence < stream.highest_sequence:
            self._catch_up(stream, packet, started, now)

    def _count_unsent(self, stream: RtpStreamRecv) -> None:
        if stream is not self.layers.target:
            self._drops.count(DropReason.RTP_LAYER_NOT_CHOSEN)
        elif self.pending:
            self._drops.count(DropReason.RTP_WAITING_KEYFRAME)

    def _start_pending(self, stream: RtpStreamRecv, packet: RtpPacket, now: float) -> list[Consumer]:
        if stream is self.layers.target:
            started, self.pending = self.pending, []
        else:
            # Whoever sees nothing yet is shown what there is, and still waits for the better.
            started = [consumer for consumer in self.pending if consumer.segment is None]
        for consumer in started:
            consumer.start_segment(stream, packet, now=now)
        return started

    def _catch_up(self, stream: RtpStreamRecv, packet: RtpPacket, started: list[Consumer], now: float) -> None:
        """The keyframe's first packet came late: what overtook it has not been sent to those who waited for it."""
        for sequence in range(packet.sequence + 1, stream.highest_sequence + 1):
            later = stream.history.get(sequence, now)
            if later is None:
                continue
            for consumer in started:
                consumer.send_again(later)
