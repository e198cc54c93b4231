"""One signalling socket: a bounded queue of what it must still be sent, one writer, and how it ends.

Nothing here waits for a client: whoever does not read is cut off when its queue is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from media.errors import PeerError
from sfu.io import signalling_messages as messages
from sfu.io.signalling_config import SignallingConfig
from sfu.meeting.participant import Participant

MESSAGE_UNIT_BYTES = 16384  # a longer message counts as several: to read 64 KB of SDP takes the loop 10 ms


@dataclass(slots=True)
class SignallingStats:
    """Plain counters of all sockets, read at scrape time."""

    opened: int = 0
    closed: int = 0
    refused: int = 0
    joined: int = 0
    resumed: int = 0
    messages_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    errors: int = 0
    too_much: int = 0
    not_reading: int = 0


class TokenBucket:
    """`rate` tokens a second, at most `burst` at once. Whoever has one may take several: the debt is waited for."""

    __slots__ = ("_burst", "_rate", "_time", "_tokens")

    def __init__(self, rate: float, burst: int, *, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._time = now

    def take(self, tokens: int = 1, *, now: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now - self._time) * self._rate)
        self._time = now
        if self._tokens < 1:
            return False
        self._tokens -= tokens
        return True


class Connection:
    """`participant` is set while this socket speaks for somebody."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        config: SignallingConfig,
        stats: SignallingStats,
        *,
        peer: str,
        origin: str | None,
        own_origin: str,
        now: float,
    ) -> None:
        self.ws = ws
        self.peer = peer
        self.origin = origin
        self.own_origin = own_origin
        self.participant: Participant | None = None
        self.ended = False  # by the client
        self.said_goodbye = False  # with a close frame that means leaving
        self.bucket = TokenBucket(config.messages_per_second, config.message_burst, now=now)
        self._transport = transport
        self._config = config
        self._stats = stats
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._close_code: int | None = None
        self._aborted = False
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def ending(self) -> bool:
        """No request is carried out any more."""
        return self._close_code is not None or self._aborted or self.ended

    @property
    def finishing(self) -> bool:
        """It is ours to begin the closing handshake."""
        return self._close_code is not None and not self._aborted

    def send(self, data: bytes) -> None:
        """Queues one text message; a client that does not read enough is cut off."""
        if self.ending:
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if (
            len(self._waiting) > self._config.max_waiting_messages
            or self._waiting_bytes > self._config.max_waiting_bytes
        ):
            self._stats.not_reading += 1
            self.abort()
            return
        self._wake.set()

    def finish(self, code: int) -> None:
        """Sends what waits, then the close frame; a client that does not take it in time is cut off."""
        if self.ending:
            return
        self._close_code = code
        self._deadline = asyncio.get_running_loop().call_later(self._config.close_timeout, self.abort)
        self._wake.set()

    def fail(self, error: PeerError, request_id: int | None = None) -> None:
        """Tells an error that ends the socket."""
        self.send(messages.error_answer(request_id, error))
        # RFC 6455 section 7.4.2: applications use 4000 to 4999; 1011 is "an unexpected condition"
        self.finish(error.code if 4000 <= error.code <= 4999 else 1011)

    def abort(self) -> None:
        """Cuts the socket off without a word."""
        self._aborted = True
        self._waiting.clear()
        self._waiting_bytes = 0
        self._transport.abort()
        self._wake.set()

    def receive_end(self) -> None:
        """The client has ended the socket. A reply to its close frame may still be on its way out."""
        if not self.ending:
            self.ended = True
            self._deadline = asyncio.get_running_loop().call_later(self._config.close_timeout, self.abort)
            self._wake.set()

    async def write(self) -> None:
        """The socket's one writer. Returns when all is sent before a close frame, or when the socket has ended."""
        try:
            while not (self._aborted or self.ended):
                await self._wake.wait()
                self._wake.clear()
                if not self.ended:
                    await self._write_waiting()
                if self._close_code is not None:
                    return
        except ConnectionError:
            self._aborted = True  # the reader sees the same

    async def close(self) -> None:
        """The end, after reader and writer: the closing handshake if it is ours to begin. RFC 6455 section 7.1.2."""
        try:
            if self.finishing:
                await self.ws.close(code=self._close_code)
        finally:
            if self._deadline is not None:
                self._deadline.cancel()
            self._transport.close()

    async def _write_waiting(self) -> None:
        while self._waiting:
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self._stats.messages_out += 1
            self._stats.bytes_out += len(data)
            await self.ws.send_frame(data, WSMsgType.TEXT)
