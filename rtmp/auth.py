"""User and password for servers that ask for them with `authmod=adobe`. In no specification: as encoders and servers do it.

A refused `connect` says what is asked; the answer goes as a query of the application in a new connection. First the user, which
gets salt and challenge, then the response. The password itself is never sent.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, quote

from rtmp.url import PublishTarget

MODE = "authmod=adobe"
CHALLENGE_LENGTH = 4  # bytes of ours

_QUERY = re.compile(r"\?([^\s\]]+)")


def is_asked(description: str) -> bool:
    """Whether a refusal of `connect` asks for user and password, in whatever way."""
    return "authmod=" in description


def answer(target: PublishTarget, description: str, *, random_bytes: Callable[[int], bytes]) -> PublishTarget | None:
    """Where to connect again; None when the server asks for what we have not or will not have again what it had."""
    if MODE not in description or not target.user:
        return None
    found = _QUERY.search(description)
    if found is None:
        # Asked a second time, the user was of no use.
        return None if MODE in target.app else target.with_query(f"{MODE}&user={quote(target.user)}")
    asked = dict(parse_qsl(found[1].replace("+", "%2B")))  # base64 in a query that nobody has quoted
    if asked.get("reason") != "needauth" or "response=" in target.app:
        return None
    ours = random_bytes(CHALLENGE_LENGTH).hex()
    secret = _digest(target.user + asked.get("salt", "") + target.password)
    response = _digest(secret + (asked.get("opaque") or asked.get("challenge", "")) + ours)
    query = f"{MODE}&user={quote(target.user)}&challenge={ours}&response={response}"
    return target.with_query(query + (f"&opaque={asked['opaque']}" if asked.get("opaque") else ""))


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.md5(text.encode(), usedforsecurity=False).digest()).decode()
