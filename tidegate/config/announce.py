"""Which addresses browsers are told: `rtc.announce_ips`, with "auto" replaced by what a STUN server sees of us.

Asked once, before the start: an address that changes later needs a restart.
"""

from __future__ import annotations

import asyncio
import os

from aioice import stun

from media.errors import ConfigError, ParseError
from sfu.ice.stun import parse
from tidegate.config.model import AUTO, RtcConfig, split_host_port

TRIES = 3
TRY_TIMEOUT = 0.5  # seconds, doubled at each try as RFC 8489 section 6.2.1 does


async def announced_addresses(rtc: RtcConfig) -> tuple[str, ...]:
    """`rtc.announce_ips` as addresses; empty means the interfaces' own. ConfigError when the STUN server does not answer."""
    out: list[str] = []
    for text in rtc.announce_ips:
        out.append(await public_address(rtc.stun_server) if text == AUTO else text)
    return tuple(dict.fromkeys(out))


async def public_address(server: str) -> str:
    """Our address as the STUN server at `host:port` sees it (RFC 8489, Binding)."""
    host, port = split_host_port("rtc.stun_server", server)
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.create_datagram_endpoint(_Binding, remote_addr=(host, port))
    except OSError as error:
        raise ConfigError("rtc.stun_server", f"{server}: {error.strerror or error}") from None
    try:
        for attempt in range(TRIES):
            transport.sendto(protocol.request)
            try:
                async with asyncio.timeout(TRY_TIMEOUT * 2**attempt):
                    return await asyncio.shield(protocol.address)
            except TimeoutError:
                continue
    finally:
        transport.close()
    raise ConfigError("rtc.stun_server", f"{server} does not answer: give --announce-ip the address itself")


class _Binding(asyncio.DatagramProtocol):
    """One Binding request and whatever comes back; anything but its answer is ignored."""

    def __init__(self) -> None:
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=os.urandom(12))
        self._transaction_id = message.transaction_id
        self.request = bytes(message)
        self.address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            message = parse(data)
        except ParseError:
            return
        found = message.attributes.get("XOR-MAPPED-ADDRESS") or message.attributes.get("MAPPED-ADDRESS")
        if message.transaction_id == self._transaction_id and found and not self.address.done():
            self.address.set_result(found[0])

    def error_received(self, exc: OSError) -> None:
        """A refused port shows as a timeout: the next try may be answered."""
