from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp.compound import serialize_compound
from sfu.rtp.twcc import (
    BACK_WINDOW,
    MAX_DELTAS,
    MAX_HOLES,
    MAX_WAITING,
    ArrivalRecorder,
    TransportFeedback,
    pack_chunks,
    parse_transport_feedback,
    unpack_chunks,
)
from tests.support.rtp_peers import START_NUMBERS

TICK = 0.00025


def build(recorder: ArrivalRecorder, now: float) -> list[TransportFeedback]:
    messages = recorder.build(sender_ssrc=1, media_ssrc=2, now=now)
    for message in messages:
        wire = serialize_compound([message])
        assert len(wire) <= 1200
        assert parse_transport_feedback(wire[4:]) == message
    return messages


def arrivals(messages: list[TransportFeedback]) -> dict[int, float | None]:
    """What a sender reads: wire number -> seconds, or None for one that did not arrive."""
    known: dict[int, float | None] = {}
    for message in messages:
        tick = message.reference_time * 256
        for at, delta in enumerate(message.deltas):
            number = (message.base_sequence + at) & 0xFFFF
            if delta is not None:
                tick += delta
                known[number] = tick * TICK
            else:
                known.setdefault(number, None)
    return known


@pytest.mark.parametrize("first", START_NUMBERS)
def test_arrivals_are_told_to_a_tick(first):
    recorder = ArrivalRecorder()
    times = {}
    for at in range(59):
        number, now = (first + at) & 0xFFFF, 10 + at * 0.00137
        if at % 7 != 3:
            recorder.receive(number, now)
        times[number] = now if at % 7 != 3 else None
    known = arrivals(build(recorder, 10.1))
    assert known.keys() == times.keys()
    for number, time in times.items():
        if time is None:
            assert known[number] is None
        else:
            assert known[number] == pytest.approx(time, abs=TICK)


@pytest.mark.parametrize("first", START_NUMBERS)
def test_the_next_message_tells_of_losses_between(first):
    recorder = ArrivalRecorder()
    recorder.receive(first, 1.0)
    (one,) = build(recorder, 1.1)
    recorder.receive((first + 3) & 0xFFFF, 1.15)
    (two,) = build(recorder, 1.2)
    assert (two.feedback_count - one.feedback_count) & 0xFF == 1
    assert two.base_sequence == (first + 1) & 0xFFFF
    assert [delta is None for delta in two.deltas] == [True, True, False]


@pytest.mark.parametrize("first", START_NUMBERS)
def test_what_comes_late_is_told_with_its_neighbours(first):
    recorder = ArrivalRecorder()
    numbers = [(first + at) & 0xFFFF for at in range(4)]
    for at in (0, 1, 3):
        recorder.receive(numbers[at], 1 + at * 0.001)
    build(recorder, 1.05)
    recorder.receive(numbers[2], 1.06)
    known = arrivals(build(recorder, 1.1))
    assert known[numbers[2]] == pytest.approx(1.06, abs=TICK)
    assert known[numbers[3]] == pytest.approx(1.003, abs=TICK)  # a negative delta
    assert build(recorder, 1.2) == []


def test_a_duplicate_changes_nothing():
    recorder = ArrivalRecorder()
    recorder.receive(5, 1.0)
    recorder.receive(5, 1.02)
    assert arrivals(build(recorder, 1.1)) == {5: pytest.approx(1.0, abs=TICK)}


def test_a_pause_longer_than_a_delta_begins_a_new_message():
    recorder = ArrivalRecorder()
    recorder.receive(1, 1.0)
    recorder.receive(2, 10.0)  # 36000 ticks
    messages = build(recorder, 10.0)
    assert len(messages) == 2
    assert arrivals(messages) == {1: pytest.approx(1.0, abs=TICK), 2: pytest.approx(10.0, abs=TICK)}


