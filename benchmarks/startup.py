"""How long `tidegate serve` takes to be ready, and an empty server to end: `python -m benchmarks.startup [runs]`.

Ready is the first answered request to /readyz, counted from the start of the process. The first start makes data directory, key
and store; the others find them. Aims: ready in under 2 s (median), ended in under 1 s.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
AIM_READY, AIM_END = 2.0, 1.0
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_once(data_dir: Path) -> tuple[float, float]:
    """Seconds until ready, and from SIGTERM to the end."""
    port = free_port()
    options = ["--data-dir", str(data_dir), "--http-port", str(port), "--rtc-port", "0", "--rtmp-port", "0"]
    command = [sys.executable, "-m", "tidegate", "serve", *options]
    env = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise SystemExit(f"the server did not start (exit code {process.poll()})")
            time.sleep(0.01)
        ready = time.perf_counter() - began
        ended = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        if process.wait(PATIENCE) != 0:
            raise SystemExit(f"the server ended with code {process.returncode}")
        return ready, time.perf_counter() - ended
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as directory:
        times = [run_once(Path(directory) / "data") for _ in range(runs + 1)]
    print(f"first start (makes store and key): ready after {times[0][0]:.2f} s, ended after {times[0][1]:.2f} s")
    ready, end = ([run[part] for run in times[1:]] for part in (0, 1))
    for name, values, aim in (("ready", ready, AIM_READY), ("ended", end, AIM_END)):
        shown = " ".join(f"{value:.2f}" for value in values)
        verdict = "within" if statistics.median(values) < aim else "ABOVE"
        print(f"{name}: median {statistics.median(values):.2f} s of {shown}: {verdict} the aim of {aim:g} s")


if __name__ == "__main__":
    main()
