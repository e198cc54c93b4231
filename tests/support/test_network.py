"""The model that other tests rest on."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.support.network import Network, Path


def drain(network: Network) -> list[tuple[float, bytes]]:
    out = []
    while (due := network.next_due()) is not None:
        out += [(due, data) for data in network.pop_due(due)]
    return out


def push(network: Network, count: int, *, size: int = 100, gap: float = 0.001) -> None:
    for at in range(count):
        network.push(at.to_bytes(4, "big") + bytes(size - 4), at * gap)


def test_a_clean_path_only_delays():
    network = Network(Path(delay=0.05), seed=1)
    push(network, 10)
    assert network.pop_due(0.0499) == []
    assert [at for at, _ in drain(network)] == [pytest.approx(0.05 + at * 0.001) for at in range(10)]


def test_the_same_seed_does_the_same():
    path = Path(delay=0.05, jitter=0.02, loss=0.1, reorder=0.1, duplicate=0.1)
    outs = []
    for seed in (1, 1, 2):
        network = Network(path, seed=seed)
        push(network, 500)
        outs.append(drain(network))
    assert outs[0] == outs[1] != outs[2]


def test_jitter_keeps_the_order_and_reordering_does_not():
    jittery = Network(Path(delay=0.01, jitter=0.05), seed=1)
    push(jittery, 300)
    numbers = [data for _, data in drain(jittery)]
    assert numbers == sorted(numbers)
    shuffled = Network(Path(delay=0.01, reorder=0.1), seed=1)
    push(shuffled, 300)
    numbers = [data for _, data in drain(shuffled)]
    assert numbers != sorted(numbers) and len(set(numbers)) == 300


@pytest.mark.parametrize("burst", [1.0, 5.0])
def test_loss_has_its_mean_and_its_runs(burst):
    network = Network(Path(loss=0.05, burst=burst), seed=3)
    push(network, 20_000, gap=0.0)
    assert network.lost == pytest.approx(1000, rel=0.15)
    arrived = sorted(int.from_bytes(data[:4], "big") for _, data in drain(network))
    runs = sum(b - a > 1 for a, b in pairwise(arrived))
    assert network.lost / runs == pytest.approx(burst, rel=0.15)


def test_the_rate_spaces_and_the_queue_overflows():
    network = Network(Path(rate_bps=800_000, queue_bytes=1000), seed=1)  # 100 bytes a millisecond
    push(network, 30, gap=0.0)
    out = drain(network)
    assert network.overflowed == 20
    assert [at for at, _ in out] == [pytest.approx(0.001 * (at + 1)) for at in range(10)]


def test_duplicates_come_twice():
    network = Network(Path(duplicate=0.5), seed=1)
    push(network, 1000)
    out = drain(network)
    assert len(out) == 1000 + network.duplicated and network.duplicated == pytest.approx(500, rel=0.15)
