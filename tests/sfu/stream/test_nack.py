from __future__ import annotations

from sfu.stream.nack import MAX_MISSING, NACK_MAX_INTERVAL, NACK_MIN_INTERVAL, NACK_REORDER_WAIT, NackGenerator


def test_reordered_packets_have_time_to_come():
    nack = NackGenerator(3)
    nack.add(10, 12, 1.0)
    assert nack.due == 1.0 + NACK_REORDER_WAIT
    assert nack.collect(1.0, 0.05) == []
    nack.remove(10)
    assert nack.collect(1.0 + NACK_REORDER_WAIT, 0.05) == [11]


def test_asked_again_after_a_round_trip_and_at_most_so_often():
    nack = NackGenerator(3)
    nack.add(5, 6, 0.0)
    asked = []
    now = 0.0
    while nack.due is not None:
        now = nack.due
        if nack.collect(now, 0.2):
            asked.append(now)
    assert asked == [NACK_REORDER_WAIT, NACK_REORDER_WAIT + 0.25, NACK_REORDER_WAIT + 0.5]
    assert len(nack) == 0


def test_the_interval_has_bounds():
    nack = NackGenerator(9)
    nack.add(5, 6, 0.0)
    nack.collect(1.0, 0.0)
    assert nack.due == 1.0 + NACK_MIN_INTERVAL
    nack.collect(2.0, 60.0)
    assert nack.due == 2.0 + NACK_MAX_INTERVAL


def test_what_came_is_not_asked_for():
    nack = NackGenerator(3)
    nack.add(1, 4, 0.0)
    assert nack.remove(2) and not nack.remove(2) and not nack.remove(77)
    assert nack.collect(1.0, 0.1) == [1, 3]
    nack.remove(1)
    nack.remove(3)
    assert nack.due is None


def test_too_many_holes_are_given_up_together():
    nack = NackGenerator(3)
    assert nack.add(0, MAX_MISSING, 0.0)
    assert not nack.add(MAX_MISSING, MAX_MISSING + 1, 0.0)
    assert len(nack) == 0 and nack.due is None


def test_forgets_what_is_too_old():
    nack = NackGenerator(3)
    nack.add(1, 5, 0.0)
    nack.forget_before(3)
    assert nack.collect(1.0, 0.1) == [3, 4]


def test_asked_in_growing_order():
    nack = NackGenerator(3)
    nack.add(20, 22, 0.0)
    nack.add(10, 12, 0.0)
    assert nack.collect(1.0, 0.1) == [10, 11, 20, 21]
