"""AV1 aggregation header and OBUs: keyframes, and the OBUs of a temporal unit. AV1 RTP specification section 4.4."""

from __future__ import annotations

from collections.abc import Sequence

from media.errors import ParseError

OBU_SEQUENCE_HEADER = 1
OBU_TEMPORAL_DELIMITER = 2
OBU_TILE_LIST = 8
MAX_OBUS = 512  # of a temporal unit: 600 of a byte fit into one packet, and take a worker 0.8 ms
MAX_LEB128 = 4  # bytes: no OBU of a call is longer than 256 MiB


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


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends. AV1 bitstream section 4.10.5."""
    value = 0
    for index in range(MAX_LEB128):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    raise ParseError("AV1 length is cut off")


def write_leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def unpack(payloads: Sequence[bytes]) -> list[bytes]:
    """The OBUs of packets in order, each with its size: pieces that belong together joined."""
    obus: list[bytes] = []
    pieces: list[bytes] = []  # of the element that goes on in the next packet
    continued = False
    for payload in payloads:
        if not payload:
            raise ParseError("AV1 packet is empty")
        if bool(payload[0] & 0x80) is not continued:  # Z
            raise ParseError("AV1 fragments do not fit together")
        continued = bool(payload[0] & 0x40)  # Y
        *whole, last = _split(payload)
        for element in whole:
            obus += _with_size(b"".join((*pieces, element)))
            pieces.clear()
        pieces.append(last)
        if len(obus) > MAX_OBUS:
            raise ParseError("AV1 temporal unit has too many OBUs")
        if not continued:
            obus += _with_size(b"".join(pieces))
            pieces.clear()
    if continued:
        raise ParseError("AV1 fragments end without their last")
    return obus


def _split(payload: bytes) -> list[bytes]:
    """The elements of one packet. W says how many there are, the last then without a length; 0: each has one."""
    count = payload[0] >> 4 & 3
    elements: list[bytes] = []
    at = 1
    while at < len(payload) and not (count and len(elements) == count - 1):
        size, at = read_leb128(payload, at)
        if size > len(payload) - at:
            raise ParseError("AV1 element is cut off")
        elements.append(payload[at : at + size])
        at += size
    if count and len(elements) == count - 1:
        elements.append(payload[at:])
        at = len(payload)
    if not elements or (count and len(elements) != count):
        raise ParseError("AV1 packet has fewer elements than it says")
    return elements


def _with_size(obu: bytes) -> list[bytes]:
    """The OBU with its size field; nothing for those that do not belong into a file."""
    if not obu:
        raise ParseError("AV1 OBU is empty")
    head = obu[0]
    at = 2 if head & 0x04 else 1  # the extension's byte
    if len(obu) < at:
        raise ParseError("AV1 OBU is cut off")
    if head >> 3 & 0x0F in (OBU_TEMPORAL_DELIMITER, OBU_TILE_LIST):
        return []
    body = obu[at:]
    if head & 0x02:
        size, start = read_leb128(obu, at)
        if size > len(obu) - start:
            raise ParseError("AV1 OBU is cut off")
        body = obu[start : start + size]
    return [bytes((head | 0x02,)) + obu[1:at] + write_leb128(len(body)) + body]
