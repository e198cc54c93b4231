"""When deliveries are tried again and endpoints are paused, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.events import policy
from tidegate.events.policy import BACKOFF, PAUSE_AFTER, Endpoints, Outcome, Verdict, judge

DAY = 86_400.0
OK, BAD = Outcome(204), Outcome(500, "answered 500")


def verdict(outcome, attempts=1, give_up_at=3 * DAY, now=0.0, random=0.0):
    return judge(outcome, attempts=attempts, give_up_at=give_up_at, now=now, random=lambda: random)


def test_pauses_between_attempts_grow_to_an_hour():
    assert [verdict(BAD, attempts)[1] for attempts in range(1, 9)] == [*BACKOFF, 3600.0, 3600.0]
    assert verdict(BAD, random=1.0) == (Verdict.RETRY, 6.0)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(200), Verdict.DELIVERED), (Outcome(299), Verdict.DELIVERED), (Outcome(302, "redirects"), Verdict.RETRY),
        (Outcome(404, "answered 404"), Verdict.RETRY), (Outcome(410, "answered 410"), Verdict.DEAD), (Outcome(error="no answer"), Verdict.RETRY),
        (Outcome(200, "redirects more than 3 times"), Verdict.RETRY),
    ],
)  # fmt: skip
def test_verdicts(outcome, expected):
    assert verdict(outcome)[0] is expected


def test_what_the_receiver_asks_for():
    assert verdict(Outcome(429, "x", retry_after=900.0))[1] == 900.0
    assert verdict(Outcome(503, "x", retry_after=1.0))[1] == 5.0, "never sooner than by our own rule"
    assert verdict(Outcome(500, "x", retry_after=900.0))[1] == 5.0, "for 429 and 503 only"
    assert verdict(Outcome(429, "x", retry_after=1e12))[1] == DAY


def test_the_last_attempt_is_made_when_the_time_is_up():
    assert verdict(BAD, attempts=9, now=3 * DAY - 60) == (Verdict.RETRY, 3 * DAY)
    assert verdict(BAD, attempts=10, now=3 * DAY)[0] is Verdict.DEAD
    assert verdict(OK, attempts=10, now=3 * DAY)[0] is Verdict.DELIVERED


def fail(endpoints, key, delivery, now, outcome=BAD):
    return endpoints.finished(key, delivery, outcome, now, probe=endpoints.started(key))


def test_one_delivery_that_fails_again_and_again_pauses_nobody():
    endpoints = Endpoints(16)
    for attempt in range(50):
        fail(endpoints, "e", "poison", float(attempt))
    assert endpoints.paused == 0 and endpoints.blocked(50.0) == set()


def test_a_success_in_between_counts_anew():
    endpoints = Endpoints(16)
    for number in range(20):
        if number % (PAUSE_AFTER - 1) == 0:
            fail(endpoints, "e", "good", 0.0, OK)
        fail(endpoints, "e", f"d{number}", 0.0)
    assert endpoints.paused == 0


def test_different_ones_in_a_row_pause_the_endpoint_with_growing_pauses():
    endpoints = Endpoints(16)
    for number in range(PAUSE_AFTER):
        assert endpoints.blocked(0.0) == set()
        fail(endpoints, "e", f"d{number}", 0.0)
    assert endpoints.blocked(0.0) == {"e"} and endpoints.next_change(0.0) == 5.0
    now, pauses = 5.0, []
    for number in range(6):
        assert endpoints.blocked(now) == set() and endpoints.room("e") == 1, "one probe"
        probe = endpoints.started("e")
        assert probe and endpoints.blocked(now) == {"e"}
        assert not endpoints.finished("e", f"p{number}", BAD, now, probe=probe)
        pauses.append(endpoints.next_change(now) - now)
        now = endpoints.next_change(now)
    assert pauses == [30.0, 120.0, 600.0, 600.0, 600.0, 600.0]
    assert endpoints.finished("e", "p", OK, now, probe=endpoints.started("e")), "it is back"
    assert endpoints.paused == 0 and endpoints.room("e") == policy.PER_ENDPOINT


def test_attempts_that_were_under_way_when_it_was_paused_are_no_probes():
    endpoints = Endpoints(16)
    running = [endpoints.started("e") for _ in range(3)]
    for number in range(PAUSE_AFTER):
        fail(endpoints, "e", f"d{number}", 0.0)
    assert endpoints.next_change(0.0) == 5.0
    for number, probe in enumerate(running):
        endpoints.finished("e", f"r{number}", BAD, 1.0, probe=probe)
    assert endpoints.next_change(1.0) == 5.0


def test_probes_leave_room_for_endpoints_that_answer():
    endpoints = Endpoints(4)
    for key in "abcdef":
        for number in range(PAUSE_AFTER):
            fail(endpoints, key, f"d{number}", 0.0)
    for key in "ab":
        assert endpoints.room(key) == 1 and endpoints.started(key)
    assert endpoints.blocked(5.0) == set("abcdef") and endpoints.room("good") > 0
    endpoints.finished("a", "p", BAD, 5.0, probe=True)
    assert endpoints.blocked(5.0) == {"a", "b"}


def test_endpoints_that_failed_leave_room_before_they_are_paused():
    """Each hangs for the whole timeout: four that do so would take all slots with what waits for them."""
    endpoints = Endpoints(8)
    for key in "abcd":
        fail(endpoints, key, "d", 0.0)
    assert endpoints.paused == 0
    room = endpoints.share()
    assert [room(key) for key in "abcd"] == [4, 0, 0, 0] and room("good") == 4 and room("a") == 4
    running = [(key, endpoints.started(key)) for key in "aabc"]
    assert endpoints.blocked(0.0) == set("abcd") and endpoints.room("good") == 4
    for key, probe in running:
        endpoints.finished(key, "d", OK, 0.0, probe=probe)
    assert endpoints.room("d") == 4


def test_probes_that_are_chosen_together_leave_room_too():
    endpoints = Endpoints(4)
    for key in "abcdef":
        for number in range(PAUSE_AFTER):
            fail(endpoints, key, f"d{number}", 0.0)
    room = endpoints.share()
    assert [room(key) for key in "abcdef"] == [1, 1, 0, 0, 0, 0]


def test_a_pause_that_was_asked_for_holds_for_the_endpoint():
    endpoints = Endpoints(16)
    fail(endpoints, "e", "d", 0.0, Outcome(429, "x", retry_after=60.0))
    assert endpoints.blocked(59.0) == {"e"} and endpoints.blocked(60.0) == set() and endpoints.paused == 0


def test_what_is_known_of_endpoints_is_bounded(monkeypatch):
    monkeypatch.setattr(policy, "MAX_TRACKED", 10)
    endpoints = Endpoints(16)
    for number in range(100):
        fail(endpoints, f"e{number}", "d", 0.0)
    assert len(endpoints._known) == 10
    for number in range(90, 100):
        fail(endpoints, f"e{number}", "d", 0.0, OK)
    assert endpoints._known == {}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 30)), max_size=80))
def test_slots_are_given_back_whatever_happens(steps):
    """Any interleaving of starts and ends: no more at a time than there are slots, and in the end none is taken."""
    endpoints, running, now = Endpoints(6), [], 0.0
    for key, ok, wait in steps:
        now += wait
        if key not in endpoints.blocked(now):
            running.append((key, endpoints.started(key)))
        if len(running) > 3 or wait > 20:
            if running:
                name, probe = running.pop(0)
                endpoints.finished(name, f"d{now}", OK if ok else BAD, now, probe=probe)
        for name in "ab":
            assert 0 <= sum(one == name for one, _ in running) <= 3
    for name, probe in running:
        endpoints.finished(name, "d", OK, now, probe=probe)
    assert endpoints._doubtful == 0 and all(one.under_way == 0 for one in endpoints._known.values())
