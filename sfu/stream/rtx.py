"""Retransmission payload format: RFC 4588 section 4, SSRC-multiplexed."""

from __future__ import annotations

from struct import Struct

from media.errors import ParseError
from sfu.rtp.packet import RtpPacket

OSN = Struct("!H")
HEAD = Struct("!HHII")


def unwrap(packet: RtpPacket, *, ssrc: int, payload_type: int) -> RtpPacket:
    """The original packet: a view of the same bytes with the original's number, SSRC and payload type."""
    if packet.payload_end - packet.payload_offset < OSN.size:
        raise ParseError("RTX packet without an original sequence number")
    original = RtpPacket()
    for name in (
        "data",
        "marker",
        "timestamp",
        "ext_profile",
        "ext_offset",
        "ext_end",
        "elements",
        "arrival",
        "payload_end",
    ):
        setattr(original, name, getattr(packet, name))
    (original.sequence_number,) = OSN.unpack_from(packet.data, packet.payload_offset)
    original.payload_offset = packet.payload_offset + OSN.size
    original.payload_type = payload_type
    original.ssrc = ssrc
    original.sequence = 0
    return original


def wrap(plain: bytes, *, payload_offset: int, ssrc: int, payload_type: int, sequence_number: int) -> bytes:
    """The retransmission of an RTP packet whose payload starts at `payload_offset`."""
    first, number, timestamp, _ = HEAD.unpack_from(plain)
    head = HEAD.pack(first & 0xFF80 | payload_type, sequence_number, timestamp, ssrc)
    return b"".join((head, plain[HEAD.size : payload_offset], OSN.pack(number), plain[payload_offset:]))
