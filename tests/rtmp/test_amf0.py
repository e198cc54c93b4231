import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError, UsageError
from rtmp import amf0
from tests.support.rtmp_tables import AMF0

TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(("value", "drawn"), AMF0)
def test_values_are_written_and_read_as_the_specification_draws_them(value, drawn):
    data = bytes.fromhex(drawn)
    assert amf0.serialize(value) == data
    [parsed] = amf0.parse(data)
    assert parsed == value and type(parsed) is type(value)


@given(st.lists(VALUES, max_size=4))
def test_round_trip(values):
    assert amf0.parse(amf0.serialize(*values)) == values


@pytest.mark.parametrize("length", [0xFFFF, 0x10000])
def test_long_strings_change_their_marker(length):
    data = amf0.serialize("x" * length)
    assert data[0] == (amf0.STRING if length == 0xFFFF else amf0.LONG_STRING)
    assert amf0.parse(data) == ["x" * length]


def test_a_reference_is_the_value_it_points_to():
    data = amf0.serialize({"a": 1.0}) + bytes.fromhex("07 0000")
    assert amf0.parse(data) == [{"a": 1.0}, {"a": 1.0}]


def test_a_name_may_be_empty():
    assert amf0.parse(bytes.fromhex("03 0000 05 000009")) == [{"": None}]


@pytest.mark.parametrize(
    "drawn",
    [
        "04",  # movie clip: reserved
        "0e",  # record set: reserved
        "11",  # AMF3
        "ff",
        "00 00",
        "02 0005 61",
        "03 0001 61",
        "03 0001 61 05",
        "08 ffffffff",
        "0a ffffffff 05",
        "0c ffffffff 61",
        "07 0000",  # a reference to nothing
        "03 0001 61 07 0000 000009",  # to what it is in
    ],
)
def test_what_is_no_amf0_is_refused(drawn):
    with pytest.raises(ParseError):
        amf0.parse(bytes.fromhex(drawn))


def test_depth_and_number_are_bounded():
    assert amf0.parse(b"\x05" * amf0.MAX_VALUES)
    for data in (b"\x05" * (amf0.MAX_VALUES + 1), b"\x0a\x00\x00\x00\x01" * 10_000, b"\x03\x00\x01a" * 10_000):
        with pytest.raises(ParseError, match="too deep or too many"):
            amf0.parse(data)


def test_what_amf0_cannot_say_is_our_own_mistake():
    value: list = []
    value.append(value)
    for wrong in (object(), value, {"x" * 70_000: 1}):
        with pytest.raises(UsageError):
            amf0.serialize(wrong)


@pytest.mark.parametrize(("value", "expected"), [(1.0, 1), (-2.0, -2), (1.5, None), (math.nan, None), (math.inf, None)])
def test_integers_among_numbers(value, expected):
    assert amf0.as_int(value) == expected
    assert amf0.as_int(True) is None and amf0.as_int("1") is None


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(data):
    try:
        amf0.parse(data)
    except ParseError:
        pass


@given(st.sampled_from([bytes.fromhex(drawn) for _, drawn in AMF0]), st.data())
def test_damaged_values_are_read_or_refused(data, draw):
    damaged = bytearray(data * 2)
    for _ in range(draw.draw(st.integers(1, 3))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    try:
        amf0.parse(bytes(damaged))
    except ParseError:
        pass
