"""H.264 packets, for keyframes. RFC 6184 section 5."""

from __future__ import annotations

NAL_SPS = 7
NAL_STAP_A = 24
NAL_FU_A = 28


def is_keyframe(payload: bytes) -> bool:
    """A sequence parameter set: WebRTC senders write it before every IDR picture, which no decoder can read without."""
    if not payload:
        return False
    kind = payload[0] & 0x1F
    if kind == NAL_FU_A:
        return len(payload) > 1 and bool(payload[1] & 0x80) and payload[1] & 0x1F == NAL_SPS
    if kind != NAL_STAP_A:
        return kind == NAL_SPS
    at = 1
    while at + 2 < len(payload):
        if payload[at + 2] & 0x1F == NAL_SPS:
            return True
        at += 2 + int.from_bytes(payload[at : at + 2], "big")
    return False
