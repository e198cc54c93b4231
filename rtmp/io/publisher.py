"""One connection that publishes: sockets, TLS and timers around `rtmp.session.ClientSession`.

Here: resolving and connecting, back-pressure, noticing that the target takes nothing, the orderly end. Not here: whether and when
there is a next connection (`target`).

The way of a tag: `send_tag` -> TagQueue (bounded) -> session -> transport, while the transport's buffer is low. Nothing waits
anywhere else, and no tag has a task.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum

from rtmp.config import BroadcasterConfig, RtmpConfig
from rtmp.events import EndReason, PublishStarted
from rtmp.flv import FlvTag
from rtmp.program import OnAir
from rtmp.session import ClientSession, Phase
from rtmp.tag_queue import TagQueue
from rtmp.url import PublishTarget

# Host, port, scheme -> addresses (IP literals) that may be connected to now; raises an exception whose words may be shown.
Resolve = Callable[[str, int, str], Awaitable[Sequence[str]]]

SEND_BUFFER_BYTES = 256 << 10  # of the kernel, which doubles it: what a dead target swallows before it is noticed
WRITE_HIGH_BYTES = 64 << 10  # of the transport; what waits beyond this waits in the queue, where it can be dropped
LINGER = 2.0  # seconds for the server to close after us: closing on unread data would reset, and lose the last frames
FLUSH_POLL = 0.02  # seconds; a transport does not say when its buffer is empty

_CERTIFICATE = {  # X509_V_ERR_*
    9: "the server's certificate is not valid yet",
    10: "the server's certificate has expired",
    62: "the server's certificate is for another name: check the address",
    64: "the server's certificate is for another address: use the server's name",
}
_UNTRUSTED = "the server's certificate comes from nobody this system trusts"


class Failure(Enum):
    """What a failed connection says about the next one."""

    REFUSED = "refused"  # the same key will be refused again
    REFUSED_SILENTLY = "refused silently"  # probably the same
    FORBIDDEN = "forbidden"  # the resolver says that it must not be tried
    TRANSIENT = "transient"


class PublishError(Exception):
    """The connection is over; the words are fit to be shown."""

    def __init__(self, failure: Failure, description: str, again: PublishTarget | None = None) -> None:
        super().__init__(description)
        self.again = again  # connect in this way at once: the server asked for user and password
        self.failure = failure
        self.description = description


class Publisher(asyncio.Protocol):
    """`await open()`, `send_tag` as they come, `await wait_closed()` says why it ended, `await close()` ends it in order."""

    def __init__(
        self,
        target: PublishTarget,
        config: BroadcasterConfig,
        *,
        resolve: Resolve,
        ssl_context: ssl.SSLContext | None = None,
        forbidden: tuple[type[Exception], ...] = (),
    ) -> None:
        self._target = target
        self._config = config
        self._resolve = resolve
        self._ssl_context = ssl_context
        self._forbidden = forbidden
        self._queue = TagQueue(max_bytes=config.max_queue_bytes, max_seconds=config.max_queue_seconds)
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._session: ClientSession | None = None
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._progress_at = 0.0  # when the target last took something
        self._timer: asyncio.TimerHandle | None = None
        self._written = 0
        self._live = False
        self._closing = False
        self._error: PublishError | None = None
        self._answered = asyncio.Event()  # live, or over
        self._said_all = asyncio.Event()  # closing, and everything is with the transport
        self._lost = asyncio.Event()

    @property
    def frames_dropped(self) -> int:
        return self._queue.frames_dropped

    @property
    def bytes_sent(self) -> int:
        """Handed to the kernel."""
        waiting = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return max(0, self._written - waiting)

    async def open(self) -> None:
        """Returns when the server lets us publish. PublishError when it does not, within connect_timeout."""
        self._deadline = self._loop.time() + self._config.connect_timeout
        try:
            await self._connect()
            await self._answered.wait()  # the session has the rest of the time
        except BaseException:
            self.abort()
            raise
        if self._error is not None:
            self.abort()
            raise self._error

    def send_tag(self, tag: FlvTag, on_air: OnAir) -> None:
        """Never waits: what the target does not take is dropped by the queue's policy. Nothing happens unless live."""
        if self._live and not self._closing:
            self._queue.put(tag, on_air)
            self._pump()

    async def wait_closed(self) -> PublishError | None:
        """Why the connection ended; None when it was us."""
        await self._lost.wait()
        return self._error

    async def close(self, timeout: float) -> bool:
        """Send what waits, take leave, close. Whether all of it was taken within `timeout`; the connection is gone either way."""
        self._closing = True
        try:
            async with asyncio.timeout(timeout):
                self._pump()
                await self._said_all.wait()
                await self._leave()
            return self._error is None
        except TimeoutError:
            return False
        finally:
            self.abort()

    def abort(self) -> None:
        """At once; what waits is lost."""
        self._closing = True
        self._live = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._mark_over()

    # Connecting

    async def _connect(self) -> None:
        target, tls = self._target, None
        if target.scheme == "rtmps":
            tls = self._ssl_context or await asyncio.to_thread(ssl.create_default_context)  # reads the system's store
        addresses = await self._addresses()
        error = PublishError(Failure.TRANSIENT, f"the name {target.host} has no address: check the address")
        for index, address in enumerate(addresses):
            share = max(0.0, self._deadline - self._loop.time()) / (len(addresses) - index)
            try:
                async with asyncio.timeout(share):
                    await self._connect_to(address, tls)
                return
            except TimeoutError:
                error = PublishError(Failure.TRANSIENT, "the server does not answer: check address and port")
            except OSError as failure:  # ssl.SSLError is one
                error = PublishError(Failure.TRANSIENT, connect_words(failure))
        raise error

    async def _addresses(self) -> Sequence[str]:
        target = self._target
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._resolve(target.host, target.port, target.scheme)
        except self._forbidden as failure:
            raise PublishError(Failure.FORBIDDEN, target.redact(str(failure))) from None
        except TimeoutError:
            raise PublishError(Failure.TRANSIENT, f"no answer to who {target.host} is: check the DNS") from None
        except (socket.gaierror, UnicodeError):
            words = f"the name {target.host} is not known: check the address"
            raise PublishError(Failure.TRANSIENT, words) from None
        except OSError as failure:
            raise PublishError(Failure.TRANSIENT, target.redact(str(failure))) from None

    async def _connect_to(self, address: str, tls: ssl.SSLContext | None) -> None:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            await self._loop.sock_connect(sock, (address, self._target.port))
            name = self._target.host if tls else None
            await self._loop.create_connection(lambda: self, sock=sock, ssl=tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a Transport: this is no pipe and no datagram
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)  # type: ignore[attr-defined]
        now = self._progress_at = self._loop.time()
        config = RtmpConfig(connect_timeout=self._deadline - now)
        self._session = ClientSession(self._target, config, random_bytes=os.urandom, now=now)
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._session.receive_data(data)
            self._pump()

    def eof_received(self) -> bool:
        if self._session is not None:
            self._session.receive_eof()
            self._pump()
        return False  # closes the transport

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._progress_at = self._loop.time()
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._live:
            self._fail(PublishError(Failure.TRANSIENT, connect_words(exc)))
        if self._session is not None:
            self._session.receive_eof()
            self._pump()
        self._mark_over()

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._session is not None:
            self._session.handle_timer(now=now)
        if self._live and self._paused and now >= self._progress_at + self._config.stall_timeout:
            words = f"the server took nothing for {self._config.stall_timeout:g} s: it stopped reading"
            self._fail(PublishError(Failure.TRANSIENT, words))
        self._pump()

    # One input, then output, events and timer

    def _pump(self) -> None:
        session, transport = self._session, self._transport
        if session is None or transport is None:
            return
        self._write(session, transport)
        while (event := session.next_event()) is not None:
            if isinstance(event, PublishStarted):
                self._live = True
                self._answered.set()
            elif event.reason is not EndReason.CLOSED:
                failure = _FAILURES.get(event.reason, Failure.TRANSIENT)
                self._fail(PublishError(failure, event.description, event.again))
        self._arm(session)

    def _write(self, session: ClientSession, transport: asyncio.Transport) -> None:
        """Tags and answers, while the transport takes them; the leave-taking behind the last tag."""
        while not self._paused and not transport.is_closing():
            tag = self._queue.get()
            if tag is not None and session.phase is Phase.LIVE:
                session.send_tag(tag)
            elif self._closing:
                session.close()
                self._said_all.set()
            data = session.data_to_send()
            if data:
                self._written += len(data)
                self._progress_at = self._loop.time()
                transport.write(data)
            if tag is None:
                return

    def _arm(self, session: ClientSession) -> None:
        when = session.get_timer()
        if self._live and self._paused:
            when = self._progress_at + self._config.stall_timeout
        if self._timer is not None and self._timer.when() != when:
            self._timer.cancel()
            self._timer = None
        if when is not None and self._timer is None and not self._lost.is_set():
            self._timer = self._loop.call_at(when, self._on_timer)

    def _fail(self, error: PublishError) -> None:
        """The first reason is the reason."""
        if self._error is None and not (self._closing and self._said_all.is_set()):
            self._error = error
        if self._transport is not None:
            self._transport.abort()
        self._mark_over()

    def _mark_over(self) -> None:
        self._live = False
        self._answered.set()
        self._said_all.set()
        self._lost.set()

    async def _leave(self) -> None:
        transport = self._transport
        if transport is None:
            return
        while transport.get_write_buffer_size() and not self._lost.is_set():  # noqa: ASYNC110
            await asyncio.sleep(FLUSH_POLL)
        if not self._lost.is_set():
            # Half a close, where there is one, leaves the server the time to read to the end.
            transport.write_eof() if transport.can_write_eof() else transport.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    await self._lost.wait()


_FAILURES = {
    EndReason.REFUSED: Failure.REFUSED,
    EndReason.CLOSED_AT_PUBLISH: Failure.REFUSED_SILENTLY,
}


def connect_words(failure: Exception) -> str:
    """An error of sockets or TLS as a person can act on it."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(failure.verify_code, _UNTRUSTED)
    if isinstance(failure, ssl.SSLError):
        return "the server does not speak TLS as it should: check whether the address is rtmp:// or rtmps://"
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused: nothing listens at this address and port"
    if isinstance(failure, (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)):
        return "the server reset the connection"
    if isinstance(failure, OSError) and failure.errno is not None:
        return f"no connection: {os.strerror(failure.errno)}"
    return "the connection broke"
