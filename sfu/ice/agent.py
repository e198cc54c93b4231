"""An ICE-lite agent: it answers authenticated binding requests and remembers where they came from. RFC 8445.

It asks nothing, gathers nothing and keeps no check list: always controlled, one component, host candidates only
(RFC 8445 section 2.5). Consent (RFC 7675) is the peer's to prove: `last_request_at` says when it last did; the deadline is the
transport's. Not here: STUN's bytes (`stun.py`), candidates (`candidate.py`).
"""

from __future__ import annotations

from media.drops import DropCounts, DropReason
from media.errors import ParseError
from sfu.ice import stun

Path = tuple[str, int, str]  # remote host, remote port, local host: opaque but for the mapped address of an answer

MAX_PATHS = 16  # a browser with four addresses checks four or eight; bounds what one peer can pin. Policy: drop oldest


class IceAgent:
    """The ICE side of one peer. `selected` is where media goes: the newest nomination, before any the last valid request."""

    __slots__ = (
        "_drops",
        "_nominated",
        "_previous",
        "last_request_at",
        "local_pwd",
        "local_ufrag",
        "paths",
        "selected",
    )

    def __init__(self, *, local_ufrag: str, local_pwd: str, drops: DropCounts) -> None:
        self.local_ufrag = local_ufrag
        self.local_pwd = local_pwd
        self.paths: dict[Path, float] = {}  # validated; oldest use first; value: time of the last request
        self.selected: Path | None = None
        self.last_request_at: float | None = None
        self._previous: tuple[str, str] | None = None
        self._nominated = False
        self._drops = drops

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Ours that a request may name: the newest, and the one in use until the newest is used."""
        return (self.local_ufrag,) if self._previous is None else (self._previous[0], self.local_ufrag)

    def restart(self, local_ufrag: str, local_pwd: str) -> None:
        """New credentials; those in use stay valid until the new ones are used, and media stays on its path.

        RFC 8445 section 9: the previous pair carries media until the restart has selected one.
        """
        if self._previous is None:
            self._previous = (self.local_ufrag, self.local_pwd)
        self.local_ufrag, self.local_pwd = local_ufrag, local_pwd

    def receive_datagram(self, data: bytes, path: Path, *, now: float) -> bytes | None:
        """The answer to send back on `path`, or None. Garbage is counted."""
        try:
            message = stun.parse(data)
        except ParseError:
            self._drops.count(DropReason.STUN_MALFORMED)
            return None
        if message.message_type == stun.BINDING_INDICATION:
            return None  # RFC 8445 section 11: a keepalive; unauthenticated, so it proves no consent
        if message.message_type != stun.BINDING_REQUEST or not message.has_fingerprint:
            self._drops.count(DropReason.STUN_MALFORMED)  # we asked nothing, so no response can be for us
            return None
        return self._answer(message, path, now)

    def _answer(self, message: stun.StunMessage, path: Path, now: float) -> bytes | None:
        transaction_id = message.transaction_id
        username = message.username
        if username is None or not message.has_integrity:
            # RFC 8489 section 9.1.3: "the server MUST reject the request with an error response ... 400 (Bad Request)"
            self._drops.count(DropReason.STUN_UNAUTHENTICATED)
            return stun.serialize_error(transaction_id, 400, key=None)
        password = self._password(username.partition(":")[0])
        if password is None or not message.check_integrity(key := password.encode()):
            # "This response MUST use an error code of 401 (Unauthenticated)": for an unknown name and a wrong sum alike
            self._drops.count(DropReason.STUN_UNAUTHENTICATED)
            return stun.serialize_error(transaction_id, 401, key=None)
        if message.unknown:
            return stun.serialize_error(transaction_id, 420, key=key, unknown=message.unknown)
        if "ICE-CONTROLLED" in message.attributes:
            # RFC 8445 section 7.3.1.1. A lite agent cannot take the controlling role from a full one (section 6.1.1):
            # whatever the tie-breakers, the peer has to switch.
            return stun.serialize_error(transaction_id, 487, key=key)
        self._accept(path, "USE-CANDIDATE" in message.attributes, now)
        if password is self.local_pwd:
            self._previous = None
        return stun.serialize_success(transaction_id, path[0], path[1], key)

    def _password(self, ufrag: str) -> str | None:
        """RFC 8445 section 7.3: only the part before the colon is ours to check; the other may come before its description."""
        if ufrag == self.local_ufrag:
            return self.local_pwd
        if self._previous is not None and ufrag == self._previous[0]:
            return self._previous[1]
        return None

    def _accept(self, path: Path, nominates: bool, now: float) -> None:
        self.last_request_at = now
        self.paths.pop(path, None)
        self.paths[path] = now
        if nominates:
            # RFC 8445 section 8.1.1 lets a controlling agent nominate once; older ones nominate with every check
            # (RFC 5245 section 8.1.1.2, Firefox), so the newest one wins.
            self._nominated = True
            self.selected = path
        elif not self._nominated:
            self.selected = path
        if len(self.paths) > MAX_PATHS:
            del self.paths[next(known for known in self.paths if known != self.selected)]
