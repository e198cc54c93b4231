"""Command line of the load generator; `--help` lists what can be set."""

from __future__ import annotations

import argparse
import json
import os
import sys

from benchmarks.loadgen.baseline import measure_relay
from benchmarks.loadgen.offer import Refused
from benchmarks.loadgen.run import SPACING, Options, Result, measure

BASELINE_SECONDS = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loadgen", description=__doc__)
    parser.add_argument("--whip", required=True, metavar="URL", help="where to publish")
    parser.add_argument("--whep", required=True, metavar="URL", help="where to play what was published")
    token = os.environ.get("TIDEGATE_TOKEN", "")
    parser.add_argument("--token", default=token, help="sent as Authorization: Bearer; better by TIDEGATE_TOKEN, where no list of processes shows it")
    parser.add_argument("--receivers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of the measured window")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--packets-per-frame", type=int, default=8)
    parser.add_argument("--packet-bytes", type=int, default=1200, help="UDP payload, SRTP's tag included")
    parser.add_argument("--mode", choices=tuple(SPACING), default="burst", help="how a frame's packets are spread")
    parser.add_argument("--sample-every", type=int, default=50, help="unprotect one packet in so many")
    parser.add_argument("--server-pid", type=int, help="whose CPU time and memory to read")
    parser.add_argument("--profile", action="append", help="SRTP profile to offer, repeatable, in order")
    parser.add_argument("--no-baseline", action="store_true", help="do not measure the bare relay")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines for people")
    arguments = vars(parser.parse_args())
    as_json, no_baseline = arguments.pop("json"), arguments.pop("no_baseline")
    profiles = arguments.pop("profile")
    options = Options(**arguments, **({"profiles": tuple(profiles)} if profiles else {}))
    try:
        result = measure(options)
    except (Refused, OSError) as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return 1
    if not no_baseline:
        result.bare_relay = measure_relay(options, seconds=min(BASELINE_SECONDS, options.seconds))
    print(json.dumps(result.to_wire()) if as_json else describe(result))
    return 0


def describe(result: Result) -> str:
    rate = result.forwarded / result.seconds
    latency, relay = result.latency, result.bare_relay
    lines = [
        f"{result.receivers} receivers, {result.mode}, {result.profile}, {result.packet_bytes} bytes a packet",
        f"published {result.published}, forwarded {result.forwarded} ({rate:.0f}/s), lost {result.lost}, altered {result.altered}",
        f"latency ms p50 {latency.p50:.3f} p90 {latency.p90:.3f} p99 {latency.p99:.3f} max {latency.max:.3f} of {latency.samples}",
    ]
    if relay is not None:
        lines.append(f"bare relay p50 {relay.p50:.3f} p99 {relay.p99:.3f}: added p50 {latency.p50 - relay.p50:.3f} p99 {latency.p99 - relay.p99:.3f}")
    if result.cpu_seconds_per_million is not None:
        lines.append(f"server {result.cpu_seconds_per_million:.2f} CPU s a million packets, {result.server_cpu_load:.0%} of a core")
    if result.memory_kb_per_idle_receiver is not None:
        lines.append(f"memory {result.memory_kb_per_idle_receiver:.0f} KB for each idle receiver")
    lines.append(f"load generator: {result.loadgen_cpu_load:.0%} of a core")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
