"""The guard of outgoing connections, against names and addresses made to get around it."""

from __future__ import annotations

import asyncio
import socket
import ssl

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.certificates import write_certificate
from tidegate.config.model import OutgoingConfig
from tidegate.outgoing import Address, OutgoingGuard, OutgoingRefused, is_public, split_url

PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1:248:1893:25c8:1946"
SYSTEM = ssl.create_default_context()  # takes long to make
TIMEOUT = aiohttp.ClientTimeout(total=10)


def guard(*allow, names=None, **more):
    """`names`: what the name server says; a list of answers is given one after the other."""
    answers = {name: iter(found) if isinstance(found, list) else None for name, found in (names or {}).items()}

    async def resolve(host, port):
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        found = names[host] if answers[host] is None else next(answers[host])
        return [(0, address) for address in found]

    tls = more.pop("tls", None) or SYSTEM
    return OutgoingGuard(OutgoingConfig(allow=allow), resolve=resolve if names is not None else None, tls=tls)


async def hosts(guard, host, scheme="https"):
    return [address.host for address in await guard.resolve(host, 443, scheme)]


# Which addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:93.184.216.34", "64:ff9b::7f00:1", "64:ff9b::5db8:d822",
        "64:ff9b:1::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "2001::1",
        "2001:0:7f00:1::", "2002:7f00:1::", "2002:a00:1::1", "100::1", "3fff::1", "5f00::1",
    ],
)  # fmt: skip
async def test_addresses_that_are_nobody_s_business(address):
    for scheme in ("https", "http", "rtmp", "rtmps"):
        with pytest.raises(OutgoingRefused):
            await guard().resolve(address, 443, scheme)
        with pytest.raises(OutgoingRefused):
            await guard(names={"innocent.example": (address,)}).resolve("innocent.example", 443, scheme)


async def test_public_addresses_are_free_but_not_by_plain_http():
    names = {"example.org": (PUBLIC, PUBLIC6)}
    assert await hosts(guard(names=names), "example.org") == [PUBLIC, PUBLIC6]
    assert await guard(names=names).resolve("example.org", 1935, "rtmp") == [
        Address(PUBLIC, 1935, socket.AF_INET), Address(PUBLIC6, 1935, socket.AF_INET6),
    ]  # fmt: skip
    with pytest.raises(OutgoingRefused, match="plain http"):
        await guard(names=names).resolve("example.org", 80, "http")
    for scheme in ("ftp", "file", "gopher", "ws", ""):
        with pytest.raises(OutgoingRefused):
            await guard(names=names).resolve("example.org", 80, scheme)


async def test_what_the_operator_allows():
    inside = guard("10.0.0.0/8", "fd00::/8", names={"app": ("10.1.1.1", "fd00::5", "192.168.0.1")})
    assert await hosts(inside, "app") == ["10.1.1.1", "fd00::5"], "what is not allowed is left out"
    assert await hosts(inside, "app", "http") == ["10.1.1.1", "fd00::5"]
    assert await hosts(inside, "::ffff:10.1.1.1") == ["::ffff:a01:101"]
    with pytest.raises(OutgoingRefused):
        await hosts(inside, "192.168.0.1")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "017700000001", "0", "localhost", "localhost.", "[::1]"]
)
async def test_other_spellings_of_loopback(host):
    """Through the system's own resolver, which understands them."""
    name, port, scheme = split_url(f"https://{host}/")
    with pytest.raises((OutgoingRefused, OSError)):
        await guard().resolve(name, port, scheme)


@pytest.mark.parametrize("host", ["1.2.3.4.5", "1.2.3", "134744072", "1.1.1.1.", "a.1", "１.1.1.1"])
async def test_names_that_end_in_a_number_are_none(host):
    """aiohttp takes them for addresses and would look them up a second time, past the pin (WHATWG URL: "ends in a number")."""
    with pytest.raises(OutgoingRefused):
        await guard(names={host: ("1.1.1.1",)}).resolve(host, 443, "https")


