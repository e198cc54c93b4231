"""Models of the other ends of the RTP plane, and a world that runs them with endpoints over seeded networks in virtual time.

The models share no state with the code under test: they read and write wire bytes, and count numbers in their own way.
"""

from __future__ import annotations

import random
from dataclasses import replace

from media.clock import WallClock, wall_to_ntp
from media.codecs import Codec, Kind
from media.drops import DropCounts
from sfu.config import SfuConfig
from sfu.consumer import Consumer, ConsumerParameters
from sfu.endpoint import RtpEndpoint
from sfu.producer import Encoding, Producer, ProducerParameters
from sfu.rtp import extensions, packet
from sfu.rtp.compound import parse_compound, serialize_compound
from sfu.rtp.feedback import Fir, Nack, Pli
from sfu.rtp.reports import SenderReport
from sfu.stream.stats import RtpStats
from tests.support.network import Network, Path

VP8 = Codec("VP8", Kind.VIDEO, 90000, 96, feedback=("nack", "nack pli", "ccm fir", "transport-cc"), rtx_payload_type=97)
OPUS = Codec("opus", Kind.AUDIO, 48000, 111, channels=2)
IDS = {
    extensions.MID: 4,
    extensions.RID: 10,
    extensions.REPAIRED_RID: 11,
    extensions.TRANSPORT_CC: 3,
    extensions.ABS_SEND_TIME: 2,
    extensions.AUDIO_LEVEL: 1,
    extensions.VIDEO_ORIENTATION: 13,
}
VP8_KEY, VP8_DELTA, VP8_MORE = b"\x10\x00", b"\x10\x01", b"\x00\x01"
START_NUMBERS = (0, 1, 127, 32767, 65535)  # every lap edge that a mask or a sign can get wrong


class Wire:
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []

    def send_rtp(self, data: bytes) -> None:
        self.rtp.append(data)

    def send_rtcp(self, data: bytes) -> None:
        self.rtcp.append(data)

    def take(self) -> list[bytes]:
        out = self.rtcp + self.rtp
        self.rtp, self.rtcp = [], []
        return out

    def messages(self) -> list:
        """The RTCP messages sent so far, taken."""
        out = [message for data in self.rtcp for message in parse_compound(data)]
        self.rtcp = []
        return out

    def packets(self) -> list[packet.RtpPacket]:
        """The RTP packets sent so far, taken."""
        out = [packet.parse(data) for data in self.rtp]
        self.rtp = []
        return out


class Node:
    """Endpoints with what they share."""

    def __init__(self, seed: int = 1, config: SfuConfig | None = None) -> None:
        self.random = random.Random(seed)
        self.config = config or SfuConfig()
        self.drops = DropCounts()
        self.stats = RtpStats()
        self.wall_clock = WallClock(wall=1_750_000_000.0, now=0.0)
        self._ssrc = 7000

    def endpoint(self) -> tuple[RtpEndpoint, Wire]:
        wire = Wire()
        endpoint = RtpEndpoint(
            self.config,
            wire,
            random_bytes=self.random.randbytes,
            wall_clock=self.wall_clock,
            cname="tidegate",
            drops=self.drops,
            stats=self.stats,
        )
        return endpoint, wire

    def producer(
        self, endpoint: RtpEndpoint, codecs: tuple[Codec, ...] = (VP8,), *, ssrc: int = 1, now: float = 0.0, **changes
    ) -> Producer:
        kind = codecs[0].kind
        params = ProducerParameters(
            f"TR_{ssrc}",
            "0",
            kind,
            codecs,
            dict(IDS),
            (Encoding(ssrc, ssrc + 1 if codecs[0].rtx_payload_type else None),),
        )
        return endpoint.add_producer(replace(params, **changes), now=now)

    def consumer(self, endpoint: RtpEndpoint, producer: Producer, *, now: float = 0.0, **changes) -> Consumer:
        self._ssrc += 2
        codecs = producer.params.codecs
        rtx_ssrc = self._ssrc + 1 if any(codec.rtx_payload_type for codec in codecs) else None
        params = ConsumerParameters("5", producer.kind, codecs, self._ssrc, rtx_ssrc, {extensions.MID: 9}, "alice")
        return endpoint.add_consumer(producer, replace(params, **changes), now=now)


def rtp(
    number: int,
    payload: bytes = VP8_DELTA + b"x",
    *,
    ssrc: int = 1,
    payload_type: int = 96,
    timestamp: int | None = None,
    marker: bool = False,
    elements: tuple[tuple[int, bytes], ...] = (),
    padding: int = 0,
) -> bytes:
    """One packet of a publisher; the timestamp is 3000 for each number unless told."""
    profile, block = extensions.serialize(elements)
    return packet.serialize(
        payload_type=payload_type,
        sequence_number=number & 0xFFFF,
        timestamp=(number * 3000 if timestamp is None else timestamp) & 0xFFFFFFFF,
        ssrc=ssrc,
        payload=payload,
        marker=marker,
        ext_profile=profile,
        extension=block,
        padding=padding,
    )


