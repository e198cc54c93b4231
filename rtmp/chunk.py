"""Messages cut into chunks and put together again. Adobe RTMP 1.0 section 5.3; both roles use the same.

Here: chunk headers, their compression against the last one of a chunk stream, extended timestamps, Set Chunk Size and Abort,
which act on chunks. Not here: what the other messages mean (`messages`).
"""

from __future__ import annotations

from dataclasses import dataclass

from media.errors import ParseError

DEFAULT_CHUNK_SIZE = 128  # section 5.4.1
MAX_CHUNK_SIZE = 0x7FFFFFFF  # "The first bit MUST be zero"
EXTENDED = 0xFFFFFF  # section 5.3.1.3: the 32-bit field follows
HEADER_LENGTHS = (11, 7, 3, 0)  # section 5.3.1.2, by fmt
MAX_CHUNK_STREAMS = 64  # a dozen are used; bounds headers and unfinished messages
TIMESTAMP_MASK = 0xFFFFFFFF
HALF = 0x80000000  # a step of more than this is one back

SET_CHUNK_SIZE = 1  # section 5.4.1
ABORT = 2  # section 5.4.2


@dataclass(slots=True)
class Message:
    """A message whole. `timestamp` is modulo 2**32 milliseconds."""

    type_id: int
    stream_id: int
    timestamp: int
    payload: bytes


@dataclass(slots=True)
class _ChunkStream:
    type_id: int = 0
    stream_id: int = 0
    timestamp: int = 0
    length: int = 0
    field: int = 0  # timestamp or delta as the last header of fmt 0-2 said it
    extended: bool = False
    payload: bytearray | None = None  # None between messages


class ChunkParser:
    """Bytes in any pieces -> messages. Unfinished messages together hold at most `max_message_bytes` + one chunk."""

    def __init__(self, *, max_message_bytes: int) -> None:
        self.chunks = 0  # read so far
        self._max_message_bytes = max_message_bytes
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._streams: dict[int, _ChunkStream] = {}
        self._pending_bytes = 0
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> list[Message]:
        """The messages that `data` completes, those for this layer included. ParseError ends the connection."""
        self._buffer += data
        messages: list[Message] = []
        position = 0
        while (end := self._receive_chunk(position, messages)) is not None:
            position = end
            self.chunks += 1
        del self._buffer[:position]
        return messages

    def _receive_chunk(self, position: int, messages: list[Message]) -> int | None:
        """The end of the chunk at `position`; None, and nothing changed, while it is not whole."""
        buffer = self._buffer
        if position >= len(buffer):
            return None
        fmt, csid = buffer[position] >> 6, buffer[position] & 0x3F
        position += 1
        if csid < 2:  # section 5.3.1.1: one or two more bytes
            more = csid + 1
            if len(buffer) < position + more:
                return None
            csid = 64 + int.from_bytes(buffer[position : position + more], "little")
            position += more
        header_end = position + HEADER_LENGTHS[fmt]
        if len(buffer) < header_end:
            return None
        stream = self._streams.get(csid) or self._new_stream(fmt)
        field = int.from_bytes(buffer[position : position + 3], "big") if fmt < 3 else stream.field
        extended = field == EXTENDED if fmt < 3 else stream.extended
        body = header_end + 4 * extended
        if len(buffer) < body:
            return None
        if extended:
            # "This field is present in Type 3 chunks when the most recent Type 0, 1, or 2 chunk for the same chunk stream
            # ID indicated the presence of an extended timestamp field."
            field = int.from_bytes(buffer[header_end:body], "big")
        length = int.from_bytes(buffer[position + 3 : position + 6], "big") if fmt < 2 else stream.length
        if length > self._max_message_bytes:
            raise ParseError(f"message of {length} bytes; at most {self._max_message_bytes} are taken")
        if stream.payload is not None and fmt != 3:
            raise ParseError("a message begins before the last one of its chunk stream is whole")
        size = min(self._chunk_size, length - len(stream.payload or b""))
        if len(buffer) < body + size:
            return None
        self._streams[csid] = stream
        if stream.payload is None:
            _begin_message(stream, fmt, field, extended, length, bytes(buffer[position:header_end]))
        assert stream.payload is not None
        stream.payload += buffer[body : body + size]
        self._pending_bytes += size
        if len(stream.payload) == stream.length:
            self._finish(stream, messages)
        elif self._pending_bytes > self._max_message_bytes:
            raise ParseError("too many messages are begun at once")
        return body + size

    def _new_stream(self, fmt: int) -> _ChunkStream:
        if fmt == 3 or fmt == 2:
            # Section 5.3.1.2.1: "This type MUST be used at the start of a chunk stream". Some begin with fmt 1 nonetheless,
            # which lacks the message stream id alone; the others say too little.
            raise ParseError(f"a chunk stream begins with a header of type {fmt}")
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise ParseError(f"more than {MAX_CHUNK_STREAMS} chunk streams")
        return _ChunkStream()

    def _finish(self, stream: _ChunkStream, messages: list[Message]) -> None:
        assert stream.payload is not None
        payload = bytes(stream.payload)
        self._pending_bytes -= len(payload)
        stream.payload = None
        message = Message(stream.type_id, stream.stream_id, stream.timestamp, payload)
        messages.append(message)
        if message.type_id == SET_CHUNK_SIZE:
            size = read_u32(payload)
            if not 1 <= size <= MAX_CHUNK_SIZE:
                raise ParseError(f"chunk size {size}")
            self._chunk_size = size
        elif message.type_id == ABORT:
            aborted = self._streams.get(read_u32(payload))
            if aborted is not None and aborted.payload is not None:
                self._pending_bytes -= len(aborted.payload)
                aborted.payload = None


