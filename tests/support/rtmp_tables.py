"""RTMP's parsers and serializers from one table: round trips, byte by byte, and seeds for fuzzing."""

from __future__ import annotations

from rtmp.amf0 import UNDEFINED, Date, EcmaArray, TypedObject, XmlDocument
from rtmp.chunk import ChunkSerializer, Message
from rtmp.messages import (
    Acknowledgement,
    Command,
    SetPeerBandwidth,
    UserControl,
    WindowAckSize,
    serialize,
    set_chunk_size,
)

# value, its bytes as the AMF0 specification draws them
AMF0 = [
    (0.0, "00 0000000000000000"),
    (1.5, "00 3ff8000000000000"),
    (True, "01 01"),
    (False, "01 00"),
    ("", "02 0000"),
    ("live", "02 0004 6c697665"),
    ("é", "02 0002 c3a9"),
    ({}, "03 000009"),
    ({"a": 1.0, "b": {"c": None}}, "03 0001 61 00 3ff0000000000000 0001 62 03 0001 63 05 000009 000009"),
    (None, "05"),
    (UNDEFINED, "06"),
    (EcmaArray({"a": True}), "08 00000001 0001 61 01 01 000009"),
    ([], "0a 00000000"),
    ([1.0, "x"], "0a 00000002 00 3ff0000000000000 02 0001 78"),
    (Date(0.0), "0b 0000000000000000 0000"),
    (XmlDocument("<a/>"), "0f 00000004 3c612f3e"),
    (TypedObject("C", {"a": None}), "10 0001 43 0001 61 05 000009"),
]

PARSED = [
    Acknowledgement(0),
    Acknowledgement(0xFFFFFFFF),
    WindowAckSize(2_500_000),
    SetPeerBandwidth(2_500_000, 2),
    UserControl(6, b"\x00\x00\x00\x01"),
    UserControl(0, b""),
    Command("_result", 1, ({"fmsVer": "FMS/3,0,1,123"}, {"code": "NetConnection.Connect.Success"})),
    Command("onStatus", 0, (None, {"level": "status", "code": "NetStream.Publish.Start"}), 1),
    Command("deleteStream", 7, (None, 1.0)),
]

# name, messages as (chunk stream, message)
CONVERSATIONS = {
    "empty": [(3, Message(20, 0, 0, b""))],
    "one chunk": [(3, Message(20, 0, 0, b"x" * 128))],
    "one byte more": [(3, Message(20, 0, 0, b"x" * 129))],
    "media": [
        (6, Message(9, 1, 0, b"k" * 5000)),
        (4, Message(8, 1, 0, b"a" * 300)),
        (4, Message(8, 1, 21, b"b" * 300)),
        (4, Message(8, 1, 42, b"c" * 300)),
        (4, Message(8, 1, 63, b"d" * 300)),
        (6, Message(9, 1, 33, b"p" * 700)),
        (4, Message(8, 1, 100, b"e" * 301)),
    ],
    "chunk size": [
        (2, set_chunk_size(4096)),
        (6, Message(9, 1, 10, b"x" * 4097)),
        (2, set_chunk_size(1)),
        (6, Message(9, 1, 20, b"xyz")),
    ],
    "extended": [
        (6, Message(9, 1, 0xFFFFFE, b"x" * 300)),
        (6, Message(9, 1, 0xFFFFFF, b"x" * 300)),
        (4, Message(8, 1, 0xFFFFFF, b"y" * 300)),
        (4, Message(8, 1, 0x1FFFFFF, b"y" * 300)),
        (4, Message(8, 1, 0x2FFFFFF, b"y" * 300)),
    ],
    "wrap": [
        (6, Message(9, 1, 0xFFFFFFF0, b"x" * 200)),
        (6, Message(9, 1, 0x00000010, b"x" * 200)),
        (6, Message(9, 1, 0x00000030, b"x" * 200)),
    ],
    "back": [(6, Message(9, 1, 1000, b"x")), (6, Message(9, 1, 900, b"x"))],
    "another stream": [(3, Message(20, 0, 5, b"x")), (3, Message(20, 1, 6, b"x")), (3, Message(20, 1, 7, b"x"))],
    "commands": [(3, serialize(parsed)) for parsed in PARSED if not isinstance(parsed, UserControl)],
}

# What nginx's RTMP module said after the handshake to a publisher that came, published and left.
NGINX = bytes.fromhex(
    "020000000000040500000000004c4b40020000000000050600000000004c4b40020200000000000401000000000000100003"
    "0000000000be14000000000200075f726573756c74003ff0000000000000030006666d7356657202000d464d532f332c302c"
    "312c313233000c6361706162696c697469657300403f0000000000000000090300056c6576656c0200067374617475730004"
    "636f646502001d4e6574436f6e6e656374696f6e2e436f6e6e6563742e53756363657373000b6465736372697074696f6e02"
    "0015436f6e6e656374696f6e207375636365656465642e000e6f626a656374456e636f64696e670000000000000000000000"
    "090300000000001d14000000000200075f726573756c7400401000000000000005003ff00000000000000500000000006914"
    "010000000200086f6e537461747573000000000000000000050300056c6576656c0200067374617475730004636f64650200"
    "174e657453747265616d2e5075626c6973682e5374617274000b6465736372697074696f6e0200105374617274207075626c"
    "697368696e670000090500000000006c14010000000200086f6e537461747573000000000000000000050300056c6576656c"
    "0200067374617475730004636f646502001b4e657453747265616d2e556e7075626c6973682e53756363657373000b646573"
    "6372697074696f6e02000f53746f70207075626c697368696e67000009"
)


def wire(conversation: list[tuple[int, Message]]) -> bytes:
    serializer = ChunkSerializer()
    return b"".join(b"".join(serializer.serialize(csid, message)) for csid, message in conversation)
