"""Identifiers. Randomness is an argument: `random_bytes(n)` is `os.urandom` in the node and seeded in tests."""

from __future__ import annotations

import re
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
ICE_CHARS = BASE62 + "+/"  # RFC 8839 section 5.4

ROOM_ID = re.compile(r"^[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}$")


def random_text(alphabet: str, length: int, random_bytes: RandomBytes) -> str:
    """`length` characters of `alphabet` (at most 128 characters), without modulo bias."""
    limit = 256 - 256 % len(alphabet)
    out: list[str] = []
    while len(out) < length:
        out.extend(alphabet[b % len(alphabet)] for b in random_bytes(length * 2) if b < limit)
    return "".join(out[:length])


def inner_id(prefix: str, random_bytes: RandomBytes) -> str:
    """`RM_`, `PA_` or `TR_` and 12 base62 characters: names inside a node."""
    return prefix + random_text(BASE62, 12, random_bytes)


def document_id(random_bytes: RandomBytes) -> str:
    """24 lower-case hex digits: ids in REST answers."""
    return random_bytes(12).hex()


def room_code(random_bytes: RandomBytes) -> str:
    """`xxxx-xxxx-xxxx`: what people say aloud and type."""
    text = random_text(BASE36, 12, random_bytes)
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def participant_code(random_bytes: RandomBytes) -> str:
    """Eight characters: the id of a participant whose caller chose none."""
    return random_text(BASE36, 8, random_bytes)
