"""VP9 payload descriptor, for keyframes. RFC 9628 section 4.2."""

from __future__ import annotations


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