class Publisher:
    """A browser that publishes one VP8 stream: frames of a few packets, RTX on NACK, a keyframe on PLI or FIR, SR each second.

    Each payload carries its own count from 0, so that a receiver model can tell what it got.
    """

    FRAME_INTERVAL = 1 / 30

    def __init__(self, *, seed: int, first: int = 0, ssrc: int = 1, packets_per_frame: int = 4) -> None:
        self.ssrc = ssrc
        self.random = random.Random(seed)
        self.sent: list[bytes] = []
        self.count = 0
        self.keyframes = 0
        self.nacked = 0
        self._first = first
        self._per_frame = packets_per_frame
        self._rtx_number = self.random.randrange(1 << 16)
        self._transport_number = self.random.randrange(1 << 16)
        self._next_frame = 0.0
        self._next_sr = 0.5
        self._key = True
        self._out: list[bytes] = []

    def receive(self, data: bytes) -> None:
        for message in parse_compound(data):
            if isinstance(message, Nack) and message.media_ssrc == self.ssrc:
                for number in message.lost:
                    self._resend(number)
            elif isinstance(message, Pli | Fir):
                self._key = True

    def _resend(self, number: int) -> None:
        self.nacked += 1
        index = (number - self._first) & 0xFFFF
        index += (self.count - index) >> 16 << 16
        if index >= self.count:
            index -= 1 << 16
        if index < 0:
            raise AssertionError(f"asked for {number}, which was never sent")
        original = packet.parse(self.sent[index])
        self._rtx_number += 1
        self._send(
            number=self._rtx_number,
            payload=number.to_bytes(2, "big") + original.payload,
            timestamp=original.timestamp,
            marker=original.marker,
            ssrc=self.ssrc + 1,
            payload_type=97,
        )

    def _send(self, *, number: int, **fields) -> bytes:
        self._transport_number = (self._transport_number + 1) & 0xFFFF
        elements = ((3, self._transport_number.to_bytes(2, "big")), (4, b"0"))
        data = rtp(number, elements=elements, **fields)
        self._out.append(data)
        return data

    def advance(self, now: float) -> list[bytes]:
        """What is to leave by `now`."""
        if now >= self._next_frame:
            self._next_frame += self.FRAME_INTERVAL
            head = VP8_KEY if self._key else VP8_DELTA
            self.keyframes += self._key
            self._key = False
            count = self.random.randint(1, 2 * self._per_frame - 1)
            for at in range(count):
                payload = (
                    (VP8_MORE if at else head) + self.count.to_bytes(4, "big") + bytes(self.random.randrange(1000))
                )
                data = self._send(
                    number=self._first + self.count,
                    payload=payload,
                    timestamp=round(now * 90000),
                    marker=at == count - 1,
                    ssrc=self.ssrc,
                )
                self.sent.append(data)
                self.count += 1
        if now >= self._next_sr:
            self._next_sr += 1.0
            report = SenderReport(self.ssrc, wall_to_ntp(9e8 + now), round(now * 90000) & 0xFFFFFFFF, self.count, 0)
            self._out.append(serialize_compound([report]))
        return self.take()

    def take(self) -> list[bytes]:
        """What waits to leave: retransmissions, while no new frames are made."""
        out, self._out = self._out, []
        return out


class Simulcast:
    """Two encodings, each a `Publisher`; the higher sends from `start` to `stop`."""

    def __init__(self, low: Publisher, high: Publisher, *, start: float, stop: float) -> None:
        self.ssrc = low.ssrc
        self.low, self.high = low, high
        self._start, self._stop = start, stop

    def receive(self, data: bytes) -> None:
        self.low.receive(data)
        self.high.receive(data)

    def advance(self, now: float) -> list[bytes]:
        out = self.low.advance(now)
        if self._start <= now < self._stop:
            self.high._next_frame = max(self.high._next_frame, now - 0.01)
            return out + self.high.advance(now)
        return out + self.high.take()

    def take(self) -> list[bytes]:
        return self.low.take() + self.high.take()


