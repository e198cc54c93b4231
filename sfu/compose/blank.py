"""What a recording without transcoding writes where there is no media: one black keyframe, silence; and what it needs to know
of media to place them: sizes of pictures, lengths of sound."""

from __future__ import annotations

import os
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np

from media.codecs import Codec
from sfu.compose.decode import MAX_PIXELS, VideoDecoder
from sfu.compose.source import AccessUnit

SILENCE = (
    b"\xf8\xff\xfe"  # Opus: one frame of 20 ms, CELT, nothing in it; what WebRTC sends while it has nothing to say
)
SILENCE_SAMPLES = 960
MAX_PACKET_SAMPLES = 5760  # RFC 6716 section 3.4, R5: 120 ms
DEFAULT_SIZE = (640, 360)  # of a camera that was never seen
MIN_SIDE = 64  # AV1's encoder makes none smaller
LUMA_BLACK, CHROMA_GREY = 16, 128  # limited range
ENCODERS = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
    "AV1": ("libsvtav1", {"preset": "11", "crf": "50", "svtav1-params": "lp=1"}),
}


@lru_cache(maxsize=16)
def black_keyframe(codec: str, width: int, height: int) -> bytes:
    """An access unit of one black picture. Encoded once for each codec and size; of a size that the encoder does not make
    (longer sides than it knows), in the usual one."""
    if codec == "AV1":
        os.environ.setdefault(
            "SVT_LOG", "1"
        )  # errors only: the library writes thirty lines for each encoder, and asks nobody else
    name, options = ENCODERS[codec]
    width, height = (max(MIN_SIDE, side + side % 2) for side in (width, height))
    context = av.CodecContext.create(name, "w")
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 30)
    context.framerate = Fraction(30)
    context.thread_count = 1
    context.options = options
    planes = np.full((height * 3 // 2, width), CHROMA_GREY, np.uint8)
    planes[:height] = LUMA_BLACK
    frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
    frame.pts = 0
    try:
        packets = [*context.encode(frame), *context.encode(None)]
    except av.FFmpegError:
        if (width, height) == DEFAULT_SIZE:
            raise
        return black_keyframe(codec, *DEFAULT_SIZE)
    return b"".join(bytes(packet) for packet in packets[:1])


def picture_size(unit: AccessUnit) -> tuple[int, int] | None:
    """Width and height of a keyframe; None if it cannot be read, or no decoder would take it."""
    data = unit.data
    if unit.codec.name == "VP8":  # RFC 6386 section 9.1
        if len(data) < 10 or data[3:6] != b"\x9d\x01\x2a":
            return None
        size = int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
        return size if is_possible(*size) else None
    frames = VideoDecoder().decode(unit)  # some milliseconds, for keyframes only
    return (frames[0].width, frames[0].height) if frames else None


def is_possible(width: int, height: int) -> bool:
    """Whether pictures of that size are decoded here. What a publisher says of its own may be anything."""
    return 0 < width * height <= MAX_PIXELS


def opus_samples(packet: bytes) -> int:
    """How long a packet sounds, in samples at 48 kHz; 0 if it cannot be read. RFC 6716 sections 3.1, 3.2."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        samples = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        samples = (480, 960)[config & 1]
    else:
        samples = (120, 240, 480, 960)[config & 3]
    if code == 3:
        count = packet[1] & 0x3F if len(packet) > 1 else 0
    else:
        count = 1 if code == 0 else 2
    return samples * count if samples * count <= MAX_PACKET_SAMPLES else 0


def can_record(codec: Codec) -> bool:
    return codec.name in ENCODERS or codec.name == "opus"
