"""The simple handshake, client's side. Adobe RTMP 1.0 section 5.2.

Not here: the undocumented handshake with digests. Flash players needed it for H.264 from a server; no server asks it of a
publisher (the encoders most used send the simple one).
"""

from __future__ import annotations

from collections.abc import Callable

from media.errors import ParseError

VERSION = 3  # section 5.2.2
PACKET_LENGTH = 1536  # section 5.2.3: C1, S1, C2 and S2
RANDOM_LENGTH = 1528


class ClientHandshake:
    """C0 C1 at once, C2 when S1 is there, done when S2 is. What follows S2 is the caller's: `rest`."""

    def __init__(self, *, random_bytes: Callable[[int], bytes]) -> None:
        # Time and zero, then random data: "since each endpoint has to distinguish between the response to the handshake it
        # has initiated and the handshake initiated by its peer, this data SHOULD send something sufficiently random".
        self._out = bytes((VERSION,)) + bytes(8) + random_bytes(RANDOM_LENGTH)
        self._buffer = bytearray()
        self._answered = False
        self.done = False

    def receive_data(self, data: bytes) -> bytes:
        """What came after the handshake (nothing before it is done). ParseError when the peer does not speak RTMP."""
        self._buffer += data
        buffer = self._buffer
        # "A server that does not recognize the client's requested version SHOULD respond with 3."
        if buffer and buffer[0] != VERSION:
            raise ParseError("the handshake does not begin with RTMP version 3")
        if not self._answered and len(buffer) >= 1 + PACKET_LENGTH:
            # C2 is S1 with the time at which it was read; ours are all zero.
            self._out += bytes(buffer[1:5]) + bytes(4) + bytes(buffer[9 : 1 + PACKET_LENGTH])
            self._answered = True
        if len(buffer) < 1 + 2 * PACKET_LENGTH:
            return b""
        # S2 is not compared with C1: servers that prefer digests write something else there.
        self.done = True
        rest = bytes(buffer[1 + 2 * PACKET_LENGTH :])
        buffer.clear()
        return rest

    def data_to_send(self) -> bytes:
        out, self._out = self._out, b""
        return out
