"""Payload formats, as far as forwarding looks into them: keyframes, picture ids, RED blocks."""

from __future__ import annotations

from collections.abc import Callable

from sfu.rtp.payload import av1, h264, vp8, vp9

# Whether a payload begins a keyframe. No garbage raises: what cannot be read is no keyframe.
KEYFRAME_DETECTORS: dict[str, Callable[[bytes], bool]] = {
    "VP8": vp8.is_keyframe,
    "VP9": vp9.is_keyframe,
    "H264": h264.is_keyframe,
    "AV1": av1.is_keyframe,
}
