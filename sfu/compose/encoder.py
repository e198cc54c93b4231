"""One encode for all outputs: H.264 and AAC (MP4, FLV), VP8 and Opus (WebM)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Encoded:
    """One packet of an encoder, in decode order. Times in ticks of the encoder: frames, samples."""

    is_video: bool
    data: bytes
    pts: int
    duration: int
    keyframe: bool
