"""The node's ends of a worker's sockets, without a worker."""

import socket

import pytest

from tests.support.workers import until
from tidegate.workers.link import MAX_WAITING, WorkerLink, make_pair


class Ends:
    """A link and what a worker would hold."""

    def __init__(self) -> None:
        packets, self.packets = make_pair(socket.SOCK_SEQPACKET)
        flv, self.flv = make_pair(socket.SOCK_STREAM)
        self.link = WorkerLink(packets, flv)
        self.packets.setblocking(False)

    def fill(self) -> int:
        """Send until the first packet waits; how many the pair took."""
        while not self.link.stats.delayed:
            self.link.send_rtp(bytes(1200))
        return self.link.stats.packets

    def drain(self) -> int:
        count = 0
        try:
            while self.packets.recv(2048):
                count += 1
        except BlockingIOError:
            pass
        return count


@pytest.fixture
async def ends():
    ends = Ends()
    yield ends
    ends.link.close()
    ends.packets.close()
    ends.flv.close()


async def test_a_message_is_a_packet(ends):
    for data in (b"\x80" * 12, b"\x81" * 1460):
        ends.link.send_rtp(data)
        ends.link.send_rtcp(data)
    assert [ends.packets.recv(2048) for _ in range(4)] == [b"\x80" * 12] * 2 + [b"\x81" * 1460] * 2


async def test_a_full_pair_delays_in_order_and_then_loses_the_newest(ends):
    taken = ends.fill()
    assert taken > 100
    for _ in range(5000):
        ends.link.send_rtp(bytes(1200))
    stats = ends.link.stats
    assert stats.delayed == MAX_WAITING // 1200 and stats.dropped_full == 5001 - stats.delayed
    arrived = 0

    def is_all() -> bool:
        nonlocal arrived
        arrived += ends.drain()
        return arrived == taken + stats.delayed

    await until(is_all)
    ends.link.send_rtp(b"after")  # the way is free again: at once
    assert ends.packets.recv(2048) == b"after"
    assert stats.packets == arrived + 1


async def test_the_pairs_end_is_a_counted_loss(ends):
    ends.link.listen(None, None)
    ends.packets.close()
    for _ in range(3):
        ends.link.send_rtp(b"\x80" * 12)
    assert ends.link.stats.dropped_dead == 3
    ends.link.close()
    ends.link.close()
    ends.link.send_rtcp(b"\x80" * 12)
    assert ends.link.stats.dropped_dead == 4


async def test_what_waited_when_the_worker_died_is_counted(ends):
    ends.fill()
    ends.packets.close()
    await until(lambda: ends.link.stats.dropped_dead == 1)
    other = Ends()
    other.fill()
    other.link.close()
    assert other.link.stats.dropped_dead == 1
    other.packets.close()
    other.flv.close()


async def test_packets_from_the_worker_reach_their_reader_one_by_one(ends):
    heard = []
    ends.link.listen(heard.append, None)
    for number in range(600):
        ends.packets.send(bytes([number % 256]) * 20)
    await until(lambda: len(heard) == 600)
    assert heard == [bytes([number % 256]) * 20 for number in range(600)]


async def test_a_reader_that_closes_the_link_is_fine(ends):
    heard = []

    def close(data: bytes) -> None:
        heard.append(data)
        ends.link.close()

    ends.link.listen(close, None)
    ends.packets.send(b"1")
    ends.packets.send(b"2")
    await until(lambda: heard)
    assert heard == [b"1"]


async def test_the_stream_is_read_to_its_end_at_close(ends):
    heard = bytearray()
    ends.link.listen(None, heard.extend)
    ends.flv.setblocking(False)
    sent = ends.flv.send(b"x" * 500_000)
    ends.flv.close()
    ends.link.close()
    assert len(heard) == sent > 100_000
