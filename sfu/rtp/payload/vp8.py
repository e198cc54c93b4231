"""VP8 payload descriptor: keyframes, size, and renumbering of picture ids when a subscriber changes layers. RFC 7741."""

from __future__ import annotations

from dataclasses import dataclass

from media.errors import ParseError


@dataclass(slots=True)
class Descriptor:
    """`picture_id`, `tl0picidx`: None where absent. Offsets are from the start of the payload."""

    start: bool  # first packet of the first partition
    picture_id: int | None
    picture_id_offset: int
    picture_id_bits: int  # 7 or 15
    tl0picidx: int | None
    tl0picidx_offset: int
    size: int
    tid: int = 0  # temporal layer
    layer_sync: bool = False  # Y: refers to nothing above the base layer


def parse(payload: bytes) -> Descriptor:
    """RFC 7741 section 4.2."""
    try:
        first = payload[0]
        at = 1
        picture_id = tl0picidx = None
        picture_id_offset = picture_id_bits = tl0picidx_offset = tid = 0
        layer_sync = False
        if first & 0x80:  # X
            flags = payload[1]
            at = 2
            if flags & 0x80:  # I
                picture_id_offset = at
                if payload[at] & 0x80:  # M
                    picture_id = (payload[at] & 0x7F) << 8 | payload[at + 1]
                    picture_id_bits = 15
                    at += 2
                else:
                    picture_id = payload[at]
                    picture_id_bits = 7
                    at += 1
            if flags & 0x40:  # L
                tl0picidx = payload[at]
                tl0picidx_offset = at
                at += 1
            if flags & 0x30:  # T or K
                if flags & 0x20:
                    tid, layer_sync = payload[at] >> 6, bool(payload[at] & 0x20)
                at += 1
    except IndexError as exc:
        raise ParseError("VP8 descriptor is cut off") from exc
    if at > len(payload):
        raise ParseError("VP8 descriptor is cut off")
    start = first & 0x17 == 0x10  # S set, PID zero
    return Descriptor(
        start, picture_id, picture_id_offset, picture_id_bits, tl0picidx, tl0picidx_offset, at, tid, layer_sync
    )


def is_keyframe(payload: bytes) -> bool:
    if not payload or payload[0] & 0x17 != 0x10:
        return False
    try:
        at = parse(payload).size
    except ParseError:
        return False
    return at < len(payload) and not payload[at] & 1  # P of the frame header: 0 for a key frame, section 4.3


def frame_height(payload: bytes) -> int | None:
    """The height that a keyframe announces. RFC 6386 section 9.1."""
    try:
        at = parse(payload).size
    except ParseError:
        return None
    if len(payload) < at + 10 or payload[at] & 1 or payload[at + 3 : at + 6] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(payload[at + 8 : at + 10], "little") & 0x3FFF


def renumber(payload: bytes, picture_id_offset: int, tl0picidx_offset: int) -> bytes:
    """The payload with both numbers moved on, each within its width; unchanged if it cannot be read."""
    try:
        descriptor = parse(payload)
    except ParseError:
        return payload
    head = bytearray(payload[: descriptor.size])
    if descriptor.picture_id is not None:
        at, bits = descriptor.picture_id_offset, descriptor.picture_id_bits
        value = (descriptor.picture_id + picture_id_offset) & ((1 << bits) - 1)
        if bits == 15:
            head[at], head[at + 1] = 0x80 | value >> 8, value & 0xFF
        else:
            head[at] = value
    if descriptor.tl0picidx is not None:
        head[descriptor.tl0picidx_offset] = (descriptor.tl0picidx + tl0picidx_offset) & 0xFF
    return bytes(head) + payload[descriptor.size :]