def _begin_message(stream: _ChunkStream, fmt: int, field: int, extended: bool, length: int, header: bytes) -> None:
    stream.payload = bytearray()
    if fmt < 3:
        stream.field, stream.extended = field, extended
    if fmt < 2:
        stream.length, stream.type_id = length, header[6]
    if fmt == 0:
        stream.stream_id = int.from_bytes(header[7:11], "little")
        stream.timestamp = field
    else:
        # Section 5.3.1.2.4, of fmt 3: "If a Type 3 chunk follows a Type 0 chunk, then the timestamp delta for this Type 3
        # chunk is the same as the timestamp of the Type 0 chunk."
        stream.timestamp = (stream.timestamp + field) & TIMESTAMP_MASK


def read_u32(payload: bytes) -> int:
    """What most control messages begin with."""
    if len(payload) < 4:
        raise ParseError("a control message is cut short")
    return int.from_bytes(payload[:4], "big")


@dataclass(slots=True)
class _Sent:
    """The last header of a chunk stream."""

    stream_id: int
    timestamp: int
    type_id: int
    length: int
    delta: int | None  # None after a header of fmt 0


class ChunkSerializer:
    """Messages -> pieces of bytes to be sent in order. A payload is sliced, not copied."""

    def __init__(self) -> None:
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._sent: dict[int, _Sent] = {}

    def serialize(self, csid: int, message: Message) -> list[bytes | memoryview]:
        """`csid` 2-63. A Set Chunk Size among the messages acts on those after it."""
        fmt, field = self._choose(csid, message)
        extended = field.to_bytes(4, "big") if field >= EXTENDED else b""
        header = bytearray((fmt << 6 | csid,))
        if fmt < 3:
            header += min(field, EXTENDED).to_bytes(3, "big")
        if fmt < 2:
            header += len(message.payload).to_bytes(3, "big") + bytes((message.type_id,))
        if fmt == 0:
            header += message.stream_id.to_bytes(4, "little")
        first, size = bytes(header) + extended, self._chunk_size
        if message.type_id == SET_CHUNK_SIZE:
            self._chunk_size = read_u32(message.payload)
        if len(message.payload) <= size:
            return [first, message.payload]
        view = memoryview(message.payload)
        out: list[bytes | memoryview] = [first, view[:size]]
        again = bytes((3 << 6 | csid,)) + extended
        for start in range(size, len(view), size):
            out += (again, view[start : start + size])
        return out

    def _choose(self, csid: int, message: Message) -> tuple[int, int]:
        """The shortest header that says it, and its timestamp field."""
        last, length = self._sent.get(csid), len(message.payload)
        delta = None
        if last is not None and last.stream_id == message.stream_id:
            delta = (message.timestamp - last.timestamp) & TIMESTAMP_MASK
        self._sent[csid] = _Sent(message.stream_id, message.timestamp, message.type_id, length, delta)
        if last is None or delta is None or delta >= HALF:  # "the timestamp delta" has no sign
            self._sent[csid].delta = None
            return 0, message.timestamp
        if last.type_id != message.type_id or last.length != length:
            return 1, delta
        # After fmt 0 peers disagree on what the delta of fmt 3 is: it is said.
        return (3 if delta == last.delta else 2), delta
