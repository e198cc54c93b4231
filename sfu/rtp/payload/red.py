"""Redundant audio (RFC 2198): passed on whole; its block headers renamed or its primary block taken out where they must be."""

from __future__ import annotations

from collections.abc import Mapping

from media.errors import ParseError


def parse(payload: bytes) -> tuple[list[int], int, int]:
    """Offsets of the block headers (the primary's last), where the blocks begin, and where the primary's does."""
    heads: list[int] = []
    at = redundant = 0
    while True:
        if at >= len(payload):
            raise ParseError("RED headers are cut off")
        heads.append(at)
        if not payload[at] & 0x80:  # F: no further block header follows
            break
        if at + 4 > len(payload):
            raise ParseError("RED headers are cut off")
        redundant += (payload[at + 2] & 3) << 8 | payload[at + 3]
        at += 4
    start = at + 1
    if start + redundant > len(payload):
        raise ParseError("RED blocks are cut off")
    return heads, start, start + redundant


def rename(payload: bytes, payload_types: Mapping[int, int]) -> bytes:
    """The payload with its blocks' payload types mapped; unchanged if it cannot be read."""
    try:
        heads, start, _ = parse(payload)
    except ParseError:
        return payload
    head = bytearray(payload[:start])
    for at in heads:
        kind = head[at] & 0x7F
        head[at] = head[at] & 0x80 | payload_types.get(kind, kind)
    return bytes(head) + payload[start:]


def primary(payload: bytes) -> bytes:
    """The primary block alone, for a subscriber without RED; nothing if it cannot be read."""
    try:
        return payload[parse(payload)[2] :]
    except ParseError:
        return b""
