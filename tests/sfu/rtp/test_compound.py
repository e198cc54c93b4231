from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp.compound import parse_compound, serialize_compound
from sfu.rtp.feedback import Nack
from tests.support.rtp_tables import RTCP_TABLE, from_hex

WIRES = [from_hex(text) for text, _ in RTCP_TABLE]


@pytest.mark.parametrize(("text", "message"), RTCP_TABLE)
def test_table_parses(text, message):
    assert parse_compound(from_hex(text)) == [message]


@pytest.mark.parametrize(("text", "message"), RTCP_TABLE)
def test_table_serializes(text, message):
    assert serialize_compound([message]) == from_hex(text)


@pytest.mark.parametrize("wire", WIRES)
def test_every_cut_is_refused(wire):
    for length in range(len(wire)):
        with pytest.raises(ParseError):
            parse_compound(wire[:length])


@pytest.mark.parametrize("wire", WIRES)
def test_a_length_too_short_for_its_message_never_escapes(wire):
    for words in range(wire[3]):
        cut = wire[:2] + words.to_bytes(2, "big") + wire[4 : 4 + 4 * words]
        try:
            parse_compound(cut)
        except ParseError:
            continue


def test_all_in_one_compound():
    assert parse_compound(b"".join(WIRES)) == [message for _, message in RTCP_TABLE]


def test_unknown_messages_are_skipped():
    unknown = bytes.fromhex("80d20001 00000001".replace(" ", ""))
    assert parse_compound(unknown + WIRES[0]) == [RTCP_TABLE[0][1]]


def test_padding_is_taken_off():
    padded = bytes.fromhex("a1ce0003" + "00000001" + "00000002" + "00000004")
    assert parse_compound(padded) == parse_compound(bytes.fromhex("81ce0002" + "00000001" + "00000002"))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("padding", range(1, 9))
def test_padding_of_any_length_never_escapes(wire, padding):
    padded = bytes((wire[0] | 0x20, wire[1])) + (len(wire) // 4).to_bytes(2, "big") + wire[4:] + bytes((0, 0, 0, padding))
    check(padded)


@pytest.mark.parametrize("tail", ["00000000", "000000ff"])
def test_wrong_padding_is_refused(tail):
    with pytest.raises(ParseError):
        parse_compound(bytes.fromhex("a1ce0003" + "00000001" + "00000002" + tail))


def canonical(message):
    """Two NACKs are the same if they ask for the same packets."""
    return (
        (message.sender_ssrc, message.media_ssrc, sorted(set(message.lost))) if isinstance(message, Nack) else message
    )


def check(data: bytes) -> None:
    try:
        messages = parse_compound(data)
    except ParseError:
        return
    again = parse_compound(serialize_compound(messages)) if messages else []
    assert [canonical(message) for message in again] == [canonical(message) for message in messages]


@given(st.binary(max_size=200))
def test_garbage_parses_or_is_refused(data):
    check(data)


@given(
    st.sampled_from(WIRES),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=6),
    st.binary(max_size=8),
)
@example(WIRES[0], [], b"")
def test_mutations_parse_or_are_refused(wire, changes, tail):
    data = bytearray(wire)
    for at, value in changes:
        data[at % len(data)] = value
    check(bytes(data) + tail)
