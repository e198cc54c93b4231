"""How often, and how soon, a pipeline is begun again."""

from hypothesis import given
from hypothesis import strategies as st

from tidegate.workers.restart import MAX_DELAY, RestartPolicy


def test_the_first_is_at_once_then_pauses_grow_then_it_is_given_up():
    policy = RestartPolicy(5)
    assert [policy.next_delay(float(now)) for now in range(7)] == [0.0, 1.0, 2.0, 4.0, 8.0, None, None]


def test_what_is_long_ago_does_not_count():
    policy = RestartPolicy(2, window=600)
    assert [policy.next_delay(now) for now in (0.0, 100.0, 599.0, 600.0, 699.0, 700.0)] == [0.0, 1.0, None, 1.0, None, 1.0]


def test_pauses_have_an_end():
    policy = RestartPolicy(100)
    assert max(policy.next_delay(0.0) or 0.0 for _ in range(100)) == MAX_DELAY


def test_none_allowed_is_none_made():
    assert RestartPolicy(0).next_delay(0.0) is None


@given(st.integers(0, 5), st.lists(st.floats(0, 300), max_size=40))
def test_never_more_than_allowed_in_any_window(allowed, gaps):
    policy, now, made = RestartPolicy(allowed, window=600), 0.0, []
    for gap in gaps:
        now += gap
        if policy.next_delay(now) is not None:
            made.append(now)
    assert all(sum(0 <= at - first < 600 for at in made) <= allowed for first in made)
