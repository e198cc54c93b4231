"""Generic NACK and PLI (RFC 4585), FIR (RFC 5104), REMB (draft-alvestrand-rmcat-remb-03). Transport feedback: `twcc.py`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from media.errors import ParseError

RTCP_RTPFB = 205  # RFC 4585 section 6.1
RTCP_PSFB = 206
RTPFB_NACK = 1
PSFB_PLI = 1
PSFB_FIR = 4
PSFB_AFB = 15  # application layer feedback; REMB

SSRC_PAIR = Struct("!II")
NACK_ITEM = Struct("!HH")
FIR_ITEM = Struct("!IB3x")
REMB_MAGIC = b"REMB"


@dataclass(slots=True)
class Nack:
    """`lost`: 16-bit sequence numbers, in the order they are to be sent."""

    sender_ssrc: int
    media_ssrc: int
    lost: list[int]

    def serialize(self) -> tuple[int, int, bytes]:
        items = b"".join(NACK_ITEM.pack(pid, blp) for pid, blp in pack_nacks(self.lost))
        return RTCP_RTPFB, RTPFB_NACK, SSRC_PAIR.pack(self.sender_ssrc, self.media_ssrc) + items


@dataclass(slots=True)
class Pli:
    sender_ssrc: int
    media_ssrc: int

    def serialize(self) -> tuple[int, int, bytes]:
        return RTCP_PSFB, PSFB_PLI, SSRC_PAIR.pack(self.sender_ssrc, self.media_ssrc)


@dataclass(slots=True)
class Fir:
    """`requests`: (media ssrc, command sequence number)."""

    sender_ssrc: int
    requests: list[tuple[int, int]]

    def serialize(self) -> tuple[int, int, bytes]:
        # RFC 5104 section 4.3.1.2: "the 'SSRC of media source' is not used and SHALL be set to 0"
        items = b"".join(FIR_ITEM.pack(ssrc, number) for ssrc, number in self.requests)
        return RTCP_PSFB, PSFB_FIR, SSRC_PAIR.pack(self.sender_ssrc, 0) + items


@dataclass(slots=True)
class Remb:
    sender_ssrc: int
    bitrate_bps: int
    ssrcs: list[int]  # at most 255

    def serialize(self) -> tuple[int, int, bytes]:
        exponent = max(0, self.bitrate_bps.bit_length() - 18)  # 18 bits of mantissa
        value = exponent << 18 | self.bitrate_bps >> exponent
        body = SSRC_PAIR.pack(self.sender_ssrc, 0) + REMB_MAGIC + bytes((len(self.ssrcs),)) + value.to_bytes(3, "big")
        return RTCP_PSFB, PSFB_AFB, body + b"".join(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs)


def pack_nacks(lost: Iterable[int]) -> list[tuple[int, int]]:
    """(pid, blp) pairs: each names one packet and any of the 16 that follow it. RFC 4585 section 6.2.1."""
    items: list[tuple[int, int]] = []
    pid = blp = None
    for number in lost:
        if pid is not None:
            distance = (number - pid) & 0xFFFF
            if 1 <= distance <= 16:
                blp |= 1 << (distance - 1)
                continue
            items.append((pid, blp))
        pid, blp = number, 0
    if pid is not None:
        items.append((pid, blp))
    return items


def parse_nack(body: bytes) -> Nack:
    if len(body) < 12 or len(body) % 4:  # padding may have left part of an item
        raise ParseError("NACK is cut off")
    sender, media = SSRC_PAIR.unpack_from(body)
    lost: list[int] = []
    for pid, blp in NACK_ITEM.iter_unpack(body[8:]):
        lost.append(pid)
        while blp:
            low = blp & -blp
            lost.append((pid + low.bit_length()) & 0xFFFF)
            blp ^= low
    return Nack(sender, media, lost)


def parse_psfb(fmt: int, body: bytes) -> Pli | Fir | Remb | None:
    """None for a format we do not read."""
    if len(body) < 8:
        raise ParseError("feedback is cut off")
    sender, media = SSRC_PAIR.unpack_from(body)
    if fmt == PSFB_PLI:
        return Pli(sender, media)
    if fmt == PSFB_FIR:
        if len(body) % 8:
            raise ParseError("FIR has a wrong length")
        return Fir(sender, [FIR_ITEM.unpack_from(body, at) for at in range(8, len(body), 8)])
    if fmt == PSFB_AFB and body[8:12] == REMB_MAGIC:
        if len(body) < 16 or len(body) < 16 + 4 * body[12]:
            raise ParseError("REMB is cut off")
        value = int.from_bytes(body[13:16], "big")
        ssrcs = [int.from_bytes(body[at : at + 4], "big") for at in range(16, 16 + 4 * body[12], 4)]
        return Remb(sender, (value & 0x3FFFF) << (value >> 18), ssrcs)
    return None
