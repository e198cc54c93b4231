from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.seq import Unwrapper, diff

STARTS = (0, 1, 127, 32767, 65535)


@pytest.mark.parametrize(
    "a, b, bits, expected",
    [
        (0, 0, 16, 0),
        (1, 0, 16, 1),
        (0, 1, 16, -1),
        (0, 65535, 16, 1),
        (65535, 0, 16, -1),
        (32767, 0, 16, 32767),
        (32768, 0, 16, -32768),  # the far side counts as older
        (0, 32768, 16, -32768),
        (0, 0xFFFF_FFFF, 32, 1),
        (0x8000_0000, 0, 32, -0x8000_0000),
        (0, 255, 8, 1),
    ],
)
def test_diff_is_the_short_way_round(a: int, b: int, bits: int, expected: int):
    assert diff(a, b, bits) == expected


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_diff_leads_from_b_to_a(a: int, b: int):
    assert (b + diff(a, b)) & 0xFFFF == a
    assert -32768 <= diff(a, b) < 32768


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("step", [1, 2, 1000, 32767])
def test_unwrapped_numbers_grow_by_the_step_over_every_wrap(start: int, step: int):
    unwrapper = Unwrapper()
    numbers = [unwrapper.unwrap((start + index * step) & 0xFFFF) for index in range(200)]
    assert numbers == [start + 65536 + index * step for index in range(200)]


@pytest.mark.parametrize("start", STARTS)
def test_an_older_number_after_the_first_stays_positive(start: int):
    unwrapper = Unwrapper()
    first = unwrapper.unwrap(start)
    assert unwrapper.unwrap((start - 5) & 0xFFFF) == first - 5 >= 0
    assert unwrapper.last == first


@pytest.mark.parametrize("start", STARTS)
def test_reordered_and_duplicated_numbers_do_not_move_the_reference(start: int):
    unwrapper = Unwrapper()
    order = [0, 2, 1, 1, 2, 5, 3, 4, 6]
    base = start + 65536
    assert [unwrapper.unwrap((start + index) & 0xFFFF) - base for index in order] == order
    assert unwrapper.last == base + 6


def test_a_gap_of_half_the_circle_counts_as_older():
    unwrapper = Unwrapper()
    first = unwrapper.unwrap(100)
    assert unwrapper.unwrap(100 + 32768) == first - 32768
    assert unwrapper.last == first


def test_peek_remembers_nothing():
    unwrapper = Unwrapper()
    assert unwrapper.peek(7) == 65543
    assert unwrapper.last is None
    unwrapper.unwrap(65535)
    assert unwrapper.peek(0) == 131072
    assert unwrapper.last == 131071


@pytest.mark.parametrize("start", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_rtp_times_unwrap_with_32_bits(start: int):
    unwrapper = Unwrapper(32)
    numbers = [unwrapper.unwrap((start + index * 3000) & 0xFFFF_FFFF) for index in range(5)]
    assert numbers == [start + (1 << 32) + index * 3000 for index in range(5)]


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-32768, 32767), max_size=50))
def test_unwrap_follows_any_walk_of_short_steps(start: int, steps: list[int]):
    unwrapper = Unwrapper()
    true = unwrapper.unwrap(start)
    for step in steps:
        number = unwrapper.last + step
        assert unwrapper.unwrap(number & 0xFFFF) == number
        true = max(true, number)
        assert unwrapper.last == true
