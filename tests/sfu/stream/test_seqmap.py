from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.stream.seqmap import MAX_SEGMENTS, MAX_SKIPPED, Compactor, Segment, SegmentMap
from tests.support.rtp_peers import START_NUMBERS


@given(st.sets(st.integers(1, 600), max_size=MAX_SKIPPED))
def test_numbers_without_the_skipped_have_no_holes(skipped):
    compactor = Compactor()
    for number in sorted(skipped):
        compactor.skip(number)
    kept = [number for number in range(1, 601) if number not in skipped]
    assert [compactor.compact(number) for number in kept] == list(range(1, len(kept) + 1))
    assert all(compactor.is_skipped(number) for number in skipped)
    assert not any(compactor.is_skipped(number) for number in kept)


def test_old_skips_are_forgotten_without_moving_newer_numbers():
    compactor = Compactor()
    for number in range(0, 4 * MAX_SKIPPED, 2):
        compactor.skip(number)
    last = 4 * MAX_SKIPPED - 1
    assert compactor.compact(last) == last - 2 * MAX_SKIPPED
    assert len(compactor._skipped) == MAX_SKIPPED


def test_a_restart_goes_on_where_it_is_told():
    compactor = Compactor()
    compactor.skip(5)
    compactor.restart(90000, 42)
    assert compactor.compact(90000) == 42 and compactor.compact(90003) == 45


def segment(start: int, end: int | None, offset: int) -> Segment:
    made = Segment(object(), None, start=start, sequence_offset=offset, timestamp_offset=0)
    made.end = end
    return made


@pytest.mark.parametrize("first", START_NUMBERS)
def test_numbers_sent_lead_back_to_their_stream(first):
    base = first + (1 << 16)
    segments = SegmentMap()
    one = segment(1000, 1010, base - 1000)  # sent as base .. base + 9
    two = segment(50, None, base + 10 - 50)  # sent as base + 10 ..
    segments.add(one)
    segments.add(two)
    highest = base + 20
    for at in range(10):
        assert segments.find((base + at) & 0xFFFF, highest) == (one, 1000 + at)
    for at in range(10, 21):
        assert segments.find((base + at) & 0xFFFF, highest) == (two, 50 + at - 10)
    assert segments.find((base - 1) & 0xFFFF, highest) is None


def test_between_two_segments_there_is_nothing():
    segments = SegmentMap()
    segments.add(segment(0, 5, 100))
    segments.add(segment(0, None, 200))
    assert segments.find(104, 210) is not None
    assert segments.find(105, 210) is None


def test_old_segments_are_forgotten():
    segments = SegmentMap()
    for at in range(MAX_SEGMENTS + 5):
        segments.add(segment(0, 10, at * 10))
    assert len(segments.segments) == MAX_SEGMENTS
    assert segments.find(0, MAX_SEGMENTS * 10) is None
