"""Where a request came from and what address we are known by to it, behind a trusted proxy too."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp import web

from tidegate.config.model import HttpConfig

Address = IPv4Address | IPv6Address


class RequestOrigin:
    """Believes X-Forwarded-For, -Proto and -Host only when the connection itself comes from a trusted proxy."""

    def __init__(self, config: HttpConfig) -> None:
        self._public_url = config.public_url.rstrip("/")
        self._trusted = tuple(ip_network(network, strict=False) for network in config.trusted_proxies)

    def public_url(self, request: web.Request) -> str:
        """`https://host[:port]` without a slash at the end: the start of every URL we answer with."""
        if self._public_url:
            return self._public_url
        scheme, host = request.scheme, request.host
        if self._is_trusted(_parse(request.remote)):
            scheme = _last(request, "X-Forwarded-Proto") or scheme
            host = _last(request, "X-Forwarded-Host") or host
        return f"{scheme if scheme in ('http', 'https') else 'http'}://{host}"

    def client_address(self, request: web.Request) -> str:
        """The caller's address: the last one in X-Forwarded-For that is not a trusted proxy."""
        address = _parse(request.remote)
        if not self._is_trusted(address):
            return request.remote or ""
        hops = [hop.strip() for value in request.headers.getall("X-Forwarded-For", []) for hop in value.split(",")]
        for hop in reversed(hops):
            parsed = _parse(hop)
            if parsed is None:
                break  # whatever stands before garbage is not to be believed
            address = parsed
            if not self._is_trusted(parsed):
                break
        return str(address)

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _parse(text: str | None) -> Address | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _last(request: web.Request, name: str) -> str:
    """The value that the nearest proxy wrote."""
    return request.headers.get(name, "").split(",")[-1].strip()
