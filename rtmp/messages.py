"""RTMP messages that are not media. Adobe RTMP 1.0 sections 5.4, 6.2, 7.1; both roles use the same.

Here: control messages, user control events, commands and data as objects, to and from `chunk.Message`. Audio and video stay
`chunk.Message`: their payload is an FLV tag's body. Not here: which command comes when (`session`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from media.errors import ParseError
from rtmp import amf0
from rtmp.chunk import SET_CHUNK_SIZE, Message, read_u32

ACKNOWLEDGEMENT = 3  # section 5.4.3
USER_CONTROL = 4  # section 6.2
WINDOW_ACK_SIZE = 5  # section 5.4.4
SET_PEER_BANDWIDTH = 6  # section 5.4.5
AUDIO = 8  # section 7.1.4
VIDEO = 9  # section 7.1.5
COMMAND_AMF3 = 17  # section 7.1.1
COMMAND_AMF0 = 20

EVENT_PING_REQUEST = 6  # section 7.1.7
EVENT_PING_RESPONSE = 7

CSID_CONTROL = 2  # section 5.4: "Chunk stream ID 2 is reserved for low-level protocol control messages and commands"
CSID_COMMAND = 3  # the rest is what encoders use
CSID_AUDIO = 4
CSID_VIDEO = 6
CSID_STREAM = 8  # commands and data of the message stream


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    sequence_number: int  # bytes received so far, modulo 2**32


@dataclass(frozen=True, slots=True)
class WindowAckSize:
    size: int


@dataclass(frozen=True, slots=True)
class SetPeerBandwidth:
    size: int
    limit_type: int  # 0 hard, 1 soft, 2 dynamic


@dataclass(frozen=True, slots=True)
class UserControl:
    event: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """`values` is the command object and all that follows it. Its repr has no values: a key may be among them."""

    name: str
    transaction_id: int
    values: tuple[Any, ...]
    stream_id: int = 0

    def __repr__(self) -> str:
        return f"Command({self.name!r}, {self.transaction_id})"


Parsed = Acknowledgement | WindowAckSize | SetPeerBandwidth | UserControl | Command


def parse(message: Message) -> Parsed | None:
    """None for media, data, and what the chunk layer has dealt with. ParseError when the payload is not what its type says."""
    kind, payload = message.type_id, message.payload
    if kind == COMMAND_AMF0:
        return _parse_command(payload, message.stream_id)
    if kind == COMMAND_AMF3:
        # One byte 0, then AMF0: what players and servers with object encoding 3 send.
        if payload[:1] != b"\x00":
            raise ParseError("a command in AMF3")
        return _parse_command(payload[1:], message.stream_id)
    if kind == ACKNOWLEDGEMENT:
        return Acknowledgement(read_u32(payload))
    if kind == WINDOW_ACK_SIZE:
        return WindowAckSize(read_u32(payload))
    if kind == SET_PEER_BANDWIDTH:
        return SetPeerBandwidth(read_u32(payload), payload[4] if len(payload) > 4 else 0)
    if kind == USER_CONTROL:
        if len(payload) < 2:
            raise ParseError("a user control message is cut short")
        return UserControl(int.from_bytes(payload[:2], "big"), payload[2:])
    return None


def _parse_command(payload: bytes, stream_id: int) -> Command:
    values = amf0.parse(payload)
    if not values or not isinstance(values[0], str):
        raise ParseError("a command without a name")
    transaction_id = amf0.as_int(values[1]) if len(values) > 1 else 0  # some leave it out of what needs no answer
    if transaction_id is None:
        raise ParseError("a command whose transaction id is no number")
    return Command(values[0], transaction_id, tuple(values[2:]), stream_id)


def set_chunk_size(size: int) -> Message:
    return Message(SET_CHUNK_SIZE, 0, 0, size.to_bytes(4, "big"))


def serialize(parsed: Parsed) -> Message:
    """With timestamp 0, which nobody reads in these."""
    if isinstance(parsed, Command):
        payload = amf0.serialize(parsed.name, parsed.transaction_id, *parsed.values)
        return Message(COMMAND_AMF0, parsed.stream_id, 0, payload)
    if isinstance(parsed, Acknowledgement):
        return Message(ACKNOWLEDGEMENT, 0, 0, parsed.sequence_number.to_bytes(4, "big"))
    if isinstance(parsed, WindowAckSize):
        return Message(WINDOW_ACK_SIZE, 0, 0, parsed.size.to_bytes(4, "big"))
    if isinstance(parsed, SetPeerBandwidth):
        return Message(SET_PEER_BANDWIDTH, 0, 0, parsed.size.to_bytes(4, "big") + bytes((parsed.limit_type,)))
    return Message(USER_CONTROL, 0, 0, parsed.event.to_bytes(2, "big") + parsed.data)
