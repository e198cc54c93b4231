"""The RTP side of one peer session: takes decrypted packets, finds their producer, forwards, reports. Sans-I/O."""

from __future__ import annotations

from collections import deque

from media.clock import WallClock
from media.drops import DropCounts
from media.ids import RandomBytes
from media.ports import PacketSource
from sfu.config import SfuConfig
from sfu.consumer import Consumer, ConsumerParameters
from sfu.events import RtpEvent
from sfu.producer import Producer, ProducerParameters
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
        self._events: deque[RtpEvent] = deque()

    def receive_rtp(self, data: bytes, *, now: float) -> None:
        """One decrypted RTP packet."""

    def receive_rtcp(self, data: bytes, *, now: float) -> None:
        """One decrypted RTCP compound packet."""

    def add_producer(self, params: ProducerParameters, *, now: float) -> Producer:
        producer = Producer(params)
        self.producers.append(producer)
        return producer

    def remove_producer(self, producer: Producer, *, now: float) -> None:
        """Forget the track and its SSRCs; its consumers send no more and stay until their own endpoints remove them."""

    def add_consumer(self, producer: Producer, params: ConsumerParameters, *, now: float) -> Consumer:
        """Attach to the producer's fan-out and ask for a keyframe."""
        consumer = Consumer(producer, params)
        self.consumers.append(consumer)
        return consumer

    def remove_consumer(self, consumer: Consumer, *, now: float) -> None:
        """Detach and say BYE."""

    def set_ready(self, ready: bool, *, now: float) -> None:
        """Whether the transport can send (default: yes). Consumers of an endpoint that is not ready wait and ask no keyframes."""

    def handle_timer(self, *, now: float) -> None:
        """Send what is due: NACKs, keyframe requests, transport feedback, reports."""

    def get_timer(self) -> float | None:
        """The soonest time at which `handle_timer` has something to do."""
        return None

    def next_event(self) -> RtpEvent | None:
        return self._events.popleft() if self._events else None

    def close(self, *, now: float) -> None:
        """Remove all producers and consumers."""