def test_many_arrivals_are_split():
    recorder = ArrivalRecorder()
    for number in range(1000):
        recorder.receive(number, 1 + number * 0.0001)
    messages = build(recorder, 1.1)
    assert len(messages) == -(-1000 // MAX_DELTAS)
    assert len(arrivals(messages)) == 1000


@pytest.mark.parametrize("gap", [8190, 8191, MAX_HOLES])
def test_a_huge_gap_is_told_in_runs(gap):
    recorder = ArrivalRecorder()
    recorder.receive(100, 1.0)
    recorder.receive((100 + gap) & 0xFFFF, 1.01)
    (message,) = build(recorder, 1.1)
    assert len(message.deltas) == gap + 1
    assert [at for at, delta in enumerate(message.deltas) if delta is not None] == [0, gap]


@pytest.mark.parametrize("gap", [MAX_HOLES + 2, 20000, 32767])
def test_a_wilder_gap_is_passed_over(gap):
    recorder = ArrivalRecorder()
    recorder.receive(100, 1.0)
    recorder.receive((100 + gap) & 0xFFFF, 1.01)
    messages = build(recorder, 1.1)
    assert [message.deltas.count(None) for message in messages] == [0, 0]
    assert arrivals(messages).keys() == {100, (100 + gap) & 0xFFFF}


def test_wild_numbers_make_no_more_work_than_packets():
    recorder = ArrivalRecorder()
    for at in range(1000):
        recorder.receive(at * 30011 & 0xFFFF, 1 + at * 0.0001)
    messages = build(recorder, 1.1)
    assert sum(message.deltas.count(None) for message in messages) <= MAX_HOLES
    assert sum(len(message.deltas) - message.deltas.count(None) for message in messages) == 1000


def test_a_sender_that_starts_over_is_reported_again():
    recorder = ArrivalRecorder()
    recorder.receive(40000, 1.0)
    build(recorder, 1.1)
    for at in range(10):
        recorder.receive(at, 3 + at * 0.001)
    build(recorder, 3.1)
    recorder.receive(10, 3.2)
    assert arrivals(build(recorder, 3.2))[10] == pytest.approx(3.2, abs=TICK)


def test_what_is_remembered_is_bounded():
    recorder = ArrivalRecorder()
    for number in range(2 * MAX_WAITING):
        recorder.receive(number & 0xFFFF, number * 1e-5)
    assert sum(len(message.deltas) for message in build(recorder, 1.0)) <= MAX_WAITING
    build(recorder, 1.0 + BACK_WINDOW + 1)
    recorder.receive(9000, 5.0)
    build(recorder, 5.0 + 2 * BACK_WINDOW)
    assert recorder._arrivals == {}


def test_the_reference_time_wraps():
    recorder = ArrivalRecorder()
    now = (1 << 24) * 0.064 + 0.064 * 5  # more than twelve days
    recorder.receive(1, now)
    (message,) = build(recorder, now)
    assert message.reference_time == 5


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=400))
def test_chunks_hold_their_symbols(symbols):
    wire = pack_chunks(bytes(symbols))
    runs, end = unpack_chunks(wire, 0, len(symbols))
    assert [symbol for symbol, run in runs for _ in range(run)] == symbols
    assert end == len(wire)


def test_chunks_are_compact():
    assert len(pack_chunks(bytes([1] * 8191))) == 2
    assert len(pack_chunks(bytes([1, 0] * 7))) == 2
    assert len(pack_chunks(bytes([2, 0, 1, 1, 0, 2, 1]))) == 2
    rng = random.Random(7)
    symbols = bytes(rng.choice((0, 1, 1, 1)) for _ in range(1400))
    assert len(pack_chunks(symbols)) <= 200


def test_a_reserved_symbol_is_refused():
    with pytest.raises(ParseError):
        parse_transport_feedback(bytes.fromhex("00000001 00000002 0000 0001 00000000 6001 0000".replace(" ", "")))


def test_feedback_about_nothing_is_refused():
    with pytest.raises(ParseError):
        parse_transport_feedback(bytes.fromhex("00000001 00000002 0000 0000 00000000".replace(" ", "")))


@given(st.integers(0, 65535), st.lists(st.tuples(st.integers(0, 300), st.floats(0, 0.3)), min_size=1, max_size=60))
def test_any_order_of_arrivals_is_told(first, packets):
    recorder = ArrivalRecorder()
    expected: dict[int, float] = {}
    for offset, time in packets:
        number = (first + offset) & 0xFFFF
        recorder.receive(number, 5 + time)
        expected.setdefault(number, 5 + time)
    known = arrivals(build(recorder, 5.3))
    assert {number: time for number, time in known.items() if time is not None} == {
        number: pytest.approx(time, abs=TICK) for number, time in expected.items()
    }
