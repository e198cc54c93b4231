"""What each stage of forwarding costs, in CPU time, without a network between: the node's real objects and a Sender in one process.

    python -m benchmarks.forwarding --receivers 50

A stage's cost is what the whole takes with it, less what it takes without it, all in one run: compare rows, not machines.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time
from collections.abc import Callable

from benchmarks.loadgen.offer import make_offer, read_answer
from benchmarks.loadgen.stream import VideoStream
from media.clock import WallClock
from media.codecs import Kind
from media.drops import DropCounts
from sfu.conference import Conference
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.ice.candidate import host_candidates
from sfu.io.sender import IN_PKTINFO, Path, Sender
from sfu.meeting.participant import JoinRequest, Mode
from sfu.meeting.permissions import Grants, Source
from sfu.transport import Transport
from tests.support.webrtc_client import ClientContext, WebRtcClient

LOOPBACK = IN_PKTINFO.pack(0, socket.inet_aton("127.0.0.1"), socket.inet_aton("127.0.0.1"))
ROUNDS = 40
SINK_BUFFER = 1 << 16  # bytes: full at once, so that what is measured is sending and not keeping


class Bench:
    """A room with one publisher and many players, connected in memory; players' paths lead to sockets that nobody reads."""

    def __init__(self, receivers: int) -> None:
        self.now = 1000.0
        clock = WallClock(wall=time.time(), now=self.now)
        dtls = DtlsContext(Certificate.generate(wall=time.time()))
        self.conference = Conference(SfuConfig(), dtls, random_bytes=os.urandom, wall_clock=clock)
        self.conference.context.candidates = host_candidates(["127.0.0.1"], 9)
        self.stream = VideoStream()
        self._context = ClientContext(("SRTP_AEAD_AES_128_GCM",))
        self._sinks = [self._sink() for _ in range(receivers)]
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        out.bind(("0.0.0.0", 0))
        self.sender = Sender(out, None, drops=DropCounts())
        self.publisher = self._join("publisher", ("127.0.0.1", 1, LOOPBACK), sends=True)
        for index, sink in enumerate(self._sinks):
            self._join(f"player{index}", (*sink.getsockname(), LOOPBACK), sends=False)
        self.transports = [
            peer.play.transport for peer in self.conference.peers.values() if peer.play is not None
        ]
        for _ in range(2):  # the first packets make the track known, the next keyframe begins its forwarding
            self.stream.request_keyframe()
            self.forward(self.frame(), flush=self.discard)

    def _sink(self) -> socket.socket:
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SINK_BUFFER)
        sink.bind(("127.0.0.1", 0))
        return sink

    def _join(self, name: str, path: Path, *, sends: bool) -> WebRtcClient:
        conference, now, stream = self.conference, self.now, self.stream
        mode = Mode.SEND_AND_RECV if sends else Mode.RECV_ONLY
        wanted = JoinRequest(room_id="r", participant_id=name, display_name=name, grants=Grants.full(), mode=mode, auto_subscribe=False)
        participant = conference.join(wanted, now=now)
        client = WebRtcClient(self._context, on_rtp=lambda data: None)
        offer = make_offer(
            ufrag=client.ufrag, pwd=client.pwd, fingerprint=self._context.fingerprint()[1],
            sends=sends, ssrc=stream.ssrc, rtx_ssrc=stream.rtx_ssrc,
        )  # fmt: skip
        if sends:
            track = conference.announce(participant, source=Source.WEBCAM, kind=Kind.VIDEO, now=now)
            text = conference.publish(participant, offer, [("0", track.track_id)], now=now)
            self._path = path
        else:
            text = conference.play(participant, offer, remote_participant_id="publisher", now=now)
        answer = read_answer(text, "")
        client.set_remote(answer.ufrag, answer.pwd, answer.fingerprint)
        self._drain()
        client.handle_timer(now=now)
        while not client.connected or client._out or conference.dirty:
            for data in client.datagrams_to_send():
                conference.receive_datagram(data, path, now=now)
            self._drain()
            for transport in conference.dirty:
                transport.is_dirty = False
                transport.outgoing = []
                for data, _ in transport.control_to_send():
                    client.receive_datagram(data, now=now)
            conference.dirty.clear()
        return client

    def _drain(self) -> None:
        while self.conference.next_event() is not None:
            pass

    def frame(self) -> list[bytes]:
        """The datagrams of one frame, as the publisher sends them."""
        self.stream.begin_frame()
        for index in range(self.stream.packets_per_frame):
            self.publisher.send_rtp(self.stream.packet(index, wall_ns=time.time_ns()))
        return self.publisher.datagrams_to_send()

    def forward(self, datagrams: list[bytes], *, flush: Callable[[], None]) -> None:
        """What the shell does with one batch."""
        self.now += 0.001
        conference, path, now = self.conference, self._path, self.now
        for data in datagrams:
            conference.receive_datagram(data, path, now=now)
        self._drain()
        flush()

    def send(self) -> None:
        for transport in self.conference.dirty:
            transport.is_dirty = False
            packets, transport.outgoing = transport.outgoing, []
            transport.control_to_send()
            if transport.ice.selected is not None:
                self.sender.send_run(packets, transport.ice.selected)
        self.conference.dirty.clear()

    def discard(self) -> None:
        for transport in self.conference.dirty:
            transport.is_dirty = False
            transport.outgoing = []
            transport.control_to_send()
        self.conference.dirty.clear()

    def without_protection(self) -> Callable[[], None]:
        """Packets leave in the clear until the returned function is called."""
        kept = [(transport, transport._protect_rtp) for transport in self.transports]
        for transport in self.transports:
            transport._protect_rtp = bytes

        def restore() -> None:
            for transport, protect in kept:
                transport._protect_rtp = protect

        return restore

    def pause_consumers(self) -> None:
        """Nobody is sent anything any more; the publisher's packets are still taken in."""
        for peer in self.conference.peers.values():
            for producer in peer.publish.producers.values() if peer.publish is not None else ():
                for consumer in list(producer.consumers):
                    consumer.set_paused(True, now=self.now)

    def cost(self, work: Callable[[list[bytes]], None], *, rounds: int = ROUNDS) -> float:
        """Median CPU microseconds of `work` for one frame."""
        times = []
        for _ in range(rounds):
            datagrams = self.frame()
            began = time.process_time_ns()
            work(datagrams)
            times.append((time.process_time_ns() - began) / 1000)
        return statistics.median(times)


