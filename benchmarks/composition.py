"""What composing a meeting costs beside ffmpeg's own xstack, for the same inputs, in one run.

    python -m benchmarks.composition [--people 9] [--seconds 10] [--rounds 3] [--profile]

People send VP8 640x360 at 30 frames a second and Opus; out comes 1280x720 at 30, x264 superfast, AAC, in MP4. ffmpeg reads the
same packets from WebM files, scales, stacks, mixes and encodes with the same settings, one thread each. Compared is CPU time
(user and system); one more run in real time counts dropped pictures. Aim: 1.25 times ffmpeg's, or less.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import math
import os
import pstats
import shutil
import statistics
import subprocess
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av

from sfu.compose import messages
from sfu.compose.audio import RATE
from sfu.compose.costs import STAGES
from sfu.compose.encoder import BUFFER_SECONDS, default_bps
from sfu.compose.pipeline import Composition
from tests.support.rtp_media import VP8, Packet, Sender, Unit, in_order, record_audio, record_video, tone

SIZE_IN, SIZE_OUT, FPS = (640, 360), (1280, 720), 30
TAKES = 3  # different films; people share them
TURN = 0.01  # seconds between a worker's looks at its packets
BPS_IN = 600_000
AIM = 1.25
WALL = 1_700_000_000.0
PAGE = os.sysconf("SC_PAGE_SIZE")


def film(seconds: float, begin: float) -> list[av.VideoFrame]:
    """A test picture that moves, with the noise of a camera."""
    width, height = SIZE_IN
    graph = av.filter.Graph()
    source = graph.add("testsrc2", f"size={width}x{height}:rate={FPS}:duration={begin + seconds}")
    chain = [source, graph.add("noise", "alls=4:allf=t"), graph.add("format", "yuv420p"), graph.add("buffersink")]
    for one, other in itertools.pairwise(chain):
        one.link_to(other)
    graph.configure()
    frames = []
    while True:
        try:
            frames.append(graph.pull())
        except (EOFError, BlockingIOError):
            break
    return frames[round(begin * FPS) :]


def make_takes(seconds: float) -> list[tuple[list[Unit], list[Unit]]]:
    takes = []
    for index in range(TAKES):
        frames = film(seconds, index * 3.0)
        video = record_video(lambda at, frames=frames: frames[round(at * FPS)], seconds, bps=BPS_IN, keyframe_every=3)
        takes.append((video, record_audio(tone(300.0 + 100 * index, 0.05), seconds)))
    return takes


def write_webm(path: Path, video: list[Unit], audio: list[Unit]) -> None:
    """The same coded pictures and sound, for ffmpeg."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libvpx", rate=FPS, width=SIZE_IN[0], height=SIZE_IN[1])
        sounds = container.add_stream("libopus", rate=RATE)
        for unit in sorted(video + audio, key=lambda unit: unit.at):
            is_video = unit.codec is VP8
            # aiortc's VP8 descriptor: 3 or 4 bytes with a picture id on every packet.
            payloads = [p[3 + (p[2] >> 7) :] for p in unit.payloads] if is_video else unit.payloads
            packet = av.Packet(b"".join(payloads))
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = max(0, round(unit.at * 1000))
            packet.is_keyframe = unit.keyframe
            packet.stream = pictures if is_video else sounds
            container.mux(packet)


def ffmpeg_command(files: list[Path], out: Path) -> list[str]:
    columns = math.ceil(math.sqrt(len(files)))
    rows = math.ceil(len(files) / columns)
    width, height = SIZE_OUT[0] // columns // 2 * 2, SIZE_OUT[1] // rows // 2 * 2
    scaled = [f"[{i}:v]scale={width}:{height}:flags=area,setsar=1[v{i}]" for i in range(len(files))]
    places = "|".join(f"{i % columns * width}_{i // columns * height}" for i in range(len(files)))
    stack = "".join(f"[v{i}]" for i in range(len(files))) + f"xstack=inputs={len(files)}:layout={places}:fill=black[s]"
    whole = f"[s]pad={SIZE_OUT[0]}:{SIZE_OUT[1]}[v]"
    mix = "".join(f"[{i}:a]" for i in range(len(files))) + f"amix=inputs={len(files)}:normalize=0[a]"
    bps = default_bps(*SIZE_OUT)
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-filter_complex_threads", "1"]
    for path in files:
        command += ["-threads", "1", "-c:a", "libopus", "-i", str(path)]
    command += ["-filter_complex", ";".join([*scaled, stack, whole, mix]), "-map", "[v]", "-map", "[a]"]
    command += ["-c:v", "libx264", "-preset", "superfast", "-threads", "1", "-b:v", str(bps), "-maxrate", str(bps)]
    command += ["-bufsize", str(round(bps * BUFFER_SECONDS)), "-g", str(2 * FPS), "-keyint_min", str(2 * FPS)]
    command += ["-sc_threshold", "0", "-bf", "0", "-x264-params", "rc-lookahead=0:force-cfr=1", "-r", str(FPS)]
    command += ["-c:a", "aac", "-b:a", "128k", "-ar", str(RATE), "-ac", "2", "-aac_coder", "fast"]
    return [*command, "-movflags", "empty_moov+default_base_moof+frag_keyframe", str(out)]


