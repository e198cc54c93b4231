from __future__ import annotations

import itertools

import pytest

from sfu.stream.keyframe import RETRY_FIRST, RETRY_MAX, KeyframeRequester


def test_many_requests_are_one():
    keyframes = KeyframeRequester(0.5)
    keyframes.request(1.0)
    assert keyframes.collect(1.0)
    for at in range(10):
        keyframes.request(1.0 + at * 0.01)
        assert not keyframes.collect(1.0 + at * 0.01)


def test_after_a_keyframe_the_next_request_keeps_its_distance():
    keyframes = KeyframeRequester(0.5)
    keyframes.request(1.0)
    keyframes.collect(1.0)
    keyframes.receive_keyframe()
    assert keyframes.due is None
    keyframes.request(1.1)
    assert keyframes.due == 1.5
    assert not keyframes.collect(1.49) and keyframes.collect(1.5)


def test_without_an_answer_it_is_repeated_ever_more_rarely():
    keyframes = KeyframeRequester(0.1)
    keyframes.request(0.0)
    times = []
    for _ in range(7):
        times.append(keyframes.due)
        assert keyframes.collect(keyframes.due)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert gaps == [RETRY_FIRST, 1.0, 2.0, RETRY_MAX, RETRY_MAX, RETRY_MAX]


def test_a_keyframe_that_was_on_its_way_answers_too():
    keyframes = KeyframeRequester(0.5)
    keyframes.request(1.0)
    keyframes.receive_keyframe()
    assert not keyframes.collect(9.0)


def test_who_asks_anew_does_not_wait_for_what_silence_has_drawn_out():
    keyframes = KeyframeRequester(0.5)
    keyframes.request(0.0)
    while keyframes.due < 10:
        assert keyframes.collect(keyframes.due)
    asked_last = keyframes.due - RETRY_MAX
    keyframes.request(asked_last + 0.1)
    assert keyframes.due == pytest.approx(asked_last + 0.5)  # still spaced
    assert keyframes.collect(keyframes.due)
    assert keyframes.due == pytest.approx(asked_last + 0.5 + RETRY_MAX)
