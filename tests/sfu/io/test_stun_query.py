"""Asking a STUN server for our public address: answers, garbage, silence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from aioice import stun

from sfu.io import stun_query
from sfu.io.stun_query import query_public_address

SEEN = ("203.0.113.5", 6000)


class StunServer(asyncio.DatagramProtocol):
    """Gives `answers(request, count)` to each request."""

    def __init__(self, answers: Callable[[stun.Message, int], list[bytes]]) -> None:
        self.answers, self.requests = answers, 0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address) -> None:
        self.requests += 1
        for answer in self.answers(stun.parse_message(data), self.requests):
            self.transport.sendto(answer, address)


@pytest.fixture
async def serve(monkeypatch):
    monkeypatch.setattr(stun_query, "TRIES", (0.05, 0.05, 0.05))
    transports = []

    async def start(answers, family: str = "127.0.0.1") -> tuple[StunServer, int]:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(lambda: StunServer(answers), local_addr=(family, 0))
        transports.append(transport)
        return protocol, transport.get_extra_info("sockname")[1]

    yield start
    for transport in transports:
        transport.close()


def success(request: stun.Message, address: tuple[str, int] | None = SEEN) -> bytes:
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
    if address is not None:
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
    return bytes(answer)


@pytest.mark.parametrize("seen", [SEEN, ("2001:db8::9", 6000)])
async def test_it_tells_what_the_server_saw(serve, seen):
    _, port = await serve(lambda request, _: [success(request, seen)])
    assert await query_public_address("127.0.0.1", port) == seen[0]


async def test_a_lost_request_is_repeated(serve):
    server, port = await serve(lambda request, count: [success(request)] if count == 3 else [])
    assert await query_public_address("127.0.0.1", port) == SEEN[0]
    assert server.requests == 3


async def test_answers_to_others_errors_and_garbage_are_passed_over(serve):
    def answers(request: stun.Message, _: int) -> list[bytes]:
        stranger = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)
        stranger.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.66", 1)
        return [b"", b"garbage", bytes(stranger), success(request, None), success(request)]

    _, port = await serve(answers)
    assert await query_public_address("127.0.0.1", port) == SEEN[0]


async def test_silence_is_an_error_in_bounded_time(serve):
    server, port = await serve(lambda *_: [])
    with pytest.raises(TimeoutError, match=str(port)):
        await query_public_address("127.0.0.1", port)
    assert server.requests == 3


async def test_nobody_there_is_an_os_error():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(OSError):
        await query_public_address("127.0.0.1", port)
