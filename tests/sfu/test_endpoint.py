"""A publisher, the forwarding plane and its subscribers over lossy networks in virtual time; and the dispatch of packets."""

from __future__ import annotations

import pytest

from tests.support.network import Path
from tests.support.rtp_peers import START_NUMBERS, Publisher, World

LOSSY = Path(delay=0.020, jitter=0.004, loss=0.05, reorder=0.02, duplicate=0.01)


def settle(world: World) -> None:
    world.run(1.5, publish=False)


@pytest.mark.parametrize("first", START_NUMBERS)
def test_at_five_percent_loss_on_both_legs_everything_arrives(first):
    world = World(Publisher(seed=first, first=first), path=LOSSY, back=LOSSY, seed=first + 1, subscribers=2)
    world.run(5.0)
    settle(world)
    assert world.up.lost > 20 and world.up.duplicated > 0 and world.up.reordered > 0
    for *_, consumer, receiver, down, _ in world.legs:
        assert down.lost > 20
        assert receiver.missing == []
        indexes = receiver.indexes()
        # From a keyframe to the end, each packet once, in the publisher's order. Only of the very last no later one tells.
        assert indexes == list(range(indexes[0], indexes[-1] + 1))
        assert indexes[-1] >= world.publisher.count - 3
        assert indexes[0] < 60
        assert consumer.update_stats().retransmitted > 20


def test_without_loss_nothing_is_asked_for_twice():
    world = World(Publisher(seed=3, first=65500), path=Path(delay=0.02), back=Path(delay=0.02), seed=3)
    world.run(3.0)
    settle(world)
    stats = world.node.stats
    assert (stats.nack_out, stats.rtx_in, stats.rtx_out) == (0, 0, 0)
    assert world.publisher.keyframes == 1  # its first packet was one: none is asked for
    receiver = world.legs[0][3]
    assert receiver.missing == [] and receiver.duplicates == 0


def test_reordering_alone_is_not_asked_for():
    path = Path(delay=0.02, reorder=0.1, reorder_delay=0.006)
    world = World(Publisher(seed=4), path=path, back=Path(delay=0.02), seed=4)
    world.run(3.0)
    settle(world)
    assert world.up.reordered > 10
    assert world.node.stats.nack_out == 0
    assert world.legs[0][3].missing == []
