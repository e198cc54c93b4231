from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.feedback import Remb, pack_nacks, parse_nack, parse_psfb
from tests.support.rtp_peers import START_NUMBERS


@pytest.mark.parametrize("first", START_NUMBERS)
def test_seventeen_in_a_row_fit_one_item(first):
    lost = [(first + at) & 0xFFFF for at in range(17)]
    assert pack_nacks(lost) == [(first, 0xFFFF)]


@pytest.mark.parametrize("first", START_NUMBERS)
def test_the_eighteenth_begins_a_new_item(first):
    lost = [(first + at) & 0xFFFF for at in range(18)]
    assert pack_nacks(lost) == [(first, 0xFFFF), ((first + 17) & 0xFFFF, 0)]


def test_nothing_lost_is_no_item():
    assert pack_nacks([]) == []


@given(st.integers(0, 65535), st.sets(st.integers(0, 3000), max_size=200))
def test_items_name_exactly_what_is_lost(first, holes):
    lost = [(first + hole) & 0xFFFF for hole in sorted(holes)]
    items = pack_nacks(lost)
    body = bytes(8) + b"".join(pid.to_bytes(2, "big") + blp.to_bytes(2, "big") for pid, blp in items)
    if items:
        assert parse_nack(body).lost == lost


@given(st.integers(0, (1 << 18) - 1), st.integers(0, 63))
def test_remb_keeps_18_bits_of_its_rate(mantissa, exponent):
    rate = mantissa << exponent
    _, fmt, body = Remb(1, rate, [2, 3]).serialize()
    assert parse_psfb(fmt, body) == Remb(1, rate, [2, 3])


def test_feedback_of_another_kind_is_nothing():
    assert parse_psfb(15, bytes(8) + b"GOOG" + bytes(4)) is None
    assert parse_psfb(3, bytes(8)) is None
