"""VP9 payload descriptor: keyframes, and the layer frames of a picture. RFC 9628 section 4.2; superframes: VP9 bitstream, annex B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media.errors import ParseError

MAX_FRAMES = 8  # of a superframe
MAX_REFERENCES = 3


@dataclass(slots=True)
class Descriptor:
    begins: bool  # B: first packet of a layer frame
    sid: int  # spatial layer
    size: int


def parse(payload: bytes) -> Descriptor:
    try:
        first = payload[0]
        at = 1
        sid = 0
        if first & 0x80:  # I
            at += 2 if payload[at] & 0x80 else 1
        if first & 0x20:  # L
            sid = payload[at] >> 1 & 7
            at += 1 if first & 0x10 else 2  # TL0PICIDX in non-flexible mode only
        if first & 0x50 == 0x50:  # P in flexible mode: reference indices
            for index in range(MAX_REFERENCES):
                more = payload[at] & 1
                at += 1
                if not more:
                    break
                if index == MAX_REFERENCES - 1:
                    raise ParseError("VP9 descriptor has too many references")
        if first & 0x02:  # V
            at = _skip_structure(payload, at)
    except IndexError as exc:
        raise ParseError("VP9 descriptor is cut off") from exc
    if at > len(payload):
        raise ParseError("VP9 descriptor is cut off")
    return Descriptor(bool(first & 0x08), sid, at)


def _skip_structure(payload: bytes, at: int) -> int:
    """The scalability structure: sizes of the layers, and the pictures of a group."""
    head = payload[at]
    at += 1
    if head & 0x10:  # Y
        at += 4 * ((head >> 5) + 1)
    if head & 0x08:  # G
        pictures = payload[at]
        at += 1
        for _ in range(pictures):
            at += 1 + (payload[at] >> 2 & 3)
    return at


def join(frames: Sequence[bytes]) -> bytes:
    """The layer frames of a picture as one piece: several as a superframe with its index."""
    if len(frames) == 1:
        return frames[0]
    if not 0 < len(frames) <= MAX_FRAMES:
        raise ParseError("VP9 picture has no frames, or too many")
    width = max((max(map(len, frames)).bit_length() + 7) // 8, 1)
    if width > 4:
        raise ParseError("VP9 frame is too long")
    marker = bytes((0xC0 | (width - 1) << 3 | len(frames) - 1,))
    return b"".join((*frames, marker, *(len(frame).to_bytes(width, "little") for frame in frames), marker))


def is_keyframe(payload: bytes) -> bool:
    """The beginning of a frame that is not inter-picture predicted, of the lowest spatial layer."""
    if not payload:
        return False
    first = payload[0]
    if first & 0x40 or not first & 0x08:  # P, B
        return False
    if not first & 0x20:  # L
        return True
    at = 1
    if first & 0x80:  # I
        if at >= len(payload):
            return False
        at += 2 if payload[at] & 0x80 else 1
    return at < len(payload) and payload[at] & 0x0E == 0  # SID
