"""Which peer session a datagram belongs to: tables of addresses and of ufrags, and the count of handshakes. RFC 7983, RFC 8445.

Pure tables, generic in the session. An unknown address becomes known by an authenticated STUN request only: `route` finds the
session by the ufrag in its USERNAME, the transport checks it, and the owner then calls `bind`. Not here: sessions themselves.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from media.drops import DropCounts, DropReason
from sfu.config import SfuConfig
from sfu.ice.agent import MAX_PATHS, Path
from sfu.ice.stun import peek_username

S = TypeVar("S")


class Demux(Generic[S]):
    """`S` is the session: any hashable object, compared by identity."""

    __slots__ = ("_by_address", "_config", "_drops", "_handshakes", "_paths_of", "_ufrags_of", "paths", "ufrags")

    def __init__(self, config: SfuConfig, drops: DropCounts) -> None:
        self.paths: dict[Path, S] = {}
        self.ufrags: dict[str, S] = {}
        self._config = config
        self._drops = drops
        self._paths_of: dict[S, list[Path]] = {}
        self._ufrags_of: dict[S, tuple[str, ...]] = {}
        self._handshakes: dict[S, str] = {}  # to the source address it counts for
        self._by_address: dict[str, int] = {}

    def set_ufrags(self, session: S, ufrags: tuple[str, ...]) -> None:
        """Makes a session findable by these local ufrags and no others; again after an ICE restart."""
        for ufrag in self._ufrags_of.get(session, ()):
            if self.ufrags.get(ufrag) is session:
                del self.ufrags[ufrag]
        self._ufrags_of[session] = ufrags
        for ufrag in ufrags:
            self.ufrags[ufrag] = session

    def remove(self, session: S) -> None:
        """Forgets everything about a session; unknown ones are fine."""
        for ufrag in self._ufrags_of.pop(session, ()):
            if self.ufrags.get(ufrag) is session:
                del self.ufrags[ufrag]
        for path in self._paths_of.pop(session, ()):
            if self.paths.get(path) is session:
                del self.paths[path]
        self.end_handshake(session)

    def route(self, data: bytes, path: Path) -> S | None:
        """The session that `data` from `path` is for; None (and a count) if there is none.

        With STUN the USERNAME decides before the address, because an address can get a new owner: a reloaded page, a NAT.
        """
        first = data[0] if data else 255
        if first > 3:
            session = self.paths.get(path)
            if session is None:
                self._drops.count(DropReason.UNKNOWN_PATH if first < 192 and first > 19 else DropReason.UNKNOWN_KIND)
            return session
        username = peek_username(data)
        if username is None:
            session, reason = self.paths.get(path), DropReason.STUN_MALFORMED
        else:
            session, reason = self.ufrags.get(username.partition(":")[0]), DropReason.STUN_UNKNOWN_USER
        if session is None:
            self._drops.count(reason)
        return session

    def bind(self, path: Path, session: S) -> None:
        """`path` has been authenticated for `session`, maybe away from another. Cheap when nothing changes."""
        if self.paths.get(path) is session:
            return
        self.paths[path] = session
        known = self._paths_of.setdefault(session, [])
        if path in known:  # it was another's in between
            known.remove(path)
        known.append(path)
        if len(known) > MAX_PATHS:
            oldest = known.pop(0)
            if self.paths.get(oldest) is session:
                del self.paths[oldest]

    def begin_handshake(self, session: S, address: str) -> bool:
        """Counts a handshake for a source address; False (and a count) if that would be too many. Once for each session."""
        if session in self._handshakes:
            return True
        here = self._by_address.get(address, 0)
        config = self._config
        if len(self._handshakes) >= config.max_handshakes or here >= config.max_handshakes_per_address:
            self._drops.count(DropReason.HANDSHAKE_LIMIT)
            return False
        self._handshakes[session] = address
        self._by_address[address] = here + 1
        return True

    def end_handshake(self, session: S) -> None:
        """It is connected, failed or gone."""
        address = self._handshakes.pop(session, None)
        if address is None:
            return
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]

    @property
    def handshakes(self) -> int:
        """In progress now."""
        return len(self._handshakes)
