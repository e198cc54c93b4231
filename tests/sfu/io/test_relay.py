"""Real peers and the node over a lossy network: what NACK and RTX are for. And that the relay itself is what it says."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.support.aiortc_peer import ColourTrack, Player, Publisher, ToneTrack
from tests.support.network import Network, Path
from tests.support.relay import UdpRelay
from tests.support.whip_site import open_whip_site

LOSSY = Path(loss=0.05, delay=0.01, jitter=0.005)
FRAMES = 90  # 3 s of pictures: a hole that nothing fills would end them at the first lost packet


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    def __init__(self, expected: int) -> None:
        self.received: list[bytes] = []
        self.expected = expected
        self.done = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.received.append(data)
        if len(self.received) == self.expected:
            self.done.set()


@pytest.fixture
async def echo():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    yield transport.get_extra_info("sockname")
    transport.close()


async def exchange(relay: UdpRelay, expected: int, count: int = 40) -> list[bytes]:
    """What comes back of `count` numbered datagrams, once `expected` have."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(
        lambda: Client(expected), remote_addr=("127.0.0.1", relay.port)
    )
    try:
        for number in range(count):
            transport.sendto(number.to_bytes(2, "big"))
        async with asyncio.timeout(10):
            await client.done.wait()
        return client.received
    finally:
        transport.close()


async def test_a_clean_relay_passes_everything_in_order(echo):
    async with UdpRelay(echo, seed=1) as relay:
        assert await exchange(relay, 40) == [number.to_bytes(2, "big") for number in range(40)]
        assert relay.forwarded == (40, 40) and relay.lost == (0, 0)


async def test_each_client_has_its_own_socket_towards_the_server(echo):
    async with UdpRelay(echo, seed=1) as relay:
        assert await exchange(relay, 3, 3) == await exchange(relay, 3, 3)
        assert len(relay.links) == 2


@pytest.mark.parametrize("seed", [7, 8])
async def test_the_relay_loses_what_the_model_loses_with_its_seed(echo, seed):
    path = Path(loss=0.3)
    model = Network(path, seed=seed)
    for number in range(40):
        model.push(number.to_bytes(2, "big"), 0.0)
    survivors = model.pop_due(1.0)
    assert 15 < len(survivors) < 40
    async with UdpRelay(echo, up=path, seed=seed) as relay:
        assert await exchange(relay, len(survivors)) == survivors


async def test_impairment_can_begin_while_it_runs(echo):
    async with UdpRelay(echo, seed=3) as relay:
        await exchange(relay, 5, 5)
        relay.impair(up=Path(duplicate=1.0))
        assert len(await exchange(relay, 10, 5)) == 10


async def test_a_client_can_be_moved_to_another_address():
    class Seen(Echo):
        def datagram_received(self, data, addr):
            super().datagram_received(str(addr[1]).encode(), addr)

    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Seen, local_addr=("127.0.0.1", 0))
    async with UdpRelay(server.get_extra_info("sockname"), seed=1) as relay:
        transport, client = await loop.create_datagram_endpoint(lambda: Client(1), remote_addr=("127.0.0.1", relay.port))
        async with asyncio.timeout(10):
            transport.sendto(b"here")
            await client.done.wait()
            await relay.move()
            client.expected, client.done = 2, asyncio.Event()
            transport.sendto(b"there")
            await client.done.wait()
        assert len(relay.links) == 1 and len(set(client.received)) == 2
        transport.close()
    server.close()


def test_candidates_are_rewritten():
    relay = UdpRelay(("127.0.0.1", 1), seed=0)
    relay.port = 4242
    sdp = "v=0\r\na=candidate:1 1 UDP 2130706431 127.0.0.1 7882 typ host\r\na=candidate:2 1 tcp 1 127.0.0.1 9 typ host\r\n"
    assert relay.rewrite(sdp) == sdp.replace("7882", "4242")


@pytest.mark.slow
async def test_pictures_and_sound_survive_five_percent_loss_on_both_ways():
    async with open_whip_site() as site, UdpRelay(("127.0.0.1", site.media.port), up=LOSSY, down=LOSSY, seed=5) as relay:
        site.announce(relay.port)
        async with aiohttp.ClientSession() as http:
            publisher = Publisher(http, site.url("whip", participantId="alice"))
            publisher.publish(ColourTrack("green", 640, 480), ToneTrack(), prefer="VP8")
            player = Player(http, site.url("whep", participantId="bob", remotePeerId="alice"))
            try:
                await publisher.connect()
                await player.connect()
                await player.wait_for("video", FRAMES, 60)
                await player.wait_for("audio", 20)
                stats = site.conference.stats
                assert player.size == (640, 480)
                assert min(relay.lost) > 10, "nothing was lost: the test shows nothing"
                assert stats.nack_out > 0 and stats.rtx_in > 0, "holes from the publisher were not asked for"
                assert stats.nack_in > 0 and stats.rtx_out > 0, "the player's holes were not filled"
            finally:
                await publisher.close()
                await player.close()
