"""STUN messages as ICE uses them: a strict wrapper over aioice's codec. RFC 8489, RFC 8445 section 7.

Here: `parse` (any garbage is a ParseError), integrity with a short-term credential, the two answers that a lite agent gives,
and a cheap look at the USERNAME for demultiplexing. Not here: what an answer should be (`agent.py`).
"""

from __future__ import annotations

import hmac
import ipaddress
import struct
from binascii import crc32
from typing import Any

from aioice import stun as codec

from media.errors import ParseError

MAGIC_COOKIE = 0x2112A442  # RFC 8489 section 5
HEADER_LENGTH = 20
FINGERPRINT_XOR = 0x5354554E  # RFC 8489 section 14.7

BINDING_REQUEST = 0x0001
BINDING_INDICATION = 0x0011
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111

USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020
FINGERPRINT = 0x8028

# Comprehension-required attributes that a binding request may carry without a 420. RFC 8489 section 6.3, RFC 8445 section 16.1.
UNDERSTOOD = frozenset(
    (
        0x0001,
        USERNAME,
        MESSAGE_INTEGRITY,
        ERROR_CODE,
        UNKNOWN_ATTRIBUTES,
        0x0014,
        0x0015,
        XOR_MAPPED_ADDRESS,
        0x0024,
        0x0025,
    )
)

MAX_ATTRIBUTES = 64  # a check of a browser has under ten; bounds the work of one datagram
MAX_USERNAME_BYTES = 513  # RFC 8489 section 14.3 says 508; RFC 5389 said 512

REASONS = {
    400: b"Bad Request",
    401: b"Unauthenticated",
    420: b"Unknown Attribute",
    487: b"Role Conflict",
}

_HEADER = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")


