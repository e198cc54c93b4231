"""Signed links for downloads: who has one may read one file until it expires. No token, no cookie.

The signature is HMAC-SHA256 over the row's id, the file's name and the time, with a secret of the project that is made
once and kept in the store. Paths of the storage never appear in a link, so there is none to play with.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import quote

from media.ids import RandomBytes
from tidegate.store.idempotency import Settings

SETTING = "download-secret"
PATH = "/v2/recordings/files"


class Signer:
    """Makes and checks links to files of one project."""

    def __init__(self, secret: bytes, wall: Callable[[], float], seconds: float) -> None:
        self._secret = secret
        self._wall = wall
        self._seconds = seconds

    def url(self, base: str, owner_id: str, name: str) -> str:
        """`base` is our public URL; `owner_id` the id of a recording or transcoding."""
        expires = int(self._wall() + self._seconds)
        signature = self.signature(owner_id, name, expires)
        return f"{base}{PATH}/{owner_id}/{quote(name, safe='')}?expires={expires}&signature={signature}"

    def signature(self, owner_id: str, name: str, expires: int) -> str:
        text = f"{owner_id}\n{name}\n{expires}".encode()
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()

    def is_signed(self, owner_id: str, name: str, expires: int, signature: str) -> bool:
        expected = self.signature(owner_id, name, expires)
        return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))

    def is_over(self, expires: int) -> bool:
        return expires <= self._wall()


class Links:
    """`hours`: how long a link is good."""

    def __init__(
        self, settings: Settings, *, random_bytes: RandomBytes, wall: Callable[[], float], hours: float
    ) -> None:
        self._settings = settings
        self._random_bytes = random_bytes
        self._wall = wall
        self._seconds = hours * 3600
        self._signers: dict[str, Signer] = {}  # one for each project; projects are made by the operator

    async def signer(self, project_id: str) -> Signer:
        signer = self._signers.get(project_id)
        if signer is None:
            fresh = self._random_bytes(32).hex()
            secret = await self._settings.once(project_id, SETTING, fresh)
            signer = self._signers[project_id] = Signer(bytes.fromhex(secret), self._wall, self._seconds)
        return signer
