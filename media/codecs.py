"""Codecs by name: what the planes agree on. Payload formats live in `sfu/rtp/payload`, SDP matching in `sfu/sdp`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    AUDIO = "audio"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload format as negotiated. `fmtp` has lower-case keys; `feedback` are `a=rtcp-fb` values ("nack pli")."""

    name: str  # canonical: opus, red, VP8, VP9, H264, AV1
    kind: Kind
    clock_rate: int  # Hz
    payload_type: int
    channels: int = 1
    fmtp: dict[str, str] = field(default_factory=dict)
    feedback: tuple[str, ...] = ()
    rtx_payload_type: int | None = None  # RFC 4588


CLOCK_RATES = {"opus": 48000, "red": 48000, "VP8": 90000, "VP9": 90000, "H264": 90000, "AV1": 90000}