class Receiver:
    """A browser that receives one stream: NACKs holes each `retry` seconds for `patience` seconds, unwraps RTX."""

    def __init__(self, ssrc: int, *, retry: float = 0.05, patience: float = 2.0, nacks: bool = True) -> None:
        self.ssrc = ssrc
        self.got: dict[int, packet.RtpPacket] = {}  # extended number -> packet
        self.payloads: dict[int, bytes] = {}
        self.duplicates = 0
        self.highest: int | None = None
        self.first: int | None = None
        self._retry = retry
        self._patience = patience
        self._nacks = nacks
        self._missing: dict[int, list[float]] = {}  # number -> [noted at, asked at]

    def receive(self, data: bytes, now: float) -> None:
        parsed = packet.parse(data)
        number, payload = parsed.sequence_number, parsed.payload
        if parsed.ssrc == self.ssrc + 1:
            number, payload = int.from_bytes(payload[:2], "big"), payload[2:]
        elif parsed.ssrc != self.ssrc:
            raise AssertionError(f"packet of an unknown SSRC {parsed.ssrc}")
        if self.highest is None:
            self.first = self.highest = number
        extended = self.highest + ((number - self.highest + 0x8000) & 0xFFFF) - 0x8000
        for hole in range(self.highest + 1, extended):
            self._missing[hole] = [now, 0.0]
        self.highest = max(self.highest, extended)
        self._missing.pop(extended, None)
        if extended in self.got:
            self.duplicates += 1
            if self.payloads[extended] != payload:
                raise AssertionError(f"two packets numbered {extended} differ")
            return
        self.got[extended] = parsed
        self.payloads[extended] = payload

    def advance(self, now: float) -> list[bytes]:
        """Feedback due by `now`."""
        due = []
        for number, times in sorted(self._missing.items()):
            if now - times[0] > self._patience:
                del self._missing[number]
            elif self._nacks and now - times[1] >= self._retry:
                times[1] = now
                due.append(number & 0xFFFF)
        return [serialize_compound([Nack(1, self.ssrc, due)])] if due else []

    @property
    def missing(self) -> list[int]:
        return [n for n in range(self.first or 0, (self.highest or 0) + 1) if n not in self.got]

    def indexes(self) -> list[int]:
        """The publisher's counts of what arrived, in order of the numbers."""
        return [int.from_bytes(self.payloads[number][2:6], "big") for number in sorted(self.payloads)]


class World:
    """Publisher -> network -> endpoint ... endpoint -> network -> receivers, in steps of a millisecond."""

    STEP = 0.001

    def __init__(
        self,
        publisher: Publisher,
        *,
        path: Path,
        back: Path,
        seed: int,
        subscribers: int = 1,
        config: SfuConfig | None = None,
        **producer,
    ) -> None:
        self.node = Node(seed, config)
        self.now = 0.0
        self.publisher = publisher
        self.ingress, self.ingress_wire = self.node.endpoint()
        self.producer = self.node.producer(self.ingress, ssrc=publisher.ssrc, **producer)
        self.up, self.up_back = Network(path, seed=seed), Network(back, seed=seed + 1)
        self.legs = []
        for at in range(subscribers):
            endpoint, wire = self.node.endpoint()
            consumer = self.node.consumer(endpoint, self.producer)
            receiver = Receiver(consumer.params.ssrc)
            down, down_back = Network(path, seed=seed + 10 + at), Network(back, seed=seed + 100 + at)
            self.legs.append((endpoint, wire, consumer, receiver, down, down_back))

    @staticmethod
    def deliver(endpoint: RtpEndpoint, data: bytes, now: float) -> None:
        if 192 <= data[1] <= 223:  # RFC 5761 section 4
            endpoint.receive_rtcp(data, now=now)
        else:
            endpoint.receive_rtp(data, now=now)

    def run(self, seconds: float, *, publish: bool = True) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += self.STEP
            self._step(publish)

    def _step(self, publish: bool) -> None:
        now = self.now
        for data in self.up_back.pop_due(now):
            self.publisher.receive(data)
        if publish:
            for data in self.publisher.advance(now):
                self.up.push(data, now)
        else:
            for data in self.publisher.take():
                self.up.push(data, now)
        for data in self.up.pop_due(now):
            self.deliver(self.ingress, data, now)
        for endpoint, wire, _, receiver, down, down_back in self.legs:
            for data in receiver.advance(now):
                down_back.push(data, now)
            for data in down_back.pop_due(now):
                self.deliver(endpoint, data, now)
            self._tick(endpoint)
            for data in wire.take():
                down.push(data, now)
            for data in down.pop_due(now):
                if not 192 <= data[1] <= 223:
                    receiver.receive(data, now)
        self._tick(self.ingress)
        for data in self.ingress_wire.take():
            self.up_back.push(data, now)

    def _tick(self, endpoint: RtpEndpoint) -> None:
        timer = endpoint.get_timer()
        if timer is not None and timer <= self.now:
            endpoint.handle_timer(now=self.now)