def measure(receivers: int) -> dict[str, float]:
    """Microseconds for each forwarded packet, by stage."""
    bench = Bench(receivers)
    per_frame = bench.stream.packets_per_frame
    packets = per_frame * receivers
    bench.cost(lambda data: bench.forward(data, flush=bench.send))  # warm
    whole = bench.cost(lambda data: bench.forward(data, flush=bench.send))
    bench.sender.gso = False
    plain = bench.cost(lambda data: bench.forward(data, flush=bench.send))
    bench.sender.gso = True
    single = bench.cost(lambda data: [bench.forward([d], flush=bench.send) for d in data])
    unsent = bench.cost(lambda data: bench.forward(data, flush=bench.discard))
    restore = bench.without_protection()
    clear = bench.cost(lambda data: bench.forward(data, flush=bench.discard))
    restore()
    protect_alone = _protect_alone(bench.transports[0])
    bench.pause_consumers()
    ingest = bench.cost(lambda data: bench.forward(data, flush=bench.discard))
    return {
        "whole, frames of 8 (GSO)": whole / packets,
        "whole, frames of 8, no GSO": plain / packets,
        "whole, packets one by one": single / packets,
        "send (GSO)": (whole - unsent) / packets,
        "send (no GSO)": (plain - unsent) / packets,
        "protect and queue": (unsent - clear) / packets,
        "  protect alone": protect_alone,
        "number, write header, fan out": (clear - ingest) / packets,
        "ingest, shared by all receivers": ingest / packets,
        "ingest, for each incoming packet": ingest / per_frame,
    }


def _protect_alone(transport: Transport) -> float:
    """Microseconds of SRTP for one packet: growing sequence numbers under one SSRC."""
    protect = transport._protect_rtp
    assert protect is not None
    payload = os.urandom(1184 - 12)
    packets = [bytes((0x80, 96)) + number.to_bytes(2, "big") + bytes(4) + b"test" + payload for number in range(2000)]
    began = time.process_time_ns()
    for packet in packets:
        protect(packet)
    return (time.process_time_ns() - began) / 1000 / len(packets)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forwarding")
    parser.add_argument("--receivers", type=int, default=50)
    for name, microseconds in measure(parser.parse_args().receivers).items():
        print(f"{name:36} {microseconds:8.2f} us")


if __name__ == "__main__":
    main()