def run_ffmpeg(command: list[str]) -> float:
    """CPU seconds."""
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit("ffmpeg failed")
    return usage.ru_utime + usage.ru_stime


class Ours:
    """The pipeline as a worker runs it, with packets that were made before."""

    def __init__(self, takes: list[tuple[list[Unit], list[Unit]]], people: int, seconds: float) -> None:
        self._seconds = seconds
        self._senders: list[Sender] = []
        for index in range(people):
            video, audio = takes[index % len(takes)]
            who = f"person {index + 1}"
            self._senders += [
                Sender(f"v{index}", who, "webcam", video, WALL, 1000 + index, jitter=0.01),
                Sender(f"a{index}", who, "mic", audio, WALL, 2000 + index, jitter=0.01),
            ]
        self.packets: list[Packet] = in_order(*self._senders)
        self.memory: list[float] = []
        self.last: messages.Progress | None = None
        self.total: dict[str, float] = {}

    def run(self, directory: Path, *, real_time: bool = False) -> float:
        """CPU seconds, from the first packet until the last frame is written (not finalised: ffmpeg's is not)."""
        spec = messages.CompositionSpec("bench", str(directory), *SIZE_OUT, fps=FPS, file_format="mp4")
        began = time.monotonic()
        pipeline = Composition(spec, None, wall=lambda: WALL, now=began)
        for sender in self._senders:
            pipeline.receive_control(messages.PersonJoined(sender.participant_id, sender.participant_id), now=began)
            pipeline.receive_control(sender.added(), now=began)
        cpu = time.process_time()
        sent, now, due = 0, began, began
        self.memory = []
        while now < began + self._seconds:
            while sent < len(self.packets) and self.packets[sent].sent - WALL <= now - began:
                pipeline.receive_datagram(self.packets[sent].data, now=now)
                sent += 1
            if now >= due:
                due = pipeline.tick(now=now)
            while (report := pipeline.next_report()) is not None:
                if isinstance(report, messages.Progress):
                    self.last = report
                    self.memory.append(_resident())
            pipeline.datagrams_to_send()
            if real_time:
                time.sleep(max(0.0, min(TURN, due - time.monotonic())))
                now = time.monotonic()
            else:
                now = max(now + TURN, min(due, now + TURN))
        pipeline.receive_control(messages.Stop(), now=now)
        while pipeline._phase == pipeline._run:
            pipeline.tick(now=now)
        cpu = time.process_time() - cpu
        pipeline._costs.take_shares(1.0)
        self.total = dict(pipeline._costs.total)
        pipeline.close()
        return cpu


def _resident() -> float:
    """MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="only ours, with Python's profiler")
    options = parser.parse_args()
    takes = make_takes(options.seconds)
    ours = Ours(takes, options.people, options.seconds)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if options.profile:
            profile(ours, directory)
            return
        files = []
        for index in range(options.people):
            files.append(directory / f"in{index}.webm")
            write_webm(files[-1], *takes[index % TAKES])
        measured: dict[str, list[float]] = {"ffmpeg": [], "tidegate": []}
        totals: list[dict[str, float]] = []
        for number in range(options.rounds):
            measured["ffmpeg"].append(run_ffmpeg(ffmpeg_command(files, directory / "out.mp4")))
            place = directory / str(number)
            place.mkdir()
            measured["tidegate"].append(ours.run(place))
            totals.append(ours.total)
            shutil.rmtree(place)
        (directory / "live").mkdir()
        live = ours.run(directory / "live", real_time=True)
        show(options, measured, totals, live, ours)


def profile(ours: Ours, directory: Path) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(ours.run, directory)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def show(options: argparse.Namespace, measured: dict, totals: list[dict], live: float, ours: Ours) -> None:
    seconds = options.seconds
    medians = {name: statistics.median(values) for name, values in measured.items()}
    ratio = medians["tidegate"] / medians["ffmpeg"]
    print(f"{options.people} people, {seconds:.0f} s of media, {options.rounds} rounds, share of one core\n")
    print("| what | median | each round |\n| --- | ---: | --- |")
    for name, values in measured.items():
        each = ", ".join(f"{value / seconds:.3f}" for value in values)
        print(f"| {name} | {medians[name] / seconds:.3f} | {each} |")
    print(f"| ratio (aim: {AIM}) | {ratio:.2f} | |\n")
    print("| stage | share of one core | part |\n| --- | ---: | ---: |")
    middle = {stage: statistics.median(total[stage] for total in totals) for stage in STAGES}
    middle["packets and the rest"] = medians["tidegate"] - sum(middle.values())
    for stage, cost in middle.items():
        print(f"| {stage} | {cost / seconds:.3f} | {cost / medians['tidegate']:.0%} |")
    last = ours.last
    print(
        f"\nreal time: {live / seconds:.3f} of a core, {last.dropped} of {last.frames} pictures dropped, lag {last.lag} s"
    )
    memory = ours.memory
    print(f"memory: {memory[len(memory) // 3]:.0f} MB after a third, {memory[-1]:.0f} MB at the end")


if __name__ == "__main__":
    main()
