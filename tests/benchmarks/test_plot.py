"""Table and picture come from results alone."""

from __future__ import annotations

from benchmarks.plot import draw, table

RUN = {
    "mode": "burst", "receivers": 50, "forwarded": 60000, "seconds": 5.0, "cpu_seconds_per_million": 9.93,
    "server_cpu_load": 0.114, "median_added_p50_ms": 1.5, "median_added_p99_ms": 4.25, "memory_kb_per_idle_receiver": 95.4,
    "all_used_by_others": [-0.01, 0.034],
}  # fmt: skip
RESULTS = {
    "runs": [RUN, {**RUN, "receivers": 1, "memory_kb_per_idle_receiver": None}, {**RUN, "mode": "steady"}],
    "half_load": [{**RUN, "fps": 190.2, "all_used_by_others": [-0.01]}],
    "machine": {"processor": "P", "cores": 2, "kernel": "6.1", "python": "3.11"},
}


def test_the_table_has_a_row_for_each_run():
    rows = table(RESULTS).splitlines()[2:]
    assert rows[0] == "| frames of 8 packets | 50 | 12000 | 9.9 | 11% | 1.50 / 4.25 | 95 | 3% |"
    assert rows[1].endswith("|  | 3% |")
    assert rows[2].startswith("| packets one by one |")
    assert rows[3].startswith("| half load: frames of 8 packets, 190 frames/s |") and rows[3].endswith("| 0% |")
    assert rows[-1] == "P, 2 cores, Linux 6.1, Python 3.11."


def test_the_picture_is_the_same_for_the_same_results(tmp_path):
    for name in ("a.svg", "b.svg"):
        draw(RESULTS, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
