"""Table, machine and picture of README.md from results.json: `python -m benchmarks.plot`."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
BEGIN, END = "<!-- python -m benchmarks.plot writes from here -->", "<!-- to here -->"
WORDS = {"burst": "frames of 8 packets", "steady": "packets one by one"}
AIM = 10.0  # CPU seconds a million packets, at 50 receivers
HEAD = (
    "| load | receivers | packets/s out | CPU s / million packets | of a core | added latency p50 / p99 ms | KB / idle receiver | others |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def table(results: dict) -> str:
    lines = [*HEAD]
    for run in results["runs"]:
        lines.append(_row(WORDS[run["mode"]], run))
    for run in results["half_load"]:
        lines.append(_row(f"half load: {WORDS[run['mode']]}, {run['fps']:.0f} frames/s", run))
    machine = results["machine"]
    lines += ["", f"{machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}, Python {machine['python']}."]
    return "\n".join(lines)


def _row(words: str, run: dict) -> str:
    memory = run["memory_kb_per_idle_receiver"]
    return (
        f"| {words} | {run['receivers']} | {run['forwarded'] / run['seconds']:.0f} | {run['cpu_seconds_per_million']:.1f} "
        f"| {run['server_cpu_load']:.0%} | {run['median_added_p50_ms']:.2f} / {run['median_added_p99_ms']:.2f} "
        f"| {'' if memory is None else round(memory)} | {max(0.0, *run['all_used_by_others']):.0%} |"
    )


def draw(results: dict, path: Path) -> None:
    """Cost and latency over the number of receivers."""
    plt.rcParams["svg.hashsalt"] = "tidegate"
    figure, (cost, latency) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for mode, words in WORDS.items():
        runs = [run for run in results["runs"] if run["mode"] == mode]
        receivers = [run["receivers"] for run in runs]
        cost.plot(receivers, [run["cpu_seconds_per_million"] for run in runs], marker="o", label=words)
        line = latency.plot(receivers, [run["median_added_p99_ms"] for run in runs], marker="o", label=f"p99, {words}")
        medians = [run["median_added_p50_ms"] for run in runs]
        latency.plot(receivers, medians, marker=".", ls=":", color=line[0].get_color(), label=f"p50, {words}")
    cost.axhline(AIM, color="grey", linewidth=0.8, linestyle="--")
    cost.set(title="Server CPU for each million packets", ylabel="seconds", yscale="log")
    latency.set(title="Added latency", ylabel="milliseconds", yscale="log")
    for axes in (cost, latency):
        axes.set(xlabel="receivers", xscale="log", xticks=receivers, xticklabels=[str(n) for n in receivers])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    results = json.loads((HERE / "results.json").read_text())
    draw(results, HERE / "forwarding.svg")
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{after}")


if __name__ == "__main__":
    main()
