"""The UDP shell of the meeting plane: one port for everybody, IPv4 and IPv6, one `_pump()`.

It reads every waiting datagram in a bounded batch, gives each to the Conference, tells listeners what happened and flushes
each peer once. Nothing else sends or arms a timer.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from media.drops import DropReason
from sfu.conference import Conference, ConnectionChanged
from sfu.io.sender import IP_PKTINFO, Sender

log = logging.getLogger(__name__)

BATCH = 256  # datagrams of one turn; above it the loop gets its other work done first
MAX_DATAGRAM = 2048  # above any path's MTU in use; longer ones are cut and fail authentication
SOCKET_BUFFER = 4 << 20  # bytes; a burst of keyframes to many peers
TICK = 0.02  # the node's one coarse timer
IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
ANCILLARY_SPACE = socket.CMSG_SPACE(20)
LATENCY_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)

Listener = Callable[[Any], None]


class Buckets:
    """A histogram of seconds as plain ints, read at scrape time; `counts[i]` are the values <= `bounds[i]`."""

    __slots__ = ("bounds", "counts", "sum", "total")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BUCKETS) -> None:
        self.bounds = bounds
        self.counts = [0] * len(bounds)
        self.total = 0
        self.sum = 0.0

    def add(self, value: float, weight: int = 1) -> None:
        self.total += weight
        self.sum += value * weight
        for index in range(len(self.bounds) - 1, -1, -1):
            if value > self.bounds[index]:
                break
            self.counts[index] += weight


def _log_connection(event: object) -> None:
    if isinstance(event, ConnectionChanged):
        words = f"up after {event.seconds:.2f} s" if event.connected else f"gone: {event.reason}"
        log.info("%s connection of participant %s is %s", event.connection, event.participant_id, words)


class MediaServer:
    """An async context manager that owns the sockets and drives one Conference. `port` 0 takes a free one."""

    def __init__(self, conference: Conference, *, port: int) -> None:
        self.conference = conference
        self.port = port
        self.forwarding = Buckets()
        """Seconds from a batch's first read to its last write, weighted by datagrams read."""
        self.loop_lag = Buckets()
        self._listeners: list[Listener] = [_log_connection]
        self._free_port_tries = 5 if port == 0 else 0
        self._sockets: list[socket.socket] = []
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False
        self._tick_due = 0.0

    async def __aenter__(self) -> MediaServer:
        self._loop = asyncio.get_running_loop()
        sock4 = self._bind(socket.AF_INET)
        self._sockets.append(sock4)
        self.port = sock4.getsockname()[1]
        sock6 = None
        try:
            sock6 = self._bind(socket.AF_INET6)
            self._sockets.append(sock6)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                await self.__aexit__()
                if self._free_port_tries:  # the free port was free on IPv4 only: take another
                    self._free_port_tries -= 1
                    self.port = 0
                    return await self.__aenter__()
                raise
            log.info("no IPv6 here (%s): media is served on IPv4 only", error.strerror)
        self.sender = Sender(sock4, sock6, drops=self.conference.drops)
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._on_readable, sock)
        self._arm()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()

    def add_listener(self, listener: Listener) -> None:
        """`listener(event)` is called for each event, in order; it must not block. What it raises is logged, and is a bug."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        self._listeners.remove(listener)

    def now(self) -> float:
        return time.monotonic()

    def pump(self) -> None:
        """After a command to the Conference: tell what happened and send what is to be sent."""
        self._pump()

    def _bind(self, family: socket.AddressFamily) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
            if family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
                sock.bind(("0.0.0.0", self.port))
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                sock.bind(("::", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def _on_readable(self, sock: socket.socket) -> None:
        began = now = time.monotonic()
        receive = self.conference.receive_datagram
        count = 0
        for _ in range(BATCH):
            try:
                data, ancillary, _flags, address = sock.recvmsg(MAX_DATAGRAM, ANCILLARY_SPACE)
            except BlockingIOError:
                break
            except OSError as error:
                # an ICMP answer to something we sent; the peer's own timeout decides
                log.debug("receive: %s", error)
                continue
            count += 1
            try:
                receive(data, (address[0], address[1], ancillary[0][2] if ancillary else b""), now=now)
            except Exception:
                self._drop_failed(now)
        self._pump()
        self.forwarding.add(time.monotonic() - began, count)

    def _drop_failed(self, now: float) -> None:
        """Called for an exception: a bug of ours costs the session it came up in, and no other."""
        log.exception("a session failed and is closed")
        self.conference.drop_failed(now=now)

    def _on_tick(self) -> None:
        now = time.monotonic()
        self.loop_lag.add(max(0.0, now - self._tick_due))
        self._timer = None
        try:
            self.conference.handle_timer(now=now)
        except Exception:
            self._drop_failed(now)
        self._pump()
        self._arm()

    def _arm(self) -> None:
        self._tick_due = time.monotonic() + TICK
        self._timer = self._loop.call_later(TICK, self._on_tick)

    def _pump(self) -> None:
        if self._pumping:  # a listener gave the Conference a command: the outer turn drains it
            return
        self._pumping = True
        try:
            while (event := self._next_event()) is not None:
                for listener in self._listeners:
                    try:
                        listener(event)
                    except Exception:
                        log.exception("a listener failed at %s", type(event).__name__)
            self._flush()
        finally:
            self._pumping = False

    def _next_event(self) -> object | None:
        try:
            return self.conference.next_event()
        except Exception:  # a bug of ours; the rest is drained by the next pump, and what can be sent is sent
            log.exception("an event could not be carried out")
            return None

    def _flush(self) -> None:
        dirty = self.conference.dirty
        if not dirty:
            return
        sender = self.sender
        for transport in dirty:
            packets = transport.take_outgoing()
            for data, path in transport.control_to_send():
                sender.send(data, path)
            if packets:
                selected = transport.selected
                if selected is not None:
                    sender.send_run(packets, selected)
                else:
                    self.conference.drops.count(DropReason.SEND_REFUSED, len(packets))
        dirty.clear()
