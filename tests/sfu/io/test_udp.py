"""The UDP shell over real sockets of loopback: addresses, batches, the flush, and that nothing stops it."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable

import pytest

from media.clock import WallClock
from media.drops import DropCounts, DropReason
from sfu.conference import Conference
from sfu.config import SfuConfig
from sfu.io.udp import BATCH, Buckets, MediaServer
from sfu.meeting.participant import JoinRequest
from sfu.meeting.permissions import Grants, Source
from tests.support.client_sdp import Line, sections, value_of, write_offer
from tests.support.conference_pair import CONTEXTS, SERVER_CONTEXT
from tests.support.webrtc_client import WebRtcClient


class StubConference:
    """Keeps what the shell gives it; `events` and `dirty` are what it has to say and to send."""

    def __init__(self) -> None:
        self.drops = DropCounts()
        self.dirty: list[StubTransport] = []
        self.events: deque[object] = deque()
        self.received: list[tuple[bytes, tuple]] = []
        self.ticks = 0
        self.failed = 0
        self.on_datagram: Callable[[bytes, tuple], None] = lambda data, path: None
        self.on_tick: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()

    def receive_datagram(self, data: bytes, path: tuple, *, now: float) -> None:
        self.received.append((data, path))
        self._changed.set()
        self.on_datagram(data, path)

    def handle_timer(self, *, now: float) -> None:
        self.ticks += 1
        self._changed.set()
        self.on_tick()

    def drop_failed(self, *, now: float) -> None:
        self.failed += 1

    def next_event(self) -> object | None:
        event = self.events.popleft() if self.events else None
        if isinstance(event, Exception):
            raise event
        return event

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class StubTransport:
    def __init__(self, selected: tuple | None, packets: list[bytes], control: list[tuple[bytes, tuple]]) -> None:
        self.selected, self.packets, self.control = selected, packets, control

    def take_outgoing(self) -> list[bytes]:
        out, self.packets = self.packets, []
        return out

    def control_to_send(self) -> list[tuple[bytes, tuple]]:
        out, self.control = self.control, []
        return out


@pytest.fixture
async def stub() -> StubConference:
    return StubConference()


@pytest.fixture
async def server(stub):
    async with MediaServer(stub, port=0) as media:
        yield media


@pytest.fixture
def client():
    with open_client() as sock:
        yield sock


def open_client(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind((host, 0))
    sock.settimeout(5)
    return sock


# Addresses


@pytest.mark.parametrize(
    ("from_host", "to_host"), [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "127.0.0.2"), ("127.0.0.3", "127.0.0.4"), ("::1", "::1")]
)
async def test_answers_leave_from_the_address_that_was_asked(server, stub, from_host, to_host):
    """127.0.0.2 without more would be answered from 127.0.0.1, which no ICE agent would take."""
    with open_client(from_host) as sock:
        sock.sendto(b"hello", (to_host, server.port))
        await stub.until(lambda: bool(stub.received))
        data, path = stub.received[0]
        assert data == b"hello" and path[:2] == sock.getsockname()[:2]
        stub.dirty.append(StubTransport(path, [b"run"] * 5, [(b"control", path)]))
        server.pump()
        answers = [sock.recvfrom(2048) for _ in range(6)]
    assert [answer[0] for answer in answers] == [b"control", *[b"run"] * 5]
    assert {answer[1][:2] for answer in answers} == {(to_host, server.port)}
    assert stub.dirty == []


async def test_one_address_pair_is_one_path(server, stub, client):
    for to_host in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
        client.sendto(b"x", (to_host, server.port))
    await stub.until(lambda: len(stub.received) == 3)
    first, second, third = (path for _, path in stub.received)
    assert first == third != second and hash(first) == hash(third)


async def test_a_taken_port_raises_and_leaves_nothing_open(stub):
    for host in ("127.0.0.1", "::1"):
        with open_client(host) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError) as failure:
                async with MediaServer(stub, port=port):
                    raise AssertionError("it took the port of another")
            assert failure.value.errno == errno.EADDRINUSE
        async with MediaServer(stub, port=port) as server:
            assert server.port == port


async def test_after_the_end_the_port_is_free_and_a_pump_harmless(stub):
    async with MediaServer(stub, port=0) as server:
        path = ("127.0.0.1", server.port, b"")
    stub.dirty.append(StubTransport(path, [b"x"] * 4, [(b"y", path)]))
    server.pump()
    assert stub.drops.counts[DropReason.SEND_REFUSED] == 5
    async with MediaServer(stub, port=server.port):
        pass


async def test_without_ipv6_it_serves_ipv4(stub, monkeypatch):
    whole = MediaServer._bind

    def bind(self, family):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return whole(self, family)

    monkeypatch.setattr(MediaServer, "_bind", bind)
    async with MediaServer(stub, port=0) as server:
        with open_client() as sock:
            sock.sendto(b"x", ("127.0.0.1", server.port))
            await stub.until(lambda: bool(stub.received))
        stub.dirty.append(StubTransport(("::1", 9, b""), [b"x"], []))
        server.pump()
        assert stub.drops.counts[DropReason.SEND_REFUSED] == 1


# Batches and the flush


async def test_runs_arrive_whole_and_in_order(server, stub, client):
    client.sendto(b"x", ("127.0.0.1", server.port))
    await stub.until(lambda: bool(stub.received))
    path = stub.received[0][1]
    sizes = [1200] * 70 + [900] + [1200] * 3 + [300, 300, 1450, 1450, 1450, 1, 1800, 1800, 1800]
    sent = [number.to_bytes(2, "big") + bytes(size) for number, size in enumerate(sizes)]
    stub.dirty.append(StubTransport(path, list(sent), []))
    server.pump()
    assert [client.recv(2048) for _ in sent] == sent
    if server.sender.gso:
        assert server.sender.calls < len(sent) / 2


async def test_a_full_socket_gets_its_turn_and_so_do_others(server, stub, client):
    """More than one batch waits: the loop comes to its other work in between, and nothing is lost."""
    turns: list[int] = []
    stub.on_datagram = lambda data, path: turns.append(len(stub.received))
    between: list[int] = []

    def other_work() -> None:
        between.append(len(stub.received))
        if len(stub.received) < 400:
            asyncio.get_running_loop().call_soon(other_work)

    for number in range(400):
        client.sendto(number.to_bytes(2, "big"), ("127.0.0.1", server.port))
    other_work()
    await stub.until(lambda: len(stub.received) == 400)
    assert [int.from_bytes(data, "big") for data, _ in stub.received] == list(range(400))
    steps = [b - a for a, b in itertools.pairwise(between)]
    assert max(steps) <= BATCH
    assert server.forwarding.total == 400


async def test_packets_of_a_peer_without_a_path_are_counted(server, stub):
    stub.dirty.append(StubTransport(None, [b"x", b"y"], []))
    server.pump()
    assert stub.drops.counts[DropReason.SEND_REFUSED] == 2


async def test_what_bounces_stops_nothing(server, stub, client):
    """ICMP "port unreachable" comes back for what is sent to a peer that is gone."""
    with open_client() as gone:
        path = (*gone.getsockname(), b"")
    for _ in range(20):
        stub.dirty.append(StubTransport(path, [b"x"], [(b"y", path)]))
        server.pump()
    client.sendto(b"still there?", ("127.0.0.1", server.port))
    await stub.until(lambda: bool(stub.received))
    assert stub.received[0][0] == b"still there?"


async def test_empty_and_oversized_datagrams_are_passed_on_as_they_are_or_cut(server, stub, client):
    client.sendto(b"", ("127.0.0.1", server.port))
    client.sendto(bytes(9000), ("127.0.0.1", server.port))
    await stub.until(lambda: len(stub.received) == 2)
    assert [len(data) for data, _ in stub.received] == [0, 2048]


# Events, time, bugs


async def test_each_listener_hears_each_event_in_order_whatever_the_others_do(server, stub, caplog):
    heard: list[object] = []

    def broken(event: object) -> None:
        raise ValueError("a bug")

    server.add_listener(broken)
    server.add_listener(heard.append)
    stub.events.extend(["a", "b"])
    server.pump()
    assert heard == ["a", "b"]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2
    server.remove_listener(broken)
    server.remove_listener(heard.append)
    stub.events.append("c")
    server.pump()
    assert heard == ["a", "b"]


async def test_a_listener_may_give_commands(server, stub):
    """They pump, too: the outer turn goes on with what follows, so that everybody hears of causes before effects."""
    heard: list[tuple[str, object]] = []

    def first(event: object) -> None:
        heard.append(("first", event))
        if event == "cause":
            stub.events.append("effect")
            server.pump()

    server.add_listener(first)
    server.add_listener(lambda event: heard.append(("second", event)))
    stub.events.append("cause")
    server.pump()
    assert heard == [("first", "cause"), ("second", "cause"), ("first", "effect"), ("second", "effect")]


async def test_the_tick_goes_on_though_what_it_drives_fails(server, stub, caplog):
    def fail() -> None:
        if stub.ticks == 2:
            raise RuntimeError("a bug")
        if stub.ticks == 3:
            stub.events.append(RuntimeError("another"))

    stub.on_tick = fail
    await stub.until(lambda: stub.ticks >= 5)
    assert stub.failed == 1 and server.loop_lag.total >= 5
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2


async def test_a_datagram_in_which_we_fail_costs_no_other(server, stub, client, caplog):
    def fail(data: bytes, path: tuple) -> None:
        if data == b"bad":
            raise RuntimeError("a bug")

    stub.on_datagram = fail
    for data in (b"good", b"bad", b"good"):
        client.sendto(data, ("127.0.0.1", server.port))
    await stub.until(lambda: len(stub.received) == 3)
    assert stub.failed == 1 and any("a session failed" in record.message for record in caplog.records)


def test_buckets_count_up_to_their_bounds():
    buckets = Buckets((0.001, 0.01, 0.1))
    for value, weight in ((0.0005, 1), (0.001, 2), (0.05, 1), (5.0, 3)):
        buckets.add(value, weight)
    assert (buckets.counts, buckets.total) == ([3, 3, 4], 7)
    assert buckets.sum == pytest.approx(15.0525)


# The whole node


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_a_client_connects_over_real_sockets(host):
    clock = WallClock(wall=time.time(), now=time.monotonic())
    conference = Conference(SfuConfig(), SERVER_CONTEXT, random_bytes=os.urandom, wall_clock=clock)
    participant = conference.join(JoinRequest("room", "alice", grants=Grants.full()), now=time.monotonic())
    track = conference.announce(participant, source=Source.WEBCAM, now=time.monotonic())
    peer = WebRtcClient(CONTEXTS[0])
    answer = conference.publish(participant, write_offer(peer, Line(ssrc=1)), [("0", track.track_id)], now=time.monotonic())
    section = sections(answer)[1]
    peer.set_remote(value_of(section, "ice-ufrag"), value_of(section, "ice-pwd"))
    async with MediaServer(conference, port=0) as server:
        server.pump()
        loop = asyncio.get_running_loop()
        with open_client(host) as sock:
            sock.setblocking(False)
            sock.connect((host, server.port))  # takes answers from there only
            async with asyncio.timeout(10):
                while not peer.connected:
                    peer.handle_timer(now=time.monotonic())
                    for data in peer.datagrams_to_send():
                        await loop.sock_sendall(sock, data)
                    peer.receive_datagram(await loop.sock_recv(sock, 2048), now=time.monotonic())
            assert peer.mapped_address == sock.getsockname()[:2]
