import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from rtmp.chunk import MAX_CHUNK_STREAMS, ChunkParser, ChunkSerializer, Message
from rtmp.messages import set_chunk_size
from tests.support.rtmp_tables import CONVERSATIONS, wire

LIMIT = 1 << 16


def parse(data: bytes) -> list[Message]:
    return ChunkParser(max_message_bytes=LIMIT).receive_data(data)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_messages_come_out_as_they_went_in(name):
    conversation = CONVERSATIONS[name]
    data = wire(conversation)
    assert parse(data) == [message for _, message in conversation]
    parser, bytewise = ChunkParser(max_message_bytes=LIMIT), []
    for byte in data:
        bytewise += parser.receive_data(bytes((byte,)))
    assert bytewise == [message for _, message in conversation]


@given(st.lists(st.tuples(st.integers(2, 63), st.integers(0, 2**32 - 1), st.binary(max_size=600)), max_size=12))
def test_any_times_and_sizes_round_trip(messages):
    conversation = [(csid, Message(9, 1, at, payload)) for csid, at, payload in messages]
    assert parse(wire(conversation)) == [message for _, message in conversation]


def test_headers_are_as_short_as_they_may_be():
    serializer = ChunkSerializer()
    fmts = []
    for at, size in ((0, 10), (20, 11), (40, 11), (60, 11), (90, 11), (80, 11)):
        first = serializer.serialize(4, Message(8, 1, at, b"x" * size))[0]
        fmts.append(first[0] >> 6)
    assert fmts == [0, 1, 3, 3, 2, 0]


def test_the_example_of_the_specification():
    """Section 5.3.2.1: four audio messages of 32 bytes, 20 ms apart, take 44 + 36 + 33 + 33 bytes."""
    serializer = ChunkSerializer()
    sizes = [sum(map(len, serializer.serialize(3, Message(8, 12345, 1000 + 20 * n, bytes(32))))) for n in range(4)]
    assert sizes == [44, 36, 33, 33]


def test_a_type_3_chunk_after_type_0_repeats_the_timestamp_as_delta():
    data = bytes.fromhex("03 000014 000001 08 01000000 61 c3 62")
    assert parse(data) == [Message(8, 1, 20, b"a"), Message(8, 1, 40, b"b")]


def test_extended_timestamps_are_in_every_chunk_of_their_message():
    """Section 5.3.1.3, of type 3 chunks too."""
    parts = ChunkSerializer().serialize(6, Message(9, 1, 0x01000000, b"x" * 129))
    data = b"".join(parts)
    assert (
        data
        == bytes.fromhex("06 ffffff 000081 09 01000000 01000000") + b"x" * 128 + bytes.fromhex("c6 01000000") + b"x"
    )


def test_long_chunk_stream_ids():
    header = "000014 000001 08 01000000 61"
    data = bytes.fromhex(f"00 00 {header} 00 ff {header} 01 0000 {header} 01 ffff {header}")
    assert len(parse(data)) == 4
    assert len(parse(bytes.fromhex(f"00 05 {header} 40 05 000014 000001 08 62"))) == 2  # the same stream again


def test_messages_of_several_chunk_streams_interleave():
    a = [bytes(part) for part in ChunkSerializer().serialize(4, Message(8, 1, 0, b"a" * 256))]
    b = [bytes(part) for part in ChunkSerializer().serialize(6, Message(9, 1, 0, b"b" * 256))]
    data = a[0] + a[1] + b[0] + b[1] + a[2] + a[3] + b[2] + b[3]
    assert parse(data) == [Message(8, 1, 0, b"a" * 256), Message(9, 1, 0, b"b" * 256)]


def test_an_aborted_message_is_forgotten():
    long = ChunkSerializer().serialize(4, Message(8, 1, 0, b"a" * 256))
    abort = ChunkSerializer().serialize(2, Message(2, 0, 0, (4).to_bytes(4, "big")))
    again = ChunkSerializer().serialize(4, Message(8, 1, 7, b"b"))
    messages = parse(b"".join([*long[:2], *abort, *again]))
    assert [message.payload for message in messages if message.type_id == 8] == [b"b"]


@pytest.mark.parametrize(
    ("why", "data"),
    [
        ("too long", bytes.fromhex("03 000000 ffffff 14 00000000")),
        ("type 3 first", bytes.fromhex("c3 00")),
        ("type 2 first", bytes.fromhex("83 000000 00")),
        ("chunk size 0", bytes.fromhex("02 000000 000004 01 00000000 00000000")),
        ("chunk size negative", bytes.fromhex("02 000000 000004 01 00000000 80000000")),
        ("chunk size short", bytes.fromhex("02 000000 000001 01 00000000 00")),
        (
            "a new header amid a message",
            bytes.fromhex("04 000000 000100 08 01000000") + bytes(128) + b"\x04" + bytes(11),
        ),
    ],
)
def test_what_no_chunk_stream_may_be_is_refused(why, data):
    with pytest.raises(ParseError):
        parse(data)


def test_what_a_peer_can_pin_is_bounded():
    header = bytes.fromhex("000000 010000 08 01000000")  # of a message of 64 KiB
    parser = ChunkParser(max_message_bytes=LIMIT)
    for csid in range(MAX_CHUNK_STREAMS):
        parser.receive_data(bytes((0, csid)) + header + bytes(128))
    with pytest.raises(ParseError, match="chunk streams"):
        parser.receive_data(bytes((0, MAX_CHUNK_STREAMS)) + header + bytes(128))
    parser = ChunkParser(max_message_bytes=LIMIT)
    half = LIMIT // 2
    parser.receive_data(b"".join(ChunkSerializer().serialize(2, set_chunk_size(half))))
    parser.receive_data(b"\x03" + header + bytes(half))
    parser.receive_data(b"\x04" + header + bytes(half))
    with pytest.raises(ParseError, match="begun at once"):
        parser.receive_data(b"\x05" + header + bytes(half))


@given(st.binary(max_size=400))
def test_bytes_of_any_kind_are_read_or_refused(data):
    try:
        parse(data)
    except ParseError:
        pass


@given(st.sampled_from(sorted(CONVERSATIONS)), st.data())
def test_damaged_traffic_is_read_or_refused(name, draw):
    damaged = bytearray(wire(CONVERSATIONS[name]))
    for _ in range(draw.draw(st.integers(1, 3))):
        damaged[draw.draw(st.integers(0, min(60, len(damaged) - 1)))] = draw.draw(st.integers(0, 255))
    parser = ChunkParser(max_message_bytes=LIMIT)
    try:
        for start in range(0, len(damaged), 7):
            parser.receive_data(bytes(damaged[start : start + 7]))
    except ParseError:
        pass
