"""AV1 aggregation header and OBU types, for keyframes. AV1 RTP specification section 4.4."""

from __future__ import annotations

OBU_SEQUENCE_HEADER = 1


def is_keyframe(payload: bytes) -> bool:
    """The first packet of a coded video sequence: by the N bit, or by a sequence header in front."""
    if len(payload) < 2:
        return False
    head = payload[0]
    if head & 0x80:  # Z: the first element continues an earlier one
        return False
    if head & 0x08:  # N: "MUST be set to 1 if the packet is the first packet of a coded video sequence"
        return True
    at = 1
    if head >> 4 & 3 != 1:  # W other than 1: each element (W = 0) or each but the last has a leb128 length
        while at < len(payload) and payload[at] & 0x80:
            at += 1
        at += 1
    return at < len(payload) and payload[at] >> 3 & 0x0F == OBU_SEQUENCE_HEADER
