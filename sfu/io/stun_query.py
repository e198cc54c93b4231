"""One STUN binding request to a configured server: which address the outside sees us by. RFC 8489 section 2.

Used at the start for `announce_ips = ["auto"]`; ICE itself needs no STUN server, as this node is ICE-lite.
"""

from __future__ import annotations

import asyncio
import socket

from aioice import stun as codec

from media.errors import ParseError
from sfu.ice import stun

TRIES = (0.5, 1.0, 1.5)  # seconds waited for each answer; a start must not hang


async def query_public_address(host: str, port: int) -> str:
    """The IPv4 or IPv6 address that the server saw. OSError (TimeoutError among them) when there is no usable answer."""
    loop = asyncio.get_running_loop()
    family, _, _, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(address)
        request = codec.Message(message_method=codec.Method.BINDING, message_class=codec.Class.REQUEST)
        for seconds in TRIES:
            await loop.sock_sendall(sock, bytes(request))
            try:
                async with asyncio.timeout(seconds):
                    while True:
                        found = _mapped(await loop.sock_recv(sock, 2048), request.transaction_id)
                        if found is not None:
                            return found
            except TimeoutError:
                continue
        raise TimeoutError(f"{host}:{port} does not answer")


def _mapped(data: bytes, transaction_id: bytes) -> str | None:
    try:
        message = stun.parse(data)
    except ParseError:
        return None
    mapped = message.attributes.get("XOR-MAPPED-ADDRESS")
    if message.transaction_id != transaction_id or mapped is None:
        return None
    return mapped[0]
