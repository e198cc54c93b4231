"""What pipelines cost, and who is let in."""

import json

import pytest

from tidegate.http.problem import Problem
from tidegate.workers.budget import (
    Budget,
    WorkersBusy,
    composition_cost,
    default_cores,
    finalize_cost,
    merge_cost,
    track_file_cost,
)


def test_costs_are_near_what_was_measured():
    assert composition_cost(1280, 720, 30, 9) == pytest.approx(0.73, abs=0.15)  # ffmpeg's own: 0.73 core
    assert composition_cost(1280, 720, 30, 4) == pytest.approx(0.44, abs=0.1)
    assert composition_cost(1280, 720, 30, 9, "audio") < 0.1
    assert track_file_cost(2) < 0.1 and finalize_cost() < 0.2 < merge_cost("stereo") < merge_cost("grid")


def test_costs_grow_with_everything_that_costs():
    base = composition_cost(1280, 720, 25, 4)
    for more in (
        composition_cost(1920, 1080, 25, 4), composition_cost(1280, 720, 30, 4),
        composition_cost(1280, 720, 25, 5), composition_cost(1280, 720, 25, 4, webm=True),
    ):  # fmt: skip
        assert more > base
    seen, unseen = composition_cost(1280, 720, 30, 25), composition_cost(1280, 720, 30, 100)
    assert unseen - seen < 0.5  # whoever is not drawn is only heard


def test_a_pipeline_alone_is_let_in_whatever_it_costs():
    budget = Budget(8, 0.5)
    budget.admit([], 3.0)
    with pytest.raises(WorkersBusy):
        budget.admit([0.01], 0.5)
    budget.admit([0.25], 0.25)


def test_no_pipelines_means_none():
    with pytest.raises(WorkersBusy, match="switched off"):
        Budget(0, 8.0).admit([], 0.1)


def test_a_small_machine_has_a_budget_too():
    assert [default_cores(cores) for cores in (0.5, 1.0, 2.0, 16.0)] == [0.5, 0.5, 1.5, 15.5]


def test_the_refusal_is_429_with_a_time_to_come_again():
    problem = Problem.from_peer_error(WorkersBusy("the server is too busy", retry_after=7))
    response = problem.render("r1")
    assert response.status == 429 and response.headers["Retry-After"] == "7"
    body = json.loads(response.body)
    assert (body["code"], body["name"], body["message"]) == (4098, "SERVER_BUSY", "the server is too busy")
