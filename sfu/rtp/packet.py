"""The RTP packet: fixed header, CSRCs, one extension block, payload, padding. RFC 3550 section 5.1.

What the extension block holds is read by `extensions.py`. Header writing for a fan-out is in `fast.py`.
"""

from __future__ import annotations

from struct import Struct

from media.errors import ParseError

HEADER = Struct("!BBHII")
EXTENSION_HEADER = Struct("!HH")  # profile, length in 32-bit words
VERSION_2 = 0x80
MARKER = 0x80
HEADER_BYTES = 12


class RtpPacket:
    """Offsets into one datagram that is never modified. `sequence`, `arrival` and `elements` are set once, at ingest."""

    __slots__ = (
        "arrival",  # monotonic seconds
        "data",
        "elements",  # [(id, start, end)] of the header extensions
        "ext_end",
        "ext_offset",
        "ext_profile",  # 0: no extension block
        "marker",
        "payload_end",  # without padding
        "payload_offset",
        "payload_type",
        "sequence",  # extended and without dropped padding: what histories are indexed by
        "sequence_number",
        "ssrc",
        "timestamp",
    )

    @property
    def payload(self) -> bytes:
        return self.data[self.payload_offset : self.payload_end]

    @property
    def csrcs(self) -> bytes:
        return self.data[HEADER_BYTES : HEADER_BYTES + 4 * (self.data[0] & 0x0F)]

    @property
    def extension(self) -> bytes:
        return self.data[self.ext_offset : self.ext_end]


def parse(data: bytes) -> RtpPacket:
    """Offsets and fields of one packet; ParseError unless everything that the header announces fits into it."""
    length = len(data)
    if length < HEADER_BYTES:
        raise ParseError("RTP packet shorter than its header")
    packet = RtpPacket()
    first, second, packet.sequence_number, packet.timestamp, packet.ssrc = HEADER.unpack_from(data)
    if first & 0xC0 != VERSION_2:
        raise ParseError("RTP version is not 2")
    packet.data = data
    packet.marker = second >= MARKER
    packet.payload_type = second & 0x7F
    offset = HEADER_BYTES + 4 * (first & 0x0F)
    packet.ext_profile = 0
    packet.ext_offset = packet.ext_end = offset
    if first & 0x10:
        if offset + 4 > length:
            raise ParseError("RTP extension header is cut off")
        packet.ext_profile, words = EXTENSION_HEADER.unpack_from(data, offset)
        packet.ext_offset = offset + 4
        packet.ext_end = offset = offset + 4 + 4 * words
    if offset > length:
        raise ParseError("RTP header is cut off")
    packet.payload_offset = offset
    packet.payload_end = length
    if first & 0x20:
        # RFC 3550 section 5.1: "The last octet of the padding contains a count of how many padding octets should be
        # ignored, including itself."
        padding = data[-1]
        if padding == 0 or padding > length - offset:
            raise ParseError("RTP padding is longer than the payload")
        packet.payload_end = length - padding
    packet.sequence = 0
    packet.arrival = 0.0
    packet.elements = ()
    return packet


def serialize(
    *,
    payload_type: int,
    sequence_number: int,
    timestamp: int,
    ssrc: int,
    payload: bytes = b"",
    marker: bool = False,
    csrcs: bytes = b"",
    ext_profile: int = 0,
    extension: bytes = b"",
    padding: int = 0,
) -> bytes:
    """One packet. `extension` is a whole block (a multiple of 4 bytes) of `ext_profile`; `padding` counts its last octet."""
    first = VERSION_2 | len(csrcs) // 4 | (0x10 if ext_profile or extension else 0) | (0x20 if padding else 0)
    second = payload_type | (MARKER if marker else 0)
    parts = [HEADER.pack(first, second, sequence_number, timestamp, ssrc), csrcs]
    if ext_profile or extension:
        parts += (EXTENSION_HEADER.pack(ext_profile, len(extension) // 4), extension)
    parts.append(payload)
    if padding:
        parts.append(bytes(padding - 1) + bytes((padding,)))
    return b"".join(parts)
