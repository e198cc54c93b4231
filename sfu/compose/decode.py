"""Access units into pictures and sound: PyAV's decoders, one for each source. What is garbage costs its own source only."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np

from sfu.compose.source import AccessUnit

SAMPLE_RATE = 48_000
CHANNELS = 2
VIDEO_DECODERS = {"VP8": "vp8", "VP9": "vp9", "H264": "h264", "AV1": "libdav1d"}
MAX_PIXELS = 5120 * 2880  # the largest usual screens; bounds what one source can make us allocate (22 MB a picture)


@dataclass(slots=True)
class DecodeStats:
    frames: int = 0
    failures: int = 0


class VideoDecoder:
    """`needs_keyframe`: what comes next cannot be decoded before one; whoever sees it tells the source to skip to it."""

    def __init__(self) -> None:
        self.stats = DecodeStats()
        self.needs_keyframe = False
        self._name = ""
        self._context: av.VideoCodecContext | None = None

    def decode(self, unit: AccessUnit) -> list[av.VideoFrame]:
        """Pictures of the unit, most often one; none if it cannot be decoded. Sizes may change from one to the next."""
        if self.needs_keyframe and not unit.keyframe:
            return []
        try:
            if self._context is None or unit.codec.name != self._name:
                self._open(unit.codec.name)
            assert self._context is not None
            frames = self._context.decode(av.Packet(unit.data))
        except (av.FFmpegError, KeyError, ValueError):
            self._fail()
            return []
        if any(frame.is_corrupt or frame.width * frame.height > MAX_PIXELS for frame in frames):
            self._fail()
            return []
        self.needs_keyframe = False
        self.stats.frames += len(frames)
        return frames

    def _open(self, name: str) -> None:
        context = av.CodecContext.create(VIDEO_DECODERS[name], "r")
        assert isinstance(context, av.VideoCodecContext)
        context.thread_count = 1  # the machine's cores are shared by pipelines, and threads add frames of delay
        context.flags |= av.codec.context.Flags.low_delay
        context.options = {"max_pixels": str(MAX_PIXELS)}
        self._context, self._name = context, name

    def _fail(self) -> None:
        self.stats.failures += 1
        self.needs_keyframe = True
        self._context = None


class AudioDecoder:
    """Opus into float32 stereo at 48 kHz. A gap is the mixer's to fill: units say by `discontinuity` where one is."""

    def __init__(self) -> None:
        self.stats = DecodeStats()
        self._context: av.AudioCodecContext | None = None

    def decode(self, unit: AccessUnit) -> list[np.ndarray]:
        """Arrays of shape (samples, 2), values -1 to 1; none if the unit cannot be decoded."""
        try:
            if self._context is None:
                self._context = self._open(unit.codec.name)
            frames = self._context.decode(av.Packet(unit.data))
        except (av.FFmpegError, KeyError, ValueError):
            self.stats.failures += 1
            self._context = None
            return []
        self.stats.frames += len(frames)
        return [_stereo(frame) for frame in frames]

    @staticmethod
    def _open(name: str) -> av.AudioCodecContext:
        context = av.CodecContext.create({"opus": "libopus"}[name], "r")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate = SAMPLE_RATE
        context.layout = "stereo"
        context.thread_count = 1
        return context


def _stereo(frame: av.AudioFrame) -> np.ndarray:
    if frame.format.name == "s16" and len(frame.layout.channels) == CHANNELS:  # what libopus gives
        packed = np.frombuffer(frame.planes[0], np.int16, frame.samples * CHANNELS).reshape(-1, CHANNELS)
        return np.multiply(packed, np.float32(1 / 32768), dtype=np.float32)
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / 32768
    if samples.shape[0] == 1:
        samples = np.repeat(samples, CHANNELS, axis=0)
    return np.ascontiguousarray(samples[:CHANNELS].T, dtype=np.float32)
