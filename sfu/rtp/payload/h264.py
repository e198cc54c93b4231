"""H.264 packets: keyframes, and the NAL units in them. RFC 6184 section 5."""

from __future__ import annotations

from collections.abc import Sequence

from media.errors import ParseError

NAL_IDR = 5
NAL_SPS = 7
NAL_PPS = 8
NAL_STAP_A = 24
NAL_FU_A = 28
MAX_NALS = 1024  # of a picture: 400 of a byte fit into one packet; the most slices that encoders make are some dozens
START_CODE = b"\0\0\0\1"


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


def unpack(payloads: Sequence[bytes]) -> list[bytes]:
    """The NAL units of packets in order: single ones, aggregates (STAP-A) and fragments (FU-A)."""
    nals: list[bytes] = []
    fragments: list[bytes] = []
    for payload in payloads:
        if not payload:
            raise ParseError("H.264 packet is empty")
        kind = payload[0] & 0x1F
        if kind == NAL_FU_A:
            _add_fragment(payload, fragments, nals)
            continue
        if fragments:
            raise ParseError("H.264 fragments end without their last")
        if kind == NAL_STAP_A:
            nals += _split_aggregate(payload)
        elif 1 <= kind < NAL_STAP_A:
            nals.append(payload)
        else:
            raise ParseError(f"H.264 packet of type {kind} is not of the non-interleaved mode")
        if len(nals) > MAX_NALS:
            raise ParseError("H.264 picture has too many NAL units")
    if fragments:
        raise ParseError("H.264 fragments end without their last")
    return nals


def _add_fragment(payload: bytes, fragments: list[bytes], nals: list[bytes]) -> None:
    if len(payload) < 3:
        raise ParseError("H.264 fragment is cut off")
    starts = bool(payload[1] & 0x80)
    if starts is bool(fragments):
        raise ParseError("H.264 fragments are out of order")
    if starts:
        fragments.append(bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)))
    fragments.append(payload[2:])
    if payload[1] & 0x40:
        nals.append(b"".join(fragments))
        fragments.clear()


def _split_aggregate(payload: bytes) -> list[bytes]:
    nals = []
    at = 1
    while at < len(payload):
        size = int.from_bytes(payload[at : at + 2], "big")
        at += 2
        if not 0 < size <= len(payload) - at:
            raise ParseError("H.264 aggregate is cut off")
        nals.append(payload[at : at + size])
        at += size
    return nals
