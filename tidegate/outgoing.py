"""The guard of every request that we make for others: webhooks, RTMP targets. It says which addresses may be connected to.

A name is resolved and checked at each use and the connection goes to the very addresses that were checked, so that a name
that changes in between (rebinding) gains nothing. Schemes: https and rtmp(s) to public addresses; plain http, and addresses
that are loopback, link-local, private or otherwise not public, only where `[outgoing] allow` names their network.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tidegate.config.model import OutgoingConfig

DEFAULT_PORTS = {"https": 443, "http": 80, "rtmp": 1935, "rtmps": 443}
WEB_SCHEMES = frozenset({"http", "https"})
# Global unicast IPv6 (RFC 4291 section 2.4) without what is no place of its own: IETF assignments (Teredo among them),
# documentation, 6to4 (it wraps IPv4 addresses). NAT64, IPv4-mapped, unique local, link-local, multicast are outside 2000::/3.
PUBLIC_IPV6 = ip_network("2000::/3")
SPECIAL_IPV6 = tuple(ip_network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
SPECIAL_IPV4 = (ip_network("192.88.99.0/24"),)  # 6to4 relays, RFC 7526: Python takes them for global

AddressInfo = tuple[int, str]
Resolve = Callable[[str, int], Awaitable[Iterable[AddressInfo]]]
"""(host, port) -> (family, address) for each address of the name; OSError when there is none."""


class OutgoingRefused(Exception):
    """The words say why, and go to the owner of the address."""


@dataclass(frozen=True, slots=True)
class Address:
    """What may be connected to."""

    host: str
    """An IP address, never a name."""
    port: int
    family: int


class OutgoingGuard:
    """`resolve` for whoever connects by itself, `guarded_session` for HTTP."""

    def __init__(self, config: OutgoingConfig, *, resolve: Resolve | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._allowed = tuple(ip_network(network, strict=False) for network in config.allow)
        self._resolve = resolve or _getaddrinfo
        self.tls = tls or ssl.create_default_context()
        """Verifies certificates; made once, since that reads all authorities."""

    async def resolve(self, host: str, port: int, scheme: str) -> list[Address]:
        """The addresses of `host` that may be connected to with `scheme`, now. OutgoingRefused; OSError when the name has none."""
        if scheme not in DEFAULT_PORTS:
            raise OutgoingRefused(f"{scheme}: is not a scheme that this server connects with")
        try:
            found = [ip_address(host)]
        except ValueError:
            if host.rstrip(".").rpartition(".")[2].isdigit():
                raise OutgoingRefused("neither a name nor a whole address") from None
            try:
                found = [ip_address(address) for _, address in await self._resolve(host, port)]
            except UnicodeError:
                raise OutgoingRefused("the host's name is not a valid one") from None
        may = [address for address in dict.fromkeys(found) if self._may(address, scheme)]
        if not may:
            raise OutgoingRefused(self._why_not(found, scheme))
        return [Address(str(address), port, _family(address)) for address in may]

    def _may(self, address: IPv4Address | IPv6Address, scheme: str) -> bool:
        if self._is_allowed(address):
            return True
        return scheme != "http" and is_public(address)

    def _is_allowed(self, address: IPv4Address | IPv6Address) -> bool:
        inner = getattr(address, "ipv4_mapped", None) or address
        return any(inner in network for network in self._allowed)

    def _why_not(self, found: list[IPv4Address | IPv6Address], scheme: str) -> str:
        if scheme == "http" and any(is_public(address) for address in found):
            return "plain http is refused: use https (or name the network in [outgoing] allow)"
        return "the address is not a public one, and [outgoing] allow does not name its network"

    async def guarded_session(self, url: str, *, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
        """A session for requests to this one URL's host, pinned to addresses that were checked now. The caller closes it.

        Redirects are not to be followed with it: the next address needs a session of its own. OutgoingRefused, OSError.
        """
        _, port, scheme = split_url(url)
        if scheme not in WEB_SCHEMES:
            raise OutgoingRefused("not an http or https address")
        addresses = await self.resolve(_as_connected(url), port, scheme)
        # A literal address bypasses aiohttp's resolver (so do names that end in a number, which `resolve` refuses); it was
        # checked as it stands, so it is pinned by itself.
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(addresses), use_dns_cache=False, force_close=True, ssl=self.tls, limit=1
        )
        return aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False, auto_decompress=False)


def split_url(url: str) -> tuple[str, int, str]:
    """(host, port, scheme). OutgoingRefused for what is not a URL with a host of ours."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if not host or parts.scheme not in DEFAULT_PORTS:
        raise OutgoingRefused("not an address that this server connects to")
    return host, port or DEFAULT_PORTS[parts.scheme], parts.scheme


def _as_connected(url: str) -> str:
    """The host as aiohttp reads it out of the URL: another reading than what was checked would be a way around the check."""
    try:
        host = URL(url).raw_host
    except ValueError:
        host = None
    if not host:
        raise OutgoingRefused("not an address that this server connects to")
    return host


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of the public internet, for one host."""
    if isinstance(address, IPv6Address):
        return address in PUBLIC_IPV6 and not any(address in network for network in SPECIAL_IPV6)
    return address.is_global and not address.is_multicast and not any(address in network for network in SPECIAL_IPV4)


def _family(address: IPv4Address | IPv6Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


async def _getaddrinfo(host: str, port: int) -> list[AddressInfo]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, sockaddr[0]) for family, _, _, _, sockaddr in found if family in (socket.AF_INET, socket.AF_INET6)]


class _Pinned(AbstractResolver):
    """Answers with the addresses that were checked, whatever is asked."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=address.host, port=port, family=address.family, proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]  # fmt: skip

    async def close(self) -> None:
        """Holds nothing."""
