"""Compound RTCP packets: the common header, and which module reads which message. RFC 3550 section 6.1, RFC 5506."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from media.errors import ParseError
from sfu.rtp.feedback import RTCP_PSFB, RTCP_RTPFB, RTPFB_NACK, Fir, Nack, Pli, Remb, parse_nack, parse_psfb
from sfu.rtp.reports import (
    RTCP_BYE,
    RTCP_RR,
    RTCP_SDES,
    RTCP_SR,
    RTCP_XR,
    Bye,
    ExtendedReport,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    parse_bye,
    parse_rr,
    parse_sdes,
    parse_sr,
    parse_xr,
)
from sfu.rtp.twcc import RTPFB_TRANSPORT_CC, TransportFeedback, parse_transport_feedback

COMMON_HEADER = Struct("!BBH")

RtcpMessage = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Bye
    | ExtendedReport
    | Nack
    | Pli
    | Fir
    | Remb
    | TransportFeedback
)

PARSERS = {
    RTCP_SR: parse_sr,
    RTCP_RR: parse_rr,
    RTCP_SDES: parse_sdes,
    RTCP_BYE: parse_bye,
    RTCP_XR: parse_xr,
    RTCP_PSFB: parse_psfb,
}


def _parse_rtpfb(fmt: int, body: bytes) -> Nack | TransportFeedback | None:
    if fmt == RTPFB_NACK:
        return parse_nack(body)
    if fmt == RTPFB_TRANSPORT_CC:
        return parse_transport_feedback(body)
    return None


PARSERS[RTCP_RTPFB] = _parse_rtpfb


def parse_compound(data: bytes) -> list[RtcpMessage]:
    """The messages we know, in order; others are skipped. ParseError if any length or known message is wrong."""
    messages: list[RtcpMessage] = []
    offset, end = 0, len(data)
    if end < 4:
        raise ParseError("RTCP packet shorter than its header")
    while offset < end:
        if offset + 4 > end:
            raise ParseError("RTCP header is cut off")
        first, kind, words = COMMON_HEADER.unpack_from(data, offset)
        if first & 0xC0 != 0x80:
            raise ParseError("RTCP version is not 2")
        stop = offset + 4 + 4 * words
        if stop > end:
            raise ParseError("RTCP message is cut off")
        body = data[offset + 4 : stop]
        if first & 0x20:
            padding = body[-1] if body else 0
            if not 0 < padding <= len(body):
                raise ParseError("RTCP padding is longer than the message")
            body = body[:-padding]
        parser = PARSERS.get(kind)
        message = parser(first & 0x1F, body) if parser else None
        if message is not None:
            messages.append(message)
        offset = stop
    return messages


def serialize_compound(messages: Iterable[RtcpMessage]) -> bytes:
    parts: list[bytes] = []
    for message in messages:
        kind, count, body = message.serialize()
        parts += (COMMON_HEADER.pack(0x80 | count, kind, len(body) // 4), body)
    return b"".join(parts)
