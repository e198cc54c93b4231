"""The loop of the load generator: attach, publish, read, count. One thread, one epoll, no asyncio: it must cost less than the server."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from benchmarks.loadgen import offer, process
from benchmarks.loadgen.peers import Peer, Publisher, Receiver
from benchmarks.loadgen.stream import VideoStream
from tests.support.webrtc_client import ClientContext

CONNECT_TIMEOUT = 10.0
HOUSEKEEPING = 0.05
READ_INTERVAL = 0.001
# Receivers are read so often, and not woken by what arrives: on loopback it is the sender who pays for waking, with an interrupt
# to another core for each packet, which a network card would take from it. The kernel's stamps make up for the time lost.
SETTLE = 1.0  # before the window: keyframes, first reports, warm caches
DRAIN = 0.25  # around it: what is on its way
PACING_FACTOR = 2.5  # libwebrtc sends a frame at two and a half times its target rate

SPACING = {"burst": 0.0, "paced": 1 / PACING_FACTOR, "steady": 1.0}
"""How a frame's packets are spread, as a part of the frame's time."""


@dataclass(slots=True)
class Options:
    whip: str
    whep: str
    token: str = ""
    receivers: int = 1
    seconds: float = 10.0
    fps: float = 30.0
    packets_per_frame: int = 8
    packet_bytes: int = 1200
    mode: str = "burst"
    sample_every: int = 50
    server_pid: int | None = None
    profiles: tuple[str, ...] = ("SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80")


@dataclass(slots=True)
class Latency:
    """Milliseconds from the publisher's send call to the kernel's arrival stamp at the receiver."""

    samples: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, values_ns: Iterable[int]) -> Latency:
        values = sorted(values_ns)
        if not values:
            return cls()

        def at(part: float) -> float:
            return round(values[min(len(values) - 1, int(part * len(values)))] / 1e6, 4)

        return cls(len(values), at(0.5), at(0.9), at(0.99), at(0.999), round(values[-1] / 1e6, 4))


@dataclass(slots=True)
class Result:
    """Of one measured window."""

    receivers: int
    mode: str
    profile: str
    seconds: float
    packet_bytes: int
    published: int
    forwarded: int
    lost: int
    altered: int
    keyframes: int
    connect_seconds: float
    latency: Latency = field(default_factory=Latency)
    server_cpu_seconds: float | None = None
    cpu_seconds_per_million: float | None = None
    server_cpu_load: float | None = None
    loadgen_cpu_load: float = 0.0
    machine_idle: float = 0.0
    """Part of all cores that nobody used."""
    machine_stolen: float = 0.0
    """Part that other machines on the host took. Where it is high or nothing was idle, latencies are theirs."""
    memory_kb_per_idle_receiver: float | None = None
    bare_relay: Latency | None = None

    def to_wire(self) -> dict:
        return asdict(self)


class LoadGenerator:
    """Use: `attach_publisher`, `attach_receivers`, `measure`, `close`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.stream = VideoStream(
            fps=options.fps, packets_per_frame=options.packets_per_frame, packet_bytes=options.packet_bytes
        )
        self.publisher: Publisher | None = None
        self.receivers: list[Receiver] = []
        self.connect_seconds = 0.0
        self._context = ClientContext(options.profiles)
        self._epoll = select.epoll()
        self._peers: dict[int, Peer] = {}
        self._next_housekeeping = 0.0
        self._next_frame = 0.0  # 0: nothing is published
        self._index = 0  # of the frame's next packet

    # Attaching

    def attach_publisher(self) -> None:
        self.publisher = Publisher(self._context, self.stream)
        self._attach(self.publisher, self.options.whip, sends=True)

    def attach_receivers(self, count: int) -> None:
        began = time.monotonic()
        for index in range(len(self.receivers), len(self.receivers) + count):
            receiver = Receiver(self._context, sample_every=self.options.sample_every, index=index)
            self.receivers.append(receiver)
            self._attach(receiver, self.options.whep, sends=False)
        self.connect_seconds = time.monotonic() - began

    def _attach(self, peer: Peer, url: str, *, sends: bool) -> None:
        client = peer.client
        _, fingerprint = self._context.fingerprint()
        stream = self.stream
        text = offer.make_offer(
            ufrag=client.ufrag, pwd=client.pwd, fingerprint=fingerprint,
            sends=sends, ssrc=stream.ssrc, rtx_ssrc=stream.rtx_ssrc,
        )  # fmt: skip
        peer.start(offer.post_offer(url, text, self.options.token))
        self._peers[peer.fileno()] = peer
        self._epoll.register(peer.fileno(), select.EPOLLIN)
        peer.handle_timer(time.monotonic())
        deadline = time.monotonic() + CONNECT_TIMEOUT
        self.run_until(lambda: client.connected or bool(client.failure) or time.monotonic() > deadline)
        if not client.connected:
            raise offer.Refused(client.failure or ("DTLS did not connect" if client.ice_connected else "ICE did not connect"))
        if not client.profile:
            raise offer.Refused("no SRTP profile was agreed")

    # Running

    def run_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.run_until(lambda: time.monotonic() >= end, until=end)

    def run_until(self, done: Callable[[], bool], *, until: float = float("inf")) -> None:
        peers = self._peers
        while not done():
            now = time.monotonic()
            due = min(self._next_housekeeping, until, self._next_packet_at() or until)
            time.sleep(max(0.0, min(due - now, READ_INTERVAL)))
            now = time.monotonic()
            for fileno, _ in self._epoll.poll(0):
                peers[fileno].read(now)
            self._publish(time.monotonic())
            if now >= self._next_housekeeping:
                self._next_housekeeping = now + HOUSEKEEPING
                for peer in peers.values():
                    peer.handle_timer(now)

    def start_publishing(self) -> None:
        self._index = 0
        self._next_frame = time.monotonic()

    def stop_publishing(self) -> None:
        self._next_frame = 0.0

    def _next_packet_at(self) -> float:
        if not self._next_frame:
            return 0.0
        return self._next_frame + self._index * self._spacing

    @property
    def _spacing(self) -> float:
        return SPACING[self.options.mode] / (self.options.fps * self.options.packets_per_frame)

    def _publish(self, now: float) -> None:
        publisher = self.publisher
        while publisher is not None and self._next_frame and now >= self._next_packet_at():
            if self._index == 0:
                self.stream.begin_frame()
            publisher.send(self._index, time.time_ns())
            self._index += 1
            if self._index == self.options.packets_per_frame:
                self._index = 0
                self._next_frame += 1 / self.options.fps

    # Measuring

    def measure(self) -> Result:
        """Publish for the options' seconds, after a moment to settle."""
        options, stream = self.options, self.stream
        assert self.publisher is not None
        self.start_publishing()
        self.run_for(SETTLE)
        self.stop_publishing()
        self.run_for(DRAIN)
        keyframes = stream.keyframes
        for receiver in self.receivers:
            receiver.reset()
        published = stream.packets
        cpu = process.cpu_seconds(options.server_pid) if options.server_pid else None
        ticks = process.machine_ticks()
        own_cpu, began = time.process_time(), time.monotonic()
        self.start_publishing()
        self.run_for(options.seconds)
        self.stop_publishing()
        self.run_for(DRAIN)
        seconds = time.monotonic() - began
        forwarded = sum(receiver.packets for receiver in self.receivers)
        result = Result(
            receivers=len(self.receivers),
            mode=options.mode,
            profile=self.receivers[0].client.profile if self.receivers else self.publisher.client.profile,
            seconds=round(seconds, 3),
            packet_bytes=max((receiver.packet_bytes for receiver in self.receivers), default=0),
            published=stream.packets - published,
            forwarded=forwarded,
            lost=sum(receiver.lost for receiver in self.receivers),
            altered=sum(receiver.altered for receiver in self.receivers),
            keyframes=stream.keyframes - keyframes,
            connect_seconds=round(self.connect_seconds, 3),
            latency=Latency.of(value for receiver in self.receivers for value in receiver.latencies_ns),
            loadgen_cpu_load=round((time.process_time() - own_cpu) / seconds, 3),
        )
        every, idle, stolen = (after - before for after, before in zip(process.machine_ticks(), ticks, strict=True))
        result.machine_idle, result.machine_stolen = round(idle / every, 3), round(stolen / every, 3)
        if cpu is not None and options.server_pid:
            spent = process.cpu_seconds(options.server_pid) - cpu
            result.server_cpu_seconds = round(spent, 2)
            result.server_cpu_load = round(spent / seconds, 3)
            result.cpu_seconds_per_million = round(spent / forwarded * 1e6, 2) if forwarded else None
        return result

    def close(self) -> None:
        """Say goodbye and end the sessions."""
        for peer in self._peers.values():
            if peer.resource:
                offer.delete_resource(peer.resource, self.options.token)
            peer.close()
        self._peers.clear()
        self._epoll.close()


def measure(options: Options) -> Result:
    """Attach a publisher and the receivers, measure memory of idle receivers, then the stream. Everything is taken down again."""
    generator = LoadGenerator(options)
    try:
        generator.attach_publisher()
        generator.attach_receivers(1)  # the first of a kind brings code and caches with it
        pid, further = options.server_pid, options.receivers - 1
        before = process.memory_bytes(pid) if pid else 0
        generator.attach_receivers(further)
        memory = None
        if pid and further:
            generator.run_for(HOUSEKEEPING)
            memory = round((process.memory_bytes(pid) - before) / further / 1024, 1)
        result = generator.measure()
        result.memory_kb_per_idle_receiver = memory
        return result
    finally:
        generator.close()