@pytest.mark.parametrize("host", ["ⅰ.example", "I.example"])
async def test_the_name_that_is_checked_is_the_one_that_is_connected_to(host):
    one = guard(names={"i.example": ("10.0.0.1",), host: ("1.1.1.1",)})
    with pytest.raises(OutgoingRefused):
        await one.guarded_session(f"https://{host}/", timeout=TIMEOUT)


@pytest.mark.parametrize("host", ["1.1.1.1\\@127.0.0.1", "127.0.0.1\\@1.1.1.1", "[::1]x", "a\u200d.example", "１２７.0.0.1", "[::1%25lo]", "127.0.0.1."])
async def test_addresses_that_are_read_in_two_ways(host):
    one = guard(names={"a\u200d.example": ("1.1.1.1",)})
    with pytest.raises(OutgoingRefused):
        await one.guarded_session(f"https://{host}/", timeout=TIMEOUT)


async def test_names_that_are_none():
    with pytest.raises(OutgoingRefused):
        await guard().resolve("a" * 300, 443, "https")
    with pytest.raises(OSError):
        await guard(names={}).resolve("nowhere.example", 443, "https")


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_public(address):
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast or address.is_reserved:
        assert not is_public(address)


@pytest.mark.parametrize("url", ["", "https://", "example.org", "https:///x", "https://[::1", "https://a:99999/", "javascript:alert(1)", "file:///etc/passwd"])
def test_urls_that_are_none(url):
    with pytest.raises(OutgoingRefused):
        split_url(url)


def test_urls():
    assert split_url("https://Example.org/x?y") == ("example.org", 443, "https")
    assert split_url("rtmp://example.org/app") == ("example.org", 1935, "rtmp")
    assert split_url("https://user:pw@[2001:db8::1]:8443/") == ("2001:db8::1", 8443, "https")


# Connections


async def serve(host, handler=None, tls=None):
    async def answer(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(handler or answer, host, 0, ssl=tls)


def port_of(server):
    return server.sockets[0].getsockname()[1]


async def test_a_name_that_changes_between_check_and_connection_gains_nothing():
    """The first answer is checked and connected to; nobody asks a second time, though aiohttp connects by name."""
    heard = []
    async with await serve("127.0.0.1") as good, await serve("127.0.0.2", lambda r, w: heard.append(w) or w.close()) as bad:
        names = {"rebind.example": [("127.0.0.1",), ("127.0.0.2",)]}
        one = guard("127.0.0.1/32", names=names)
        url = f"http://rebind.example:{port_of(good)}/"
        async with await one.guarded_session(url, timeout=TIMEOUT) as session, session.post(url) as response:
            assert response.status == 200
        with pytest.raises(OutgoingRefused):
            await one.guarded_session(f"http://rebind.example:{port_of(bad)}/", timeout=TIMEOUT)
    assert heard == []


async def test_a_session_reaches_no_other_name_than_the_one_that_was_checked():
    async with await serve("127.0.0.1") as good:
        one = guard("127.0.0.1/32", names={"good.example": ("127.0.0.1",), "evil.example": ("127.0.0.2",)})
        url = f"http://good.example:{port_of(good)}/"
        async with await one.guarded_session(url, timeout=TIMEOUT) as session:
            async with session.get(f"http://evil.example:{port_of(good)}/") as response:
                assert response.status == 200, "pinned: it is the checked address that answers"


async def test_certificates_are_verified_for_the_name(tmp_path):
    cert, key = write_certificate(tmp_path, name="hooks.example")
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(cert, key)
    trusting = ssl.create_default_context(cafile=str(cert))
    names = {"hooks.example": ("127.0.0.1",), "other.example": ("127.0.0.1",)}
    async with await serve("127.0.0.1", tls=server_side) as server:
        for name, tls, fits in (("hooks.example", trusting, True), ("other.example", trusting, False), ("hooks.example", None, False)):
            one = guard("127.0.0.1/32", names=names, tls=tls)
            url = f"https://{name}:{port_of(server)}/"
            async with await one.guarded_session(url, timeout=TIMEOUT) as session:
                if fits:
                    async with session.post(url) as response:
                        assert response.status == 200
                else:
                    with pytest.raises(aiohttp.ClientConnectorCertificateError):
                        await session.post(url)