class StunMessage:
    """One parsed message. `attributes` are aioice's names and values; `unknown` are comprehension-required types we do not know."""

    __slots__ = ("attributes", "message", "message_type", "transaction_id", "unknown")

    def __init__(self, message_type: int, message: codec.Message, unknown: tuple[int, ...]) -> None:
        self.message_type = message_type
        self.message = message
        self.transaction_id: bytes = message.transaction_id
        self.attributes: dict[str, Any] = message.attributes
        self.unknown = unknown

    @property
    def username(self) -> str | None:
        return self.attributes.get("USERNAME")

    @property
    def has_integrity(self) -> bool:
        return "MESSAGE-INTEGRITY" in self.attributes

    @property
    def has_fingerprint(self) -> bool:
        return "FINGERPRINT" in self.attributes

    def check_integrity(self, key: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY (HMAC-SHA1) is there and was made with `key`."""
        return self.message.check_message_integrity(key)

    def serialize(self) -> bytes:
        """The message in aioice's writing; attributes that it does not know are lost."""
        return bytes(self.message)


def parse(data: bytes) -> StunMessage:
    """Raises ParseError for whatever is not one whole message with the magic cookie and, if present, a right FINGERPRINT."""
    message_type = _check_header(data)
    unknown = _walk(data)
    try:
        message = codec.parse_message(data)
    except (ValueError, struct.error, KeyError, IndexError) as error:  # ValueError: UnicodeDecodeError too
        raise ParseError("STUN attribute is malformed") from error
    error_code = message.error_code
    if error_code is not None and not 300 <= error_code <= 699:
        raise ParseError("STUN error code is out of range")  # RFC 8489 section 14.8
    return StunMessage(message_type, message, unknown)


def _check_header(data: bytes) -> int:
    if len(data) < HEADER_LENGTH:
        raise ParseError("STUN message is shorter than its header")
    message_type, length, cookie, _ = _HEADER.unpack_from(data)
    if message_type & 0xC000:
        raise ParseError("STUN message type has its top bits set")
    if cookie != MAGIC_COOKIE:
        raise ParseError("STUN magic cookie is missing")
    if length & 3 or length != len(data) - HEADER_LENGTH:
        raise ParseError("STUN length is wrong")
    return message_type


def _walk(data: bytes) -> tuple[int, ...]:
    """Checks that attributes fill the message exactly; gives the authenticated comprehension-required types we do not know."""
    unknown: list[int] = []
    position, end, count, covered = HEADER_LENGTH, len(data), 0, True
    while position < end:
        kind, length = _ATTRIBUTE.unpack_from(data, position)
        position += 4 + (length + 3 & ~3)
        count += 1
        if position > end or count > MAX_ATTRIBUTES:
            raise ParseError("STUN attributes do not fit")
        if kind == FINGERPRINT and position != end:
            raise ParseError("STUN FINGERPRINT is not the last attribute")  # RFC 8489 section 14.7
        if covered and kind < 0x8000 and kind not in UNDERSTOOD:
            unknown.append(kind)
        if kind == MESSAGE_INTEGRITY:
            covered = (
                False  # RFC 8489 section 14.5: "agents MUST ignore all other attributes that follow" but FINGERPRINT
            )
    return tuple(unknown)


def peek_username(data: bytes) -> str | None:
    """The USERNAME of what may be a STUN message, unchecked otherwise; None if there is none. Never raises."""
    end = len(data)
    if end < HEADER_LENGTH + 4 or data[4:8] != b"\x21\x12\xa4\x42":
        return None
    position = HEADER_LENGTH
    for _ in range(MAX_ATTRIBUTES):
        if position + 4 > end:
            return None
        kind, length = _ATTRIBUTE.unpack_from(data, position)
        if kind == USERNAME:
            value = data[position + 4 : position + 4 + length]
            if len(value) < length or length > MAX_USERNAME_BYTES or not value.isascii():
                return None
            return value.decode("ascii")
        position += 4 + (length + 3 & ~3)
    return None


def serialize_success(transaction_id: bytes, host: str, port: int, key: bytes) -> bytes:
    """A binding success response: XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT. Raises ValueError for a bad `host`."""
    address = ipaddress.ip_address(host)
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # a socket for both families shows IPv4 peers so; they know themselves as IPv4
    packed = address.packed
    mask = (b"\x21\x12\xa4\x42" + transaction_id)[: len(packed)]
    xored = (int.from_bytes(packed, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(packed), "big")
    family = 1 if address.version == 4 else 2
    body = struct.pack("!HHBBH", XOR_MAPPED_ADDRESS, 4 + len(packed), 0, family, port ^ (MAGIC_COOKIE >> 16)) + xored
    return _finish(BINDING_SUCCESS, transaction_id, body, key)


def serialize_error(transaction_id: bytes, code: int, *, key: bytes | None, unknown: tuple[int, ...] = ()) -> bytes:
    """A binding error response of `code` (one of REASONS); without MESSAGE-INTEGRITY if `key` is None."""
    reason = REASONS[code]
    body = struct.pack("!HHHBB", ERROR_CODE, 4 + len(reason), 0, code // 100, code % 100) + _padded(reason)
    if unknown:
        types = b"".join(kind.to_bytes(2, "big") for kind in unknown)
        body += _ATTRIBUTE.pack(UNKNOWN_ATTRIBUTES, len(types)) + _padded(types)
    return _finish(BINDING_ERROR, transaction_id, body, key)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _finish(message_type: int, transaction_id: bytes, body: bytes, key: bytes | None) -> bytes:
    """Header and body, then MESSAGE-INTEGRITY and FINGERPRINT, each with the length that its own sum has to see."""
    if key is not None:
        head = _HEADER.pack(message_type, len(body) + 24, MAGIC_COOKIE, transaction_id)
        body += _ATTRIBUTE.pack(MESSAGE_INTEGRITY, 20) + hmac.digest(key, head + body, "sha1")
    data = _HEADER.pack(message_type, len(body) + 8, MAGIC_COOKIE, transaction_id) + body
    return data + struct.pack("!HHI", FINGERPRINT, 4, crc32(data) ^ FINGERPRINT_XOR)
