"""What composing a picture costs, without decoding and encoding: milliseconds of CPU a frame, and the shares of scaling and blending.

    python -m benchmarks.canvas

Sources are 640x360, the canvas is 1280x720. `xstack` is what ffmpeg's filters take for scaling and stacking the same
frames, in the same process: compare rows, not machines.
"""

from __future__ import annotations

import argparse
import statistics
from time import process_time

import av
import av.filter
import numpy as np

from sfu.compose.messages import Scene
from sfu.compose.stage import Stage

SIZE = 640, 360
CANVAS = 1280, 720
FRAMES = 4  # different ones of each source, in turn


def sources(count: int) -> list[list[av.VideoFrame]]:
    """Smooth pictures with noise, as cameras make them."""
    random = np.random.default_rng(1)
    made = []
    for number in range(count):
        base = np.add.outer(np.linspace(40, 160, SIZE[1] * 3 // 2), np.linspace(0, 50, SIZE[0]))
        noisy = [base + random.normal(number, 4, base.shape) for _ in range(FRAMES)]
        made.append([av.VideoFrame.from_ndarray(np.clip(one, 16, 235).astype(np.uint8), "yuv420p") for one in noisy])
    return made


def stage(count: int) -> Stage:
    made = Stage(*CANVAS, 30, Scene())
    for number in range(count):
        made.person_joined(f"p{number}", f"Person {number}", 0)
        made.source_added(f"c{number}", f"p{number}", "webcam", 0)
    made.set_speakers("p1", ("p1",), 0)
    return made


def at_rest(count: int, turns: int, every: int = 1) -> tuple[float, float, float]:
    """Each source has a new frame every so many pictures."""
    made, frames, spent = stage(count), sources(count), []
    for turn in range(turns + 10):
        if turn == 10:
            made.seconds = dict.fromkeys(made.seconds, 0.0)
        for number in range(count):
            if (turn + number) % every == 0:
                made.set_frame(f"c{number}", frames[number][turn % FRAMES])
        began = process_time()
        made.render(turn / 30)
        spent.append(process_time() - began)
    return statistics.mean(spent[10:]), made.seconds["scale"] / turns, made.seconds["blend"] / turns


def in_motion(count: int, turns: int) -> tuple[float, float, float]:
    """Somebody comes or goes all the time. Returns the mean and the worst of moving, and the worst of beginning and coming to rest."""
    made, frames, moving, resting = stage(count), sources(count), [], []
    for turn in range(turns):
        at, phase = turn / 30, turn % 12
        if phase == 0 and turn % 24:
            made.person_left(f"p{count - 1}", at)
        elif phase == 0:
            made.person_joined(f"p{count - 1}", "Again", at)
        for number in range(count):
            made.set_frame(f"c{number}", frames[number][turn % FRAMES])
        began = process_time()
        made.render(at)
        if turn >= 12:  # fonts are loaded by then
            (moving if 0 < phase < 9 else resting).append(process_time() - began)
    return statistics.mean(moving), max(moving), max(resting)


def xstack(count: int, columns: int, turns: int) -> float:
    """ffmpeg's filters on the same frames, by area, as we do."""
    frames, graph = sources(count), av.filter.Graph()
    width, height = CANVAS[0] // columns // 2 * 2, CANVAS[1] // columns // 2 * 2
    places = "|".join(f"{index % columns * width}_{index // columns * height}" for index in range(count))
    stack, inputs = graph.add("xstack", f"inputs={count}:layout={places}"), []
    for number in range(count):
        inputs.append(graph.add_buffer(width=SIZE[0], height=SIZE[1], format="yuv420p", time_base="1/30"))
        scale = graph.add("scale", f"{width}:{height}:flags=area")
        inputs[-1].link_to(scale)
        scale.link_to(stack, 0, number)
    sink = graph.add("buffersink")
    stack.link_to(sink)
    graph.configure()
    began = process_time()
    for turn in range(turns):
        for number, buffer in enumerate(inputs):
            frame = frames[number][turn % FRAMES]
            frame.pts = turn
            buffer.push(frame)
        sink.pull()
    return (process_time() - began) / turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=240)
    turns = parser.parse_args().turns
    print("tiles  what                              ms a frame   scale   blend")
    for count, columns in ((9, 3), (25, 5)):
        rows = [("every source has a new frame", at_rest(count, turns)), ("every second one", at_rest(count, turns, 2))]
        for what, (whole, scale, blend) in rows:
            print(f"{count:5}  {what:32} {whole * 1e3:11.2f} {scale * 1e3:7.2f} {blend * 1e3:7.2f}")
        mean, worst, rest = in_motion(count, turns)
        print(
            f"{count:5}  in motion, mean and worst        {mean * 1e3:11.2f} {worst * 1e3:7.2f}   begin and end {rest * 1e3:.2f}"
        )
        print(f"{count:5}  ffmpeg's scale and xstack        {xstack(count, columns, turns) * 1e3:11.2f}")


if __name__ == "__main__":
    main()
