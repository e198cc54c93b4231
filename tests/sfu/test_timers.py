"""Deadlines: nobody is woken late or twice, and what is disarmed is let go."""

from __future__ import annotations

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from sfu.timers import STALE_KEPT, Timers

TIMES = st.integers(0, 50).map(float)
ACTIONS = st.one_of(
    st.tuples(st.just("arm"), st.sampled_from("abcde"), st.none() | TIMES),
    st.tuples(st.just("disarm"), st.sampled_from("abcde"), st.none()),
    st.tuples(st.just("tick"), st.none(), TIMES),
)


class Owner:
    pass


def due(timers: Timers, now: float) -> list:
    found = []
    while (owner := timers.pop_due(now)) is not None:
        found.append(owner)
    return found


def test_owners_are_woken_in_the_order_of_time_and_once():
    timers: Timers[str] = Timers()
    for owner, when in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        timers.arm(owner, when)
    assert timers.get_timer() == 1.0
    assert due(timers, 0.9) == []
    assert due(timers, 2.0) == ["a", "b"]
    assert due(timers, 2.0) == []
    assert timers.get_timer() == 3.0


def test_the_soonest_deadline_counts():
    timers: Timers[str] = Timers()
    timers.arm("a", 5.0)
    timers.arm("a", 9.0)
    timers.arm("a", None)
    assert timers.get_timer() == 5.0
    timers.arm("a", 2.0)
    assert due(timers, 2.0) == ["a"]
    assert due(timers, 9.0) == [] and timers.get_timer() is None


def test_the_disarmed_are_not_woken():
    timers: Timers[str] = Timers()
    timers.arm("a", 1.0)
    timers.arm("b", 2.0)
    timers.disarm("a")
    timers.disarm("nobody")
    assert timers.get_timer() == 2.0 and due(timers, 1.0) == [] and len(timers) == 1


def test_the_disarmed_are_not_held():
    timers: Timers[Owner] = Timers()
    owner = Owner()
    timers.arm(owner, 9.0)
    timers.arm(owner, 5.0)
    timers.disarm(owner)
    kept = weakref.ref(owner)
    del owner
    gc.collect()
    assert kept() is None


def test_arming_again_and_again_does_not_pile_up():
    """A far deadline that a near one precedes at each tick would otherwise leave an entry each time."""
    timers: Timers[str] = Timers()
    timers.arm("far", 1e9)
    for tick in range(10_000):
        timers.arm("a", 1e6)
        timers.arm("a", float(tick))
        assert due(timers, float(tick)) == ["a"]
    assert len(timers._heap) <= 2 + 2 * STALE_KEPT
    assert timers.get_timer() == 1e9


@given(st.lists(ACTIONS, max_size=200))
def test_it_agrees_with_a_plain_dict(actions):
    timers: Timers[str] = Timers()
    model: dict[str, float] = {}
    for name, owner, when in actions:
        if name == "arm":
            timers.arm(owner, when)
            if when is not None:
                model[owner] = min(when, model.get(owner, when))
        elif name == "disarm":
            timers.disarm(owner)
            model.pop(owner, None)
        else:
            expected = sorted(o for o, t in model.items() if t <= when)
            assert sorted(due(timers, when)) == expected
            for o in expected:
                del model[o]
        assert timers.get_timer() == min(model.values(), default=None)
        assert len(timers) == len(model)
