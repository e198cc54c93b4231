"""A publisher's connection: handshake, connect, createStream, publish, media, the orderly end. Adobe RTMP 1.0 section 7.3.1.

Here: which message comes when. Not here: bytes of chunks and commands (`chunk`, `messages`, `commands`), which tags a target is
sent and at what time (`tag_queue`), sockets (`rtmp.io.publisher`). Answers that a peer can ask for without end (pong,
acknowledgement, window) are one each, written when output is drained: a peer that asks and does not read pins nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum

from media.errors import ParseError, UsageError
from rtmp import amf0, auth, commands, messages
from rtmp.chunk import TIMESTAMP_MASK, ChunkParser, ChunkSerializer, Message
from rtmp.config import RtmpConfig
from rtmp.events import EndReason, Event, PublishStarted, SessionEnded
from rtmp.flv import FlvTag
from rtmp.handshake import ClientHandshake
from rtmp.messages import Acknowledgement, Command, Parsed, SetPeerBandwidth, UserControl, WindowAckSize
from rtmp.url import PublishTarget

SET_DATA_FRAME = amf0.serialize("@setDataFrame")  # asks the server to keep the metadata for those who come later
# The work a server can make us do: it says 5 KB until we are live, then little more than an acknowledgement now and then.
MAX_UNASKED_BYTES = 64 << 10  # received beyond a 32nd of what was sent
CHUNK_COST = 64  # bytes; a chunk of one byte takes as long to read as so many
PIECE_BYTES = 4096  # read at a time: a flood is noticed before all that one call brought is read
MIN_WINDOW = 4096  # a smaller one would have us acknowledge each of its acknowledgements
CSIDS = {messages.AUDIO: messages.CSID_AUDIO, messages.VIDEO: messages.CSID_VIDEO}


class Phase(Enum):
    HANDSHAKE = "handshake"
    CONNECT = "connect"
    CREATE_STREAM = "createStream"
    PUBLISH = "publish"
    LIVE = "live"
    ENDED = "ended"


# Any phase may end; the way to LIVE has no branch.
NEXT = {
    Phase.HANDSHAKE: Phase.CONNECT,
    Phase.CONNECT: Phase.CREATE_STREAM,
    Phase.CREATE_STREAM: Phase.PUBLISH,
    Phase.PUBLISH: Phase.LIVE,
}

UNANSWERED = {
    Phase.HANDSHAKE: "the server accepts connections but does not answer the RTMP handshake: check address and port",
    Phase.CONNECT: "the server does not answer whether it has this application: check the address",
    Phase.CREATE_STREAM: "the server does not answer createStream: try another server of the platform",
    Phase.PUBLISH: "the server does not answer whether the stream key may publish: check the stream key",
}
ASKS_FOR_USER = "the server asks for user and password: give them in the address, as rtmp://user:password@host/app"
HUNG_UP = {
    Phase.HANDSHAKE: "the server closed the connection during the RTMP handshake: check address and port",
    Phase.CONNECT: "the server closed the connection when asked for the application: check the address",
    Phase.CREATE_STREAM: "the server closed the connection before the stream began",
    Phase.PUBLISH: "the server closed the connection when it was given the stream key: check the stream key",
    Phase.LIVE: "the server closed the connection",
}


class ClientSession:
    """Driven by `receive_*`, `handle_timer`, `send_tag`, `close`; drained by `next_event` and `data_to_send`."""

    def __init__(
        self, target: PublishTarget, config: RtmpConfig, *, random_bytes: Callable[[int], bytes], now: float
    ) -> None:
        self.phase = Phase.HANDSHAKE
        self._target = target
        self._config = config
        self._random_bytes = random_bytes
        self._deadline = now + config.connect_timeout
        self._handshake = ClientHandshake(random_bytes=random_bytes)
        self._parser = ChunkParser(max_message_bytes=config.max_message_bytes)
        self._serializer = ChunkSerializer()
        self._events: deque[Event] = deque()
        self._out: list[bytes | memoryview] = [self._handshake.data_to_send()]
        self._stream_id = 0
        self._peer_window = 0  # 0: it asked for no acknowledgements
        self._received = 0  # bytes
        self._sent = 0
        self._acknowledged = 0
        self._pong: UserControl | None = None
        self._window: WindowAckSize | None = None
        self._said_window = 0

    # What comes in

    def receive_data(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            if self.phase is not Phase.ENDED:
                self._receive_piece(data[start : start + PIECE_BYTES])

    def _receive_piece(self, data: bytes) -> None:
        self._received += len(data)
        if self._received + CHUNK_COST * self._parser.chunks > MAX_UNASKED_BYTES + self._sent // 32:
            self._end(EndReason.PROTOCOL, "the server sends more than a publisher has any use for")
            return
        try:
            if not self._handshake.done:
                data = self._handshake.receive_data(data)
                self._out.append(self._handshake.data_to_send())
                if not self._handshake.done:
                    return
                self._begin_connect()
            for message in self._parser.receive_data(data):
                parsed = messages.parse(message)
                if parsed is not None:
                    self._handle(parsed)
        except ParseError as error:
            self._end(EndReason.PROTOCOL, f"the server does not speak RTMP as it should: {error}")

    def receive_eof(self) -> None:
        if self.phase is not Phase.ENDED:
            refused = self.phase is Phase.PUBLISH
            self._end(EndReason.CLOSED_AT_PUBLISH if refused else EndReason.CLOSED_BY_PEER, HUNG_UP[self.phase])

    def get_timer(self) -> float | None:
        return None if self.phase in (Phase.LIVE, Phase.ENDED) else self._deadline

    def handle_timer(self, *, now: float) -> None:
        timer = self.get_timer()
        if timer is not None and now >= timer:
            self._end(EndReason.TIMEOUT, UNANSWERED[self.phase])

    # What goes out

    def send_tag(self, tag: FlvTag) -> None:
        """Timestamps are the caller's: of this connection, from about 0, modulo 2**32. UsageError unless live."""
        if self.phase is not Phase.LIVE:
            raise UsageError(f"a tag in the phase {self.phase.value}")
        kind, payload = tag.type, tag.data
        if tag.is_metadata:
            payload = SET_DATA_FRAME + payload
        csid = CSIDS.get(kind, messages.CSID_STREAM)
        message = Message(kind, self._stream_id, tag.timestamp_ms & TIMESTAMP_MASK, payload)
        self._out += self._serializer.serialize(csid, message)

    def close(self) -> None:
        """Take leave: FCUnpublish and deleteStream where something was published. The shell sends what is left, then closes."""
        if self.phase is Phase.ENDED:
            return
        if self.phase is Phase.LIVE:
            self._send_command(commands.fc_unpublish(self._target.stream_key))
            self._send_command(commands.delete_stream(self._stream_id))
        self._end(EndReason.CLOSED, "closed")

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> bytes:
        out, self._out = self._out, []
        for answer in self._answers():
            out += self._serializer.serialize(messages.CSID_CONTROL, messages.serialize(answer))
        data = b"".join(out)
        self._sent += len(data)
        return data

    def _answers(self) -> list[Parsed]:
        """The answers that are due, each at most once."""
        if self.phase is Phase.ENDED:
            return []
        answers: list[Parsed] = []
        if self._window is not None:
            answers.append(self._window)
            self._said_window, self._window = self._window.size, None
        if self._peer_window and self._received - self._acknowledged >= self._peer_window:
            self._acknowledged = self._received
            answers.append(Acknowledgement(self._acknowledged & TIMESTAMP_MASK))
        if self._pong is not None:
            answers.append(self._pong)
            self._pong = None
        return answers

    def _send(self, csid: int, message: Message) -> None:
        self._out += self._serializer.serialize(csid, message)

    def _send_command(self, command: Command) -> None:
        csid = messages.CSID_STREAM if command.stream_id else messages.CSID_COMMAND
        self._send(csid, messages.serialize(command))

    # What the messages change

    def _begin_connect(self) -> None:
        self.phase = NEXT[self.phase]
        self._send(messages.CSID_CONTROL, messages.set_chunk_size(self._config.chunk_size))
        self._send_command(commands.connect(self._target))

    def _handle(self, parsed: Parsed) -> None:
        if self.phase is Phase.ENDED:
            return
        if isinstance(parsed, Command):
            handler = _COMMAND_HANDLERS.get(parsed.name)
            if handler is not None:  # onBWDone, onFCPublish and others want no answer
                handler(self, parsed)
        elif isinstance(parsed, UserControl):
            # Section 7.1.7: "The client responds with PingResponse."
            if parsed.event == messages.EVENT_PING_REQUEST and len(parsed.data) >= 4:
                self._pong = UserControl(messages.EVENT_PING_RESPONSE, parsed.data[:4])
        elif isinstance(parsed, WindowAckSize):
            self._peer_window = max(parsed.size, MIN_WINDOW) if parsed.size else 0
        elif isinstance(parsed, SetPeerBandwidth):
            # Section 5.4.5: "SHOULD respond with a Window Acknowledgement Size message if the window size is different from
            # the last one sent".
            self._window = WindowAckSize(parsed.size) if parsed.size != self._said_window else None

    def _handle_result(self, command: Command) -> None:
        key = self._target.stream_key
        if self.phase is Phase.CONNECT and command.transaction_id == commands.CONNECT_ID:
            self.phase = NEXT[self.phase]
            self._send_command(commands.release_stream(key))
            self._send_command(commands.fc_publish(key))
            self._send_command(commands.create_stream())
        elif self.phase is Phase.CREATE_STREAM and command.transaction_id == commands.CREATE_STREAM_ID:
            stream_id = commands.created_stream(command)
            if stream_id is None:
                raise ParseError("createStream was answered without a stream id")
            self.phase = NEXT[self.phase]
            self._stream_id = stream_id
            self._send_command(commands.publish(key, stream_id))

    def _handle_error(self, command: Command) -> None:
        # releaseStream and FCPublish are answered with errors by servers that do not know them.
        awaited = {
            Phase.CONNECT: (commands.CONNECT_ID, "the server refused the application"),
            Phase.CREATE_STREAM: (commands.CREATE_STREAM_ID, "the server refused to open a stream"),
            Phase.PUBLISH: (commands.PUBLISH_ID, "the server refused the stream key"),
        }.get(self.phase)
        if awaited is None or command.transaction_id != awaited[0]:
            return
        status, again, words = commands.status_of(command), None, awaited[1]
        if auth.is_asked(status.description):
            again = auth.answer(self._target, status.description, random_bytes=self._random_bytes)
            words = "the server refused user and password" if self._target.user else ASKS_FOR_USER
        self._end(EndReason.REFUSED, self._in_words(words, status), again)

    def _handle_status(self, command: Command) -> None:
        status = commands.status_of(command)
        if status.level == "error":
            if self.phase is Phase.LIVE:
                self._end(EndReason.CLOSED_BY_PEER, self._in_words("the server ended the stream", status))
                return
            what = "stream key" if self.phase is Phase.PUBLISH else "application or the stream key"
            self._end(EndReason.REFUSED, self._in_words(f"the server refused the {what}", status))
        elif self.phase is Phase.PUBLISH and status.code == commands.PUBLISH_START:
            self.phase = NEXT[self.phase]
            self._events.append(PublishStarted())

    def _handle_close(self, command: Command) -> None:
        self.receive_eof()

    def _in_words(self, what: str, status: commands.Status) -> str:
        said = ": ".join(part for part in (status.code, status.description) if part)
        return self._target.redact(f"{what} ({said})" if said else what)

    def _end(self, reason: EndReason, description: str, again: PublishTarget | None = None) -> None:
        self.phase = Phase.ENDED
        self._events.append(SessionEnded(reason, description, again))


_COMMAND_HANDLERS: dict[str, Callable[[ClientSession, Command], None]] = {
    "_result": ClientSession._handle_result,
    "_error": ClientSession._handle_error,
    "onStatus": ClientSession._handle_status,
    "close": ClientSession._handle_close,
}
