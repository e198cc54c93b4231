"""All the numbers of README.md: `tidegate serve` under the load generator at several sizes, each size several times, medians.

    python -m benchmarks.suite --output benchmarks/results.json      # about ten minutes; then python -m benchmarks.plot

Starts and ends its own servers on free ports of loopback. Nothing else should run on the machine; how busy it was is in the results. Rows
that the output has already are replaced by less disturbed ones: on a shared machine run it again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.loadgen.process import machine_ticks

ROOT = Path(__file__).parent.parent
SIZES = (1, 10, 50, 100)
MODES = ("burst", "steady")
HALF_LOAD_RECEIVERS = 50
HALF_LOAD_FIRST_FPS = 120.0  # near enough for a first measure of the cost
DISTURBED = 0.2  # of all cores for others, in a run: above it the run is made again, if tries are left
QUIET_WAIT = 5.0  # seconds, before a run, for others to end what they do
START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
URL = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs. `whip` and `whep` name a room of its own."""

    pid: int
    whip: str
    whep: str
    token: str


@contextmanager
def run_server() -> Iterator[Server]:
    """`tidegate serve` with a fresh data directory."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tidegate", "serve", "--data-dir", directory, "--log-level", "warning"]
        ports = [f"--{name}-port=0" for name in ("http", "rtc", "rtmp")]
        process = subprocess.Popen([*command, *ports], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = next((found[0] for line in process.stdout if (found := URL.search(line))), None)
            if url is None:
                raise RuntimeError("the server did not start")
            make_token = [sys.executable, "-m", "tidegate", "token", "--data-dir", directory]
            token = subprocess.run(make_token, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
            room = _create_room(url, token)
            whip = f"{url}/v2/whip?roomId={room}&participantId=publisher"
            yield Server(process.pid, whip, f"{url}/v2/whep?roomId={room}&remotePeerId=publisher", token)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def _create_room(url: str, token: str) -> str:
    headers = {"Authorization": token, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v2/rooms", b"{}", headers, method="POST")
    with urllib.request.urlopen(request, timeout=START_TIMEOUT) as response:
        return json.load(response)["roomId"]


def run_load(server: Server, **options: object) -> dict:
    """The load generator's JSON."""
    command = [sys.executable, "-m", "benchmarks.loadgen", "--json", "--server-pid", str(server.pid)]
    command += ["--whip", server.whip, "--whep", server.whep]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    environment = {**os.environ, "TIDEGATE_TOKEN": server.token}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def wait_until_quiet() -> None:
    """Until others use little for a second, or it takes too long."""
    deadline = time.monotonic() + QUIET_WAIT
    while time.monotonic() < deadline:
        every, idle, _ = machine_ticks()
        time.sleep(1.0)
        every_after, idle_after, _ = machine_ticks()
        if 1 - (idle_after - idle) / (every_after - every) < DISTURBED:
            return


def others(run: dict) -> float:
    """Part of all cores that neither server nor load generator used."""
    ours = (run["server_cpu_load"] + run["loadgen_cpu_load"]) / (os.cpu_count() or 1)
    return round(1 - run["machine_idle"] - ours, 3)


def measure(repeat: int, **options: object) -> dict:
    """The run of median cost among the `repeat` least disturbed ones, each with a server of its own; what the others had is beside it."""
    runs: list[dict] = []
    for _ in range(2 * repeat):
        wait_until_quiet()
        with run_server() as server:
            runs.append(run_load(server, **options))
        if sum(others(run) < DISTURBED for run in runs) == repeat:
            break
    runs = sorted(runs, key=others)[:repeat]
    runs.sort(key=lambda run: run["cpu_seconds_per_million"])
    chosen = dict(runs[(len(runs) - 1) // 2])
    chosen["all_cpu_seconds_per_million"] = [run["cpu_seconds_per_million"] for run in runs]
    chosen["all_added_p99_ms"] = sorted(added(run, "p99") for run in runs)
    chosen["all_used_by_others"] = [others(run) for run in runs]
    chosen["median_added_p50_ms"] = round(statistics.median(added(run, "p50") for run in runs), 3)
    chosen["median_added_p99_ms"] = round(statistics.median(added(run, "p99") for run in runs), 3)
    print(
        f"{options}: {chosen['cpu_seconds_per_million']} CPU s a million, load {chosen['server_cpu_load']:.0%}, "
        f"added p99 {chosen['median_added_p99_ms']} ms, used by others {chosen['all_used_by_others']}",
        flush=True,
    )
    return chosen


def added(run: dict, name: str) -> float:
    """Milliseconds beyond what the bare relay needs."""
    return round(run["latency"][name] - run["bare_relay"][name], 3)


def measure_half_load(repeat: int, seconds: float, mode: str) -> dict:
    """As many frames a second as keep the server busy for half of a core: like several streams, one after the other."""
    common: dict = {"receivers": HALF_LOAD_RECEIVERS, "seconds": seconds, "mode": mode}
    first = measure(1, fps=HALF_LOAD_FIRST_FPS, **common)
    fps = round(HALF_LOAD_FIRST_FPS * 0.5 / first["server_cpu_load"], 1)
    return {"fps": fps, **measure(repeat, fps=fps, **common)}


@dataclass(frozen=True, slots=True)
class Machine:
    processor: str
    cores: int
    kernel: str
    python: str

    @classmethod
    def this(cls) -> Machine:
        text = Path("/proc/cpuinfo").read_text()
        found = re.search(r"model name\s*: (.*)", text)
        return cls(found[1] if found else platform.machine(), os.cpu_count() or 0, platform.release(), platform.python_version())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results.json"))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--receivers", type=int, nargs="*", default=SIZES)
    parser.add_argument("--modes", nargs="*", choices=MODES, default=MODES)
    parser.add_argument("--half-load", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    repeat, seconds, output = arguments.repeat, arguments.seconds, arguments.output
    results = json.loads(output.read_text()) if output.exists() else {"runs": [], "half_load": []}
    results["machine"] = asdict(Machine.this())
    for mode in arguments.modes:
        for receivers in arguments.receivers:
            keep(results, "runs", measure(repeat, receivers=receivers, seconds=seconds, mode=mode), output)
        if arguments.half_load:
            keep(results, "half_load", measure_half_load(repeat, seconds, mode), output)


def keep(results: dict, name: str, run: dict, output: Path) -> None:
    """Write the row, unless a less disturbed one of the same kind is there."""

    def kind(row: dict) -> tuple:
        return MODES.index(row["mode"]), row["receivers"]

    rows = results[name]
    present = next((row for row in rows if kind(row) == kind(run)), None)
    if present is not None and max(present["all_used_by_others"]) <= max(run["all_used_by_others"]):
        return
    results[name] = sorted([*(row for row in rows if row is not present), run], key=kind)
    output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
