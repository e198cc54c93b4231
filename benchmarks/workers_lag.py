"""How late a node's loop gets when media workers keep all cores busy: `python -m benchmarks.workers_lag [--seconds 10]`.

Three rounds in one run: without workers, with one burning worker a core, and with two real 720p compositions that are fed by the
measured process. Each round gives the lag of two loops: of this process (uvloop, feeding the workers, asked every 5 ms), and of a real
`tidegate serve` beside it (its own histogram of /metrics; its tick is 20 ms). Aim: p99 under 10 ms with two compositions on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import struct
import sys
import tempfile
import time
import urllib.request
from contextlib import nullcontext
from fractions import Fraction
from typing import Any

import av
import numpy as np
import uvloop

from benchmarks.loadgen.process import TICKS, cpu_seconds, machine_ticks
from benchmarks.suite import Server, run_server
from media.clock import wall_to_ntp
from media.codecs import Codec, Kind
from sfu.compose import messages
from sfu.rtp.compound import serialize_compound
from sfu.rtp.reports import SenderReport
from tidegate.config.egress import WorkersConfig
from tidegate.workers.handle import Worker
from tidegate.workers.process import WORKER_COMMAND
from tidegate.workers.supervisor import Supervisor

BURNER = (sys.executable, "-P", "-m", "benchmarks.burner")
VP8 = Codec("VP8", Kind.VIDEO, 90000, 96, feedback=("nack pli",))
FPS, CLIP = 30, 60  # frames; the clip begins with its keyframe and is sent again and again
PAYLOAD = 1100
PROBE = 0.005
HEADER = struct.Struct("!BBHII")
AIM = 0.010


def make_clip(width: int, height: int, bitrate: int = 600_000) -> list[list[bytes]]:
    """RTP payloads (RFC 7741) of each frame: moving stripes, which cost a decoder what a camera does."""
    context = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate, context.bit_rate = Fraction(1, FPS), Fraction(FPS), bitrate
    context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "g": str(CLIP)}
    rows, columns = np.mgrid[0:height, 0:width]
    frames = []
    for number in range(CLIP):
        gray = ((rows + columns * 2 + number * 5) % 256).astype(np.uint8)
        picture = av.VideoFrame.from_ndarray(np.stack([gray, np.roll(gray, number, 0), 255 - gray], -1), "rgb24")
        picture.pts = number
        for packet in context.encode(picture.reformat(format="yuv420p")):
            data = bytes(packet)
            parts = [data[at : at + PAYLOAD] for at in range(0, len(data), PAYLOAD)]
            frames.append([(b"\x10" if index == 0 else b"\x00") + part for index, part in enumerate(parts)])
    return frames


class Camera:
    """One source of one composition."""

    def __init__(self, worker: Worker, number: int, clip: list[list[bytes]]) -> None:
        self.ssrc = 1000 + number
        self._worker = worker
        self._clip = clip
        self._frame = number * 7 % CLIP  # keyframes of different cameras do not come at once
        self._sequence = 0
        self._begin = time.time()
        person = f"PA_{number}"
        worker.send(messages.PersonJoined(person, f"Person {number}"))
        worker.send(messages.SourceAdded(f"TR_{number}", person, "webcam", Kind.VIDEO, self.ssrc, (VP8,)))

    def send(self, count: int) -> int:
        """Frame `count` of its life; packets that were sent."""
        rtp_time = count * 90000 // FPS & 0xFFFFFFFF
        link = self._worker.link
        if count % FPS == 0:
            at = self._begin + count / FPS
            report = SenderReport(self.ssrc, wall_to_ntp(at), rtp_time, count, count * PAYLOAD)
            link.send_rtcp(serialize_compound([report]))
        payloads = self._clip[0] if count == 0 else self._clip[self._frame]
        self._frame = (self._frame + 1) % CLIP
        for index, payload in enumerate(payloads):
            marker = 0x80 if index == len(payloads) - 1 else 0
            link.send_rtp(HEADER.pack(0x80, marker | VP8.payload_type, self._sequence & 0xFFFF, rtp_time, self.ssrc) + payload)
            self._sequence += 1
        return len(payloads)


class Feeder:
    """Sends every camera's frames on time, from the loop: the node's packet path in small. Sums up what sending cost."""

    def __init__(self, cameras: list[Camera]) -> None:
        self._cameras = cameras
        self._loop = asyncio.get_running_loop()
        self._begin = self._loop.time()
        self._count = 0
        self.packets, self.seconds = 0, 0.0
        self._timer = self._loop.call_soon(self._send)

    def _send(self) -> None:
        began = time.perf_counter()
        while self._begin + self._count / FPS <= self._loop.time():
            self.packets += sum(camera.send(self._count) for camera in self._cameras)
            self._count += 1
        self.seconds += time.perf_counter() - began
        self._timer = self._loop.call_at(self._begin + self._count / FPS, self._send)

    def close(self) -> None:
        self._timer.cancel()


async def probe(seconds: float) -> list[float]:
    """Sorted seconds by which the loop came late."""
    loop = asyncio.get_running_loop()
    end, lags = loop.time() + seconds, []
    while loop.time() < end:
        due = loop.time() + PROBE
        await asyncio.sleep(PROBE)
        lags.append(max(0.0, time.monotonic() - due))
    return sorted(lags)


def scrape(node: Server) -> dict[float, int]:
    """The real node's histogram of loop lag: counts by upper bound."""
    url = node.whip.partition("/v2/")[0]
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    name = 'tidegate_loop_lag_seconds_bucket{le="'
    rows = [line.removeprefix(name).split('"} ') for line in lines if line.startswith(name)]
    return {float(bound): int(float(count)) for bound, count in rows}


