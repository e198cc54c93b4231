"""How much CPU pipelines are thought to take, and whether one more is let in. Pure.

The costs are cores of the machine of reference measurements (one thread, x264 superfast, VP8 in); other machines differ by a
factor that is the same for all, so `workers.cpu_budget` is where an operator corrects it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from media.errors import PeerError
from sfu.meeting.refusals import Refusal

ENCODE_FRAME = 0.0010  # seconds a frame, whatever its size: calls, rate control, muxing
ENCODE_PIXEL = 3.8e-9  # seconds a pixel: 4.2 ms at 1280x720, 9.0 ms at 1920x1080
VP8_FACTOR = 2.1  # libvpx realtime instead of x264 superfast: 8.6 ms at 1280x720
BLEND_PIXEL = 0.6e-9  # seconds a pixel of the picture: copying tiles, text, chroma
DECODE_FRAME = 0.00125  # seconds a source's frame: VP8 640x360 decoded and scaled
AUDIO = 0.02  # cores: mixing and one AAC or Opus encode
AUDIO_SOURCE = 0.005  # cores: one Opus decode
OVERHEAD = 1.25  # Python between the stages
MAX_DRAWN = 25  # tiles of a picture; nobody else is decoded
TRACK_FILE = 0.03  # cores: packets into a container, nothing transcoded
FINALIZE = 0.1  # cores: a copy from disk to disk
NODE_SHARE = 0.5  # cores kept for the node when no budget is configured
MIN_CORES = 0.5  # a machine of one core records too
RETRY_AFTER = 15  # seconds; recordings end when meetings do, so sooner makes little sense


class WorkersBusy(PeerError):
    """No room for another pipeline: HTTP 429 with Retry-After, SERVER_BUSY on the signalling socket."""

    def __init__(self, reason: str, *, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(Refusal.SERVER_BUSY.value, Refusal.SERVER_BUSY.name, reason)
        self.retry_after = retry_after


def composition_cost(
    width: int, height: int, fps: int, sources: int, mode: Literal["video-and-audio", "audio"] = "video-and-audio",
    *, webm: bool = False,
) -> float:  # fmt: skip
    """Cores of a composition of so many people; an estimate of the present, it grows as they come."""
    sound = AUDIO + AUDIO_SOURCE * sources
    if mode == "audio":
        return sound
    pixels = width * height
    encode = (ENCODE_FRAME + ENCODE_PIXEL * pixels) * (VP8_FACTOR if webm else 1.0)
    frame = encode + BLEND_PIXEL * pixels + DECODE_FRAME * min(sources, MAX_DRAWN)
    return OVERHEAD * (fps * frame + sound)


def track_file_cost(tracks: int = 1) -> float:
    """Cores of a recording without transcoding."""
    return TRACK_FILE * tracks


def merge_cost(task: Literal["stereo", "grid", "concat"]) -> float:
    """Cores of a merge, which runs as fast as it may: pictures take one, sound alone a part of one."""
    return 0.3 if task == "stereo" else 1.0


def finalize_cost() -> float:
    return FINALIZE


class Budget:
    """Pipelines and cores that may be in use at once."""

    def __init__(self, max_pipelines: int, cores: float) -> None:
        self.max_pipelines = max_pipelines
        self.cores = cores

    def admit(self, running: Sequence[float], cost: float) -> None:
        """`running` is what each pipeline takes. WorkersBusy when there is no room for `cost` more.

        A pipeline alone is let in whatever it costs: else a small machine could never make a large picture.
        """
        if len(running) >= self.max_pipelines:
            if self.max_pipelines == 0:
                raise WorkersBusy("recordings and broadcasts are switched off on this server (workers.max_pipelines is 0)")
            raise WorkersBusy(f"all {self.max_pipelines} places for recordings and broadcasts are taken; try again when one ends")
        used = sum(running)
        if running and used + cost > self.cores:
            raise WorkersBusy(
                f"the server is too busy for this: it needs about {cost:.1f} of a processor core, "
                f"and {used:.1f} of {self.cores:.1f} are in use; try again when a recording or broadcast ends, or a smaller picture"
            )


def default_cores(cores: float) -> float:
    """The budget of a machine with so many cores."""
    return max(MIN_CORES, cores - NODE_SHARE)
