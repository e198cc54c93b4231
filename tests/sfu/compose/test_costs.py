"""Shares of a core by stage, with clocks that tests move."""

from __future__ import annotations

import pytest

from sfu.compose.costs import STAGES, Costs
from tests.support.clock import Clock


def test_shares_are_of_what_was_spent_since_the_last_time() -> None:
    clock, threads = Clock(10.0), Clock(3.0)
    costs = Costs(clock, threads)
    with costs.of("decode"):
        clock.time += 0.5
    with pytest.raises(ValueError, match="broken"), costs.of("mux"):
        clock.time += 0.25
        raise ValueError("broken")
    threads.time += 0.1
    shares = costs.take_shares(2.0)
    assert shares == dict.fromkeys(STAGES, 0.0) | {"decode": 0.25, "mux": 0.125, "encode": 0.05}
    assert not any(costs.take_shares(1.0).values())


def test_a_part_may_be_moved_to_another_stage() -> None:
    costs = Costs(Clock(), Clock())
    costs.add("blend", 0.4)
    costs.add("blend", -0.1)
    costs.add("scale", 0.1)
    assert costs.total["blend"] == pytest.approx(0.3) and costs.total["scale"] == pytest.approx(0.1)