def bound_of(before: dict[float, int], after: dict[float, int], quantile: float) -> float:
    """The smallest bound of the histogram that holds so much of what came between."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in sorted(after)}
    total = counts[max(counts)]
    return next(bound for bound, count in counts.items() if count >= quantile * total)


class Usage:
    """CPU of the machine and of our processes, since it was made."""

    def __init__(self, workers: list[Worker], node: Server | None) -> None:
        self._pids = [worker.pid for worker in workers]
        self._all = [os.getpid(), *self._pids] + ([node.pid] if node else [])
        self._began, self._machine, self._cpu = time.monotonic(), machine_ticks(), self._read()

    def _read(self) -> dict[int, float]:
        return {pid: cpu_seconds(pid) for pid in self._all}

    def of_workers(self) -> list[float]:
        """Cores of each."""
        now, passed = self._read(), time.monotonic() - self._began
        return [round((now[pid] - self._cpu[pid]) / passed, 2) for pid in self._pids]

    def of_others(self) -> float:
        """Cores that nobody of ours had: what disturbs the measurement."""
        every, idle, _ = machine_ticks()
        busy = (every - self._machine[0] - (idle - self._machine[1])) / TICKS
        ours = sum(self._read().values()) - sum(self._cpu.values())
        return (busy - ours) / (time.monotonic() - self._began)


async def measure(name: str, seconds: float, node: Server | None, feeder: Feeder | None, workers: list[Worker]) -> bool:
    """One line of the table. True when the aim is met."""
    usage = Usage(workers, node)
    before = await asyncio.to_thread(scrape, node) if node else {}
    lags = await probe(seconds)
    after = await asyncio.to_thread(scrape, node) if node else {}
    others, taken = usage.of_others(), usage.of_workers()
    p50, p99, most = lags[len(lags) // 2], lags[int(len(lags) * 0.99)], lags[-1]
    line = f"{name:28} this loop p50 {p50 * 1e3:5.2f}  p99 {p99 * 1e3:5.2f}  max {most * 1e3:6.2f} ms"
    if node:
        line += f"   node p50 <= {bound_of(before, after, 0.5) * 1e3:g}, p99 <= {bound_of(before, after, 0.99) * 1e3:g} ms"
    if workers:
        line += f"   cores of workers {taken}"
    if feeder is not None and feeder.packets:
        line += f"   {feeder.packets} packets at {feeder.seconds / feeder.packets * 1e6:.1f} us"
    print(f"{line}   cores of others {others:.2f}", flush=True)
    return p99 < AIM and (not node or bound_of(before, after, 0.99) <= AIM)


async def start(supervisor: Supervisor, number: int, directory: str, reports: list[Any]) -> Worker:
    spec = messages.CompositionSpec(f"RC_{number}", directory, 1280, 720, FPS, file_format="mp4")
    began = asyncio.Event()

    def on_report(report: Any) -> None:
        reports.append(report)
        began.set()

    worker = await supervisor.start(spec, kind="composition", cost=0.5, on_report=on_report, on_exit=reports.append)
    await began.wait()
    return worker


async def run_round(name: str, arguments: argparse.Namespace, node: Server | None) -> bool:
    command = BURNER if name == "burn" else WORKER_COMMAND
    count = {"idle": 0, "burn": len(os.sched_getaffinity(0)), "compose": arguments.compositions}[name]
    reports: list[Any] = []
    with tempfile.TemporaryDirectory() as directory:
        async with Supervisor(WorkersConfig(spare=0), cores=64, command=command) as supervisor:
            workers = []
            for number in range(count):
                place = os.path.join(directory, str(number))
                os.mkdir(place)  # before anything is measured
                workers.append(await start(supervisor, number, place, reports))
            feeder = None
            if name == "compose":
                clip = make_clip(640, 360)
                feeder = Feeder([Camera(worker, number, clip) for worker in workers for number in range(arguments.sources)])
            await asyncio.sleep(3)  # past first keyframes and transitions; heartbeats have come
            title = f"compose 2x720p, {arguments.sources} people each" if name == "compose" else name
            met = await measure(title, arguments.seconds, node, feeder, workers)
            if feeder is not None:
                feeder.close()
            await supervisor.close()
    progress = [report for report in reports if isinstance(report, messages.Progress)]
    if progress:
        drops = sum(report.dropped for report in progress[-count:])
        print(f"{'':28} frames {progress[-1].frames}, dropped {drops}, lag {progress[-1].lag:.2f} s, shares {progress[-1].shares}")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--compositions", type=int, default=2)
    parser.add_argument("--sources", type=int, default=4, help="cameras of each composition, VP8 640x360 at 30 fps")
    parser.add_argument("--rounds", nargs="+", default=["idle", "burn", "compose"], choices=["idle", "burn", "compose"])
    parser.add_argument("--no-node", action="store_true", help="leave `tidegate serve` out")
    arguments = parser.parse_args()
    with nullcontext() if arguments.no_node else run_server() as node:
        met = [uvloop.run(run_round(name, arguments, node)) for name in arguments.rounds]
    print(f"aim: p99 under {AIM * 1e3:g} ms: {'met' if all(met) else 'missed'}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
