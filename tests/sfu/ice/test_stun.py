from __future__ import annotations

import struct

import pytest
from aioice import stun as codec
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.ice import stun

TRANSACTION = bytes(range(12))
KEY = b"server-password-0123456789"


def request(**attributes: object) -> codec.Message:
    message = codec.Message(codec.Method.BINDING, codec.Class.REQUEST, transaction_id=TRANSACTION)
    message.attributes = {"USERNAME": "abcd:efgh", "PRIORITY": 1, "ICE-CONTROLLING": 2}
    message.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    return message


def signed(**attributes: object) -> bytes:
    message = request(**attributes)
    message.add_message_integrity(KEY)
    return bytes(message)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def raw(*attributes: bytes, message_type: int = 1) -> bytes:
    body = b"".join(attributes)
    return struct.pack("!HHI12s", message_type, len(body), stun.MAGIC_COOKIE, TRANSACTION) + body


# Wire bytes that parse: used for parsing, writing again, and as seeds of the fuzz.
MESSAGES = [
    signed(),
    signed(USE_CANDIDATE=None),
    raw(),
    raw(message_type=0x0011),
    raw(attribute(0xC057, b"\x00\x01\x00\x0a")),
    stun.serialize_success(TRANSACTION, "192.0.2.1", 50000, KEY),
    stun.serialize_success(TRANSACTION, "2001:db8::1", 50000, KEY),
    stun.serialize_error(TRANSACTION, 401, key=None),
    stun.serialize_error(TRANSACTION, 420, key=KEY, unknown=(0x0033, 0x0034, 0x0035)),
]


def test_reads_a_browsers_check():
    message = stun.parse(signed(USE_CANDIDATE=None))
    assert message.message_type == stun.BINDING_REQUEST
    assert message.transaction_id == TRANSACTION
    assert message.username == "abcd:efgh"
    assert "USE-CANDIDATE" in message.attributes
    assert message.has_fingerprint and message.has_integrity
    assert message.check_integrity(KEY)
    assert not message.check_integrity(KEY + b"x")


@pytest.mark.parametrize("data", MESSAGES)
def test_what_parses_is_written_and_parses_again(data: bytes):
    first = stun.parse(data)
    written = stun.parse(codec_bytes(first))
    assert (written.message_type, written.attributes) == (first.message_type, first.attributes)


def codec_bytes(message: stun.StunMessage) -> bytes:
    """Attributes that aioice does not know are lost in its writing, so the sum over them has to be made anew."""
    if message.has_fingerprint:
        message.message.add_fingerprint()
    return message.serialize()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MESSAGES[0][:19],
        MESSAGES[0][:-1],
        MESSAGES[0] + b"\0\0\0\0",
        b"\x40" + MESSAGES[2][1:],
        MESSAGES[2][:4] + b"\0\0\0\0" + MESSAGES[2][8:],
        raw(b"\x00\x06"),
        raw(struct.pack("!HH", 6, 8) + b"abcd"),
        raw(attribute(6, b"\xff\xfe\xfd\xfc")),
        raw(attribute(0x0024, b"\x01")),
        raw(attribute(0x0020, b"\x00\x03\x00\x00abcd")),
        raw(attribute(0x0009, b"\x00\x00\x09\x63")),
        raw(attribute(stun.FINGERPRINT, b"abcd")),
        raw(attribute(stun.FINGERPRINT, b"abcd"), attribute(0x8022, b"ab")),
        raw(*[attribute(0xC057, b"")] * (stun.MAX_ATTRIBUTES + 1)),
        raw(message_type=0x3EEF),
    ],
)
def test_garbage_is_a_parse_error(data: bytes):
    with pytest.raises(ParseError):
        stun.parse(data)


def test_a_flipped_bit_breaks_the_fingerprint():
    data = bytearray(signed())
    data[25] ^= 1
    with pytest.raises(ParseError):
        stun.parse(bytes(data))


def test_unknown_required_attributes_are_listed_unless_unauthenticated():
    body = (
        attribute(0x0033, b"ab"),
        attribute(0xC057, b"ab"),
        attribute(stun.MESSAGE_INTEGRITY, bytes(20)),
        attribute(0x0034, b""),
    )
    assert stun.parse(raw(*body)).unknown == (0x0033,)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"])
def test_success_is_what_aioice_would_write(host: str):
    bare = host.partition("%")[0]
    expected = codec.Message(codec.Method.BINDING, codec.Class.RESPONSE, transaction_id=TRANSACTION)
    expected.attributes["XOR-MAPPED-ADDRESS"] = (bare, 50000)
    expected.add_message_integrity(KEY)
    assert stun.serialize_success(TRANSACTION, host, 50000, KEY) == bytes(expected)


def test_a_mapped_ipv4_address_is_told_as_ipv4():
    message = stun.parse(stun.serialize_success(TRANSACTION, "::ffff:192.0.2.1", 7, KEY))
    assert message.attributes["XOR-MAPPED-ADDRESS"] == ("192.0.2.1", 7)


def test_errors_carry_code_and_unknown_attributes():
    message = stun.parse(stun.serialize_error(TRANSACTION, 420, key=KEY, unknown=(0x0033, 0x0034, 0x0035)))
    assert message.attributes["ERROR-CODE"] == (420, "Unknown Attribute")
    assert message.check_integrity(KEY)
    assert attribute(stun.UNKNOWN_ATTRIBUTES, b"\x00\x33\x00\x34\x00\x35") in stun.serialize_error(
        TRANSACTION, 420, key=KEY, unknown=(0x0033, 0x0034, 0x0035)
    )
    assert not stun.parse(stun.serialize_error(TRANSACTION, 401, key=None)).has_integrity


def test_peek_finds_the_username_wherever_it_stands():
    assert stun.peek_username(signed()) == "abcd:efgh"
    assert stun.peek_username(raw(attribute(0x0024, b"1234"), attribute(6, b"me:you"))) == "me:you"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(24),
        raw(),
        raw(attribute(0x0024, b"1234")),
        raw(attribute(6, b"\xff\xff")),
        raw(attribute(6, b"x" * 600)),
        raw(struct.pack("!HH", 6, 9) + b"abcd"),
    ],
)
def test_peek_finds_no_username(data: bytes):
    assert stun.peek_username(data) is None


@given(st.binary(max_size=200))
def test_fuzz_random_bytes(data: bytes):
    survives(data)


@given(
    st.lists(
        st.tuples(st.sampled_from([a[0] for a in codec.ATTRIBUTES] + [0x33, 0xC057]), st.binary(max_size=40)),
        max_size=8,
    )
)
def test_fuzz_attributes(attributes: list[tuple[int, bytes]]):
    survives(raw(*[attribute(kind, value) for kind, value in attributes]))


@given(
    st.sampled_from(MESSAGES),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.integers(0, 200),
)
def test_fuzz_mutations(seed: bytes, edits: list[tuple[int, int]], cut: int):
    data = bytearray(seed)
    for position, value in edits:
        data[position % len(data)] = value
    survives(bytes(data))
    survives(bytes(data[:cut]))


def survives(data: bytes) -> None:
    stun.peek_username(data)
    try:
        message = stun.parse(data)
    except ParseError:
        return
    assert stun.parse(codec_bytes(message)).attributes == message.attributes
