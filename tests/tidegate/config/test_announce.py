import asyncio

import pytest
from aioice import stun

from media.errors import ConfigError
from tidegate.config import announce
from tidegate.config.announce import announced_addresses, public_address
from tidegate.config.model import RtcConfig


class StunServer(asyncio.DatagramProtocol):
    """Answers a Binding request as if it came from 203.0.113.7; `garbage` first, or nothing at all while `silent`."""

    def __init__(self, silent: int = 0) -> None:
        self.silent = silent

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, addr) -> None:
        if self.silent:
            self.silent -= 1
            return
        request = stun.parse_message(data)
        self.transport.sendto(b"garbage", addr)
        for transaction_id, address in ((b"x" * 12, "192.0.2.1"), (request.transaction_id, "203.0.113.7")):
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = (address, 5000)
            self.transport.sendto(bytes(answer), addr)


@pytest.fixture
async def server(request):
    loop = asyncio.get_running_loop()
    silent = getattr(request, "param", 0)
    transport, _ = await loop.create_datagram_endpoint(lambda: StunServer(silent), local_addr=("127.0.0.1", 0))
    yield "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    transport.close()


async def test_auto_is_what_the_stun_server_sees(server):
    rtc = RtcConfig(announce_ips=("198.51.100.1", "auto", "198.51.100.1"), stun_server=server)
    assert await announced_addresses(rtc) == ("198.51.100.1", "203.0.113.7")


async def test_without_auto_nobody_is_asked():
    assert await announced_addresses(RtcConfig()) == ()
    assert await announced_addresses(RtcConfig(announce_ips=("198.51.100.1",))) == ("198.51.100.1",)


@pytest.mark.parametrize("server", [2], indirect=True)
async def test_a_lost_request_is_sent_again(server, monkeypatch):
    monkeypatch.setattr(announce, "TRY_TIMEOUT", 0.01)
    assert await public_address(server) == "203.0.113.7"


@pytest.mark.parametrize("server", [99], indirect=True)
async def test_a_silent_server_is_an_error_that_says_what_to_do(server, monkeypatch):
    monkeypatch.setattr(announce, "TRY_TIMEOUT", 0.001)
    with pytest.raises(ConfigError, match="--announce-ip"):
        await public_address(server)
