"""One encode for all outputs: H.264 and AAC (MP4, FLV), VP8 and Opus (WebM). Containers live in `outputs.py`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.video.frame import PictureType

from sfu.compose.audio import RATE
from sfu.compose.messages import EncoderSpec

Family = Literal["h264", "webm", "mp3"]  # what goes into MP4 and FLV; into WebM; into MP3, which is sound only
AUDIO = {"h264": ("aac", "fltp"), "webm": ("libopus", "flt"), "mp3": ("libmp3lame", "fltp")}

# Bit rates by pixels, for a picture of talking people: 480p, 720p, 1080p.
RATES_BPS = ((854 * 480, 1_200_000), (1280 * 720, 2_500_000), (1 << 62, 4_500_000))
BUFFER_SECONDS = 1.5  # of the bit rate: what platforms take as constant, with room for a keyframe
FRAME_THREADS = 2  # above 720p: the next picture is composed meanwhile. The same CPU in all (+0.5 %)
# The stage composes what WebRTC sends, BT.601 in limited range, and nothing is converted on the way.
COLOURS = {"color_primaries": "smpte170m", "color_trc": "smpte170m", "colorspace": "smpte170m", "color_range": "tv"}
VP8_SPEED = 8  # of libvpx, in real time: 720p at 30 fps takes a quarter of a core


class EncoderMissing(Exception):
    """FFmpeg has no such encoder, or the machine not what it needs. The text is for people."""


@dataclass(slots=True)
class Encoded:
    """One packet of an encoder, in decode order. Times in ticks of the encoder: frames, samples."""

    is_video: bool
    data: bytes
    pts: int
    duration: int
    keyframe: bool


class Nowhere(io.RawIOBase):
    """A file that forgets: streams are opened in a container so that others can be made after their likeness."""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        return len(data)


def default_bps(width: int, height: int) -> int:
    return next(bps for pixels, bps in RATES_BPS if width * height <= pixels)


def _video_options(family: Family, spec: EncoderSpec, bps: int, gop: int) -> dict[str, str]:
    rate = {"maxrate": str(bps), "bufsize": str(round(bps * BUFFER_SECONDS)), "g": str(gop), "keyint_min": str(gop)}
    if family == "webm":
        return rate | {"deadline": "realtime", "cpu-used": str(VP8_SPEED), "lag-in-frames": "0", "minrate": str(bps)}
    colours = {**COLOURS, "bf": "0"}
    if spec.video == "libx264":
        # Closed groups at our beat only: no cut of x264's own moves a keyframe away from its two seconds. Without force-cfr
        # a picture waits for the next one, to know how long it lasts.
        own = {
            "preset": spec.preset,
            "forced-idr": "1",
            "sc_threshold": "0",
            "x264-params": "open-gop=0:rc-lookahead=0:force-cfr=1",
        }
    else:
        own = {"preset": "p3", "tune": "ll", "rc": "cbr", "forced-idr": "1", "no-scenecut": "1"}
    return rate | colours | own


class Encoders:
    """A picture encoder (none for sound only) and a sound encoder. `streams` are templates for `add_stream_from_template`.

    EncoderMissing from the constructor when the configured encoder cannot be had.
    """

    def __init__(self, spec: EncoderSpec, family: Family, size: tuple[int, int] | None, fps: int) -> None:
        self._scratch = av.open(Nowhere(), "w", format="matroska")
        self._keeps_priming = family != "h264"
        self._gop = max(1, round(spec.keyframe_seconds * fps))
        self._next_keyframe = 0
        self.time_base = Fraction(1, fps)
        self.video = self._add_video(spec, family, size, fps) if size else None
        self.audio = self._add_audio(spec, family)
        try:
            self._scratch.start_encoding()
        except (av.FFmpegError, ValueError):
            name = spec.video if family == "h264" and size else AUDIO[family][0] if not size else "libvpx"
            raise EncoderMissing(f"the encoder {name} does not start on this machine") from None
        self.block_samples = self.audio.codec_context.frame_size or 1024

    def _add_video(self, spec: EncoderSpec, family: Family, size: tuple[int, int], fps: int) -> av.VideoStream:
        bps = spec.video_bps or default_bps(*size)
        name = spec.video if family == "h264" else "libvpx"
        try:
            stream = self._scratch.add_stream(
                name,
                rate=fps,
                width=size[0],
                height=size[1],
                pix_fmt="yuv420p",
                time_base=Fraction(1, fps),
                bit_rate=bps,
                options=_video_options(family, spec, bps, self._gop),
            )
        except (av.FFmpegError, ValueError):
            raise EncoderMissing(f"this FFmpeg has no encoder {name}") from None
        stream.codec_context.flags |= av.codec.context.Flags.global_header
        stream.codec_context.thread_count = FRAME_THREADS if family == "h264" and size[0] * size[1] > 1280 * 720 else 1
        return stream

    def _add_audio(self, spec: EncoderSpec, family: Family) -> av.AudioStream:
        name, sample_format = AUDIO[family]
        # The fast search costs 40 % of the default one and measured as near to the original.
        options = {"aac_coder": "fast"} if family == "h264" else {}
        stream = self._scratch.add_stream(name, rate=RATE, layout="stereo", bit_rate=spec.audio_bps, options=options)
        stream.codec_context.format = sample_format
        stream.codec_context.flags |= av.codec.context.Flags.global_header
        return stream

    def encode_video(self, frame: av.VideoFrame, index: int) -> Iterator[Encoded]:
        """`index` counts frames of the output; one may be left out. Keyframes come at multiples of the spec's seconds."""
        frame.pts, frame.time_base = index, self.time_base
        frame.pict_type = PictureType.NONE
        if index >= self._next_keyframe:
            frame.pict_type = PictureType.I
            self._next_keyframe = (index // self._gop + 1) * self._gop
        return self._video_packets(frame)

    def _video_packets(self, frame: av.VideoFrame | None) -> Iterator[Encoded]:
        for packet in self.video.codec_context.encode(frame):
            yield Encoded(True, bytes(packet), packet.pts, 1, packet.is_keyframe)

    def encode_audio(self, block: np.ndarray, position: int) -> Iterator[Encoded]:
        """`block` (block_samples, 2) float32, whose first sample is number `position`."""
        context = self.audio.codec_context
        packed = not context.format.is_planar
        frame = av.AudioFrame(format=context.format.name, layout="stereo", samples=len(block))
        for index, plane in enumerate(frame.planes):
            plane.update(block if packed else np.ascontiguousarray(block[:, index]))
        frame.sample_rate, frame.pts, frame.time_base = RATE, position, Fraction(1, RATE)
        return self._audio_packets(frame)

    def _audio_packets(self, frame: av.AudioFrame | None) -> Iterator[Encoded]:
        for packet in self.audio.codec_context.encode(frame):
            # AAC's packet before zero only primes the decoder; without it nothing of a file has a time below zero, and no
            # container shifts one stream against the other. WebM and MP3 say in their heads how much is to be skipped.
            if packet.pts >= 0 or self._keeps_priming:
                yield Encoded(False, bytes(packet), packet.pts, packet.duration or self.block_samples, True)

    def flush(self) -> list[Encoded]:
        """What the encoders still hold. They take nothing more."""
        video = list(self._video_packets(None)) if self.video else []
        return video + list(self._audio_packets(None))
