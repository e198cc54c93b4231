"""A UDP relay on loopback that does to datagrams what a network does: `network.py`'s seeded model behind real sockets.

A browser or aiortc talks to the relay's port, the node sees one socket of the relay's for each of them. The node must announce
the relay's port in its candidates, or the test rewrites them by `UdpRelay.rewrite`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from tests.support.network import Network, Path

MAX_LINKS = 64  # clients of one relay; a test has a few. Policy: refuse
CANDIDATE_PORT = re.compile(r"^(a=candidate:\S+ \d+ udp \d+ \S+) \d+ ", re.IGNORECASE | re.MULTILINE)

Address = tuple[str, int]


class Direction:
    """Datagrams in by `push`, out by `send` when the model says so."""

    def __init__(self, path: Path, *, seed: int, send: Callable[[bytes], None]) -> None:
        self.network = Network(path, seed=seed)
        self.forwarded = 0
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def push(self, data: bytes) -> None:
        self.network.push(data, self._loop.time())
        self._deliver()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _deliver(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for data in self.network.pop_due(self._loop.time()):
            self.forwarded += 1
            self._send(data)
        due = self.network.next_due()
        if due is not None:
            self._timer = self._loop.call_at(due, self._deliver)


class Link(asyncio.DatagramProtocol):
    """One client's way to the node and back."""

    def __init__(self, relay: UdpRelay, client: Address, *, seed: int) -> None:
        self.up = Direction(relay.up, seed=seed, send=self._send_up)
        self.down = Direction(relay.down, seed=seed + 1, send=lambda data: relay.send_to_client(data, client))
        self._transport: asyncio.DatagramTransport | None = None
        self._early: list[bytes] = []  # came while the socket was being made

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        if self._transport is not None:  # moved: what comes to the old address is lost, as behind a NAT that forgot it
            self._transport.close()
        self._transport = transport
        for data in self._early:
            transport.sendto(data)
        self._early.clear()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.down.push(data)

    def _send_up(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        else:
            self._transport.sendto(data)

    def close(self) -> None:
        self.up.close()
        self.down.close()
        if self._transport is not None:
            self._transport.close()


class UdpRelay(asyncio.DatagramProtocol):
    """An async context manager in front of `server`. Each client gets its own model of `up` and `down`, seeded in order of arrival."""

    def __init__(self, server: Address, *, up: Path = Path(), down: Path = Path(), seed: int) -> None:  # noqa: B008, frozen
        self.server, self.up, self.down = server, up, down
        self.port = 0
        self.links: dict[Address, Link] = {}
        self._seed = seed
        self._tasks: set[asyncio.Task] = set()
        self._transport: asyncio.DatagramTransport

    async def __aenter__(self) -> UdpRelay:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self.links.values():
            link.close()
        self._transport.close()

    @property
    def lost(self) -> tuple[int, int]:
        """Datagrams of all clients that were lost on the way up and down."""
        links = self.links.values()
        return sum(link.up.network.lost for link in links), sum(link.down.network.lost for link in links)

    @property
    def forwarded(self) -> tuple[int, int]:
        links = self.links.values()
        return sum(link.up.forwarded for link in links), sum(link.down.forwarded for link in links)

    def impair(self, *, up: Path | None = None, down: Path | None = None) -> None:
        """Change the paths of all clients, present and future, from the next datagram on."""
        self.up, self.down = up or self.up, down or self.down
        for link in self.links.values():
            link.up.network.path, link.down.network.path = self.up, self.down

    async def move(self) -> None:
        """The server sees every client come from another port, as after a NAT's rebinding or a change of network."""
        loop = asyncio.get_running_loop()
        for link in self.links.values():
            await loop.create_datagram_endpoint(lambda link=link: link, remote_addr=self.server)

    def rewrite(self, sdp: str) -> str:
        """The description with the relay's port in every UDP candidate."""
        return CANDIDATE_PORT.sub(rf"\1 {self.port} ", sdp)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        link = self.links.get(addr)
        if link is None:
            if len(self.links) >= MAX_LINKS:
                return
            link = self.links[addr] = Link(self, addr, seed=self._seed + 2 * len(self.links))
            connecting = asyncio.get_running_loop().create_datagram_endpoint(lambda: link, remote_addr=self.server)
            task = asyncio.get_running_loop().create_task(connecting)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        link.up.push(data)

    def send_to_client(self, data: bytes, client: Address) -> None:
        self._transport.sendto(data, client)
