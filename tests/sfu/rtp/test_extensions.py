from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp.extensions import ONE_BYTE, TWO_BYTE, find_elements, serialize

TABLE = [
    ([], 0, ""),
    ([(1, b"a")], ONE_BYTE, "10610000"),
    ([(14, b"0123456789abcdef"), (3, b"xy")], ONE_BYTE, "ef30313233343536373839616263646566317879"),
    ([(15, b"a")], TWO_BYTE, "0f016100"),
    ([(1, b"")], TWO_BYTE, "01000000"),
    ([(1, b"a"), (2, bytes(17))], TWO_BYTE, "0101610211" + "00" * 17 + "0000"),
]


def read(profile: int, block: bytes) -> list[tuple[int, bytes]]:
    return [(ident, block[start:end]) for ident, start, end in find_elements(block, profile, 0, len(block))]


@pytest.mark.parametrize(("elements", "profile", "wire"), TABLE)
def test_table_serializes(elements, profile, wire):
    assert serialize(elements) == (profile, bytes.fromhex(wire))


@pytest.mark.parametrize(("elements", "profile", "wire"), TABLE)
def test_table_parses(elements, profile, wire):
    assert read(profile, bytes.fromhex(wire)) == elements


def test_padding_between_elements_is_skipped():
    assert read(ONE_BYTE, bytes.fromhex("0010610020620000")) == [(1, b"a"), (2, b"b")]


def test_id_15_ends_the_one_byte_form():
    assert read(ONE_BYTE, bytes.fromhex("1061f0002062")) == [(1, b"a")]


def test_appbits_do_not_matter():
    assert read(TWO_BYTE | 7, bytes.fromhex("01016100")) == [(1, b"a")]


def test_other_profiles_hold_nothing_for_us():
    assert read(0xABCD, bytes.fromhex("10610000")) == []


@pytest.mark.parametrize(
    ("profile", "wire"), [(ONE_BYTE, "1361"), (TWO_BYTE, "0104"), (TWO_BYTE, "01"), (ONE_BYTE, "10")]
)
def test_elements_that_are_cut_off_are_refused(profile, wire):
    with pytest.raises(ParseError):
        read(profile, bytes.fromhex(wire))


@given(st.sampled_from([ONE_BYTE, TWO_BYTE, 0x100F]), st.binary(max_size=60))
def test_garbage_parses_or_is_refused(profile, block):
    try:
        elements = read(profile, block)
    except ParseError:
        return
    again, wire = serialize(elements)
    assert read(again, wire) == elements


@given(st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=40)), max_size=6))
def test_what_is_written_is_read_again(elements):
    profile, block = serialize(elements)
    assert len(block) % 4 == 0
    assert read(profile, block) == elements
