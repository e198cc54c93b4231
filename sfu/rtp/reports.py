"""SR, RR, SDES, BYE (RFC 3550 section 6) and XR with RRTR and DLRR (RFC 3611 sections 4.4, 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct, error

from media.errors import ParseError

RTCP_SR = 200
RTCP_RR = 201
RTCP_SDES = 202
RTCP_BYE = 203
RTCP_XR = 207

SDES_CNAME = 1
XR_RRTR = 4
XR_DLRR = 5

REPORT_BLOCK = Struct("!IB3sIIII")
SENDER_INFO = Struct("!IQIII")
SSRC = Struct("!I")
XR_HEAD = Struct("!BBH")
DLRR_ITEM = Struct("!III")
RRTR_BODY = Struct("!Q")
MAX_LOST = (1 << 23) - 1


@dataclass(slots=True)
class ReportBlock:
    ssrc: int
    fraction_lost: int = 0  # 1/256
    packets_lost: int = 0  # signed 24 bits
    highest_sequence: int = 0  # extended
    jitter: int = 0  # timestamp units
    lsr: int = 0
    dlsr: int = 0  # 1/65536 s

    def serialize(self) -> bytes:
        lost = max(-MAX_LOST - 1, min(MAX_LOST, self.packets_lost)).to_bytes(3, "big", signed=True)
        return REPORT_BLOCK.pack(
            self.ssrc, self.fraction_lost, lost, self.highest_sequence, self.jitter, self.lsr, self.dlsr
        )


@dataclass(slots=True)
class SenderReport:
    ssrc: int
    ntp: int  # 32.32
    rtp_time: int
    packet_count: int
    octet_count: int
    blocks: list[ReportBlock] = field(default_factory=list)  # at most 31

    def serialize(self) -> tuple[int, int, bytes]:
        head = SENDER_INFO.pack(self.ssrc, self.ntp, self.rtp_time, self.packet_count, self.octet_count)
        return RTCP_SR, len(self.blocks), head + b"".join(block.serialize() for block in self.blocks)


@dataclass(slots=True)
class ReceiverReport:
    ssrc: int
    blocks: list[ReportBlock] = field(default_factory=list)  # at most 31

    def serialize(self) -> tuple[int, int, bytes]:
        return RTCP_RR, len(self.blocks), SSRC.pack(self.ssrc) + b"".join(b.serialize() for b in self.blocks)


@dataclass(slots=True)
class SourceDescription:
    """Chunks of (ssrc, [(item type, text)])."""

    chunks: list[tuple[int, list[tuple[int, bytes]]]]  # at most 31

    def serialize(self) -> tuple[int, int, bytes]:
        out = b""
        for ssrc, items in self.chunks:
            chunk = SSRC.pack(ssrc) + b"".join(bytes((kind, len(text))) + text for kind, text in items) + b"\0"
            out += chunk + bytes(-len(chunk) % 4)
        return RTCP_SDES, len(self.chunks), out


@dataclass(slots=True)
class Bye:
    ssrcs: list[int]  # at most 31
    reason: bytes = b""

    def serialize(self) -> tuple[int, int, bytes]:
        out = b"".join(SSRC.pack(ssrc) for ssrc in self.ssrcs)
        if self.reason:
            tail = bytes((len(self.reason),)) + self.reason
            out += tail + bytes(-len(tail) % 4)
        return RTCP_BYE, len(self.ssrcs), out


@dataclass(slots=True)
class ExtendedReport:
    """`rrtr` is the sender's NTP time; `dlrr` answers others' as (ssrc, lrr, dlrr). Other blocks are skipped."""

    ssrc: int
    rrtr: int | None = None
    dlrr: list[tuple[int, int, int]] = field(default_factory=list)

    def serialize(self) -> tuple[int, int, bytes]:
        out = SSRC.pack(self.ssrc)
        if self.rrtr is not None:
            out += XR_HEAD.pack(XR_RRTR, 0, 2) + RRTR_BODY.pack(self.rrtr)
        if self.dlrr:
            out += XR_HEAD.pack(XR_DLRR, 0, 3 * len(self.dlrr))
            out += b"".join(DLRR_ITEM.pack(*item) for item in self.dlrr)
        return RTCP_XR, 0, out


def _parse_blocks(body: bytes, offset: int, count: int) -> list[ReportBlock]:
    blocks = []
    for at in range(offset, offset + count * REPORT_BLOCK.size, REPORT_BLOCK.size):
        ssrc, fraction, lost, highest, jitter, lsr, dlsr = REPORT_BLOCK.unpack_from(body, at)
        blocks.append(ReportBlock(ssrc, fraction, int.from_bytes(lost, "big", signed=True), highest, jitter, lsr, dlsr))
    return blocks


def parse_sr(count: int, body: bytes) -> SenderReport:
    try:
        return SenderReport(*SENDER_INFO.unpack_from(body), _parse_blocks(body, SENDER_INFO.size, count))
    except error as exc:
        raise ParseError("sender report is cut off") from exc


def parse_rr(count: int, body: bytes) -> ReceiverReport:
    try:
        return ReceiverReport(*SSRC.unpack_from(body), _parse_blocks(body, SSRC.size, count))
    except error as exc:
        raise ParseError("receiver report is cut off") from exc


def parse_sdes(count: int, body: bytes) -> SourceDescription:
    chunks: list[tuple[int, list[tuple[int, bytes]]]] = []
    offset, end = 0, len(body)
    for _ in range(count):
        if offset + 4 > end:
            raise ParseError("SDES chunk is cut off")
        (ssrc,) = SSRC.unpack_from(body, offset)
        offset += 4
        items: list[tuple[int, bytes]] = []
        while offset < end and body[offset]:
            if offset + 2 > end or offset + 2 + body[offset + 1] > end:
                raise ParseError("SDES item is cut off")
            stop = offset + 2 + body[offset + 1]
            items.append((body[offset], body[offset + 2 : stop]))
            offset = stop
        offset += 4 - offset % 4  # the terminating null and padding to a word
        chunks.append((ssrc, items))
    return SourceDescription(chunks)


def parse_bye(count: int, body: bytes) -> Bye:
    end = 4 * count
    if end > len(body):
        raise ParseError("BYE is cut off")
    ssrcs = [SSRC.unpack_from(body, at)[0] for at in range(0, end, 4)]
    if end == len(body):
        return Bye(ssrcs)
    stop = end + 1 + body[end]
    if stop > len(body):
        raise ParseError("BYE reason is cut off")
    return Bye(ssrcs, body[end + 1 : stop])


def parse_xr(count: int, body: bytes) -> ExtendedReport:
    if len(body) < 4:
        raise ParseError("XR is cut off")
    report = ExtendedReport(*SSRC.unpack_from(body))
    offset, end = 4, len(body)
    while offset < end:
        if offset + 4 > end:
            raise ParseError("XR block is cut off")
        kind, _, words = XR_HEAD.unpack_from(body, offset)
        offset += 4
        stop = offset + 4 * words
        if stop > end:
            raise ParseError("XR block is cut off")
        if kind == XR_RRTR:
            if words != 2:
                raise ParseError("RRTR block has a wrong length")
            (report.rrtr,) = RRTR_BODY.unpack_from(body, offset)
        elif kind == XR_DLRR:
            if words % 3:
                raise ParseError("DLRR block has a wrong length")
            report.dlrr += [DLRR_ITEM.unpack_from(body, at) for at in range(offset, stop, DLRR_ITEM.size)]
        offset = stop
    return report
