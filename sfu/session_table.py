"""All peer sessions of a node: how a datagram, a deadline or an event finds its session. Sans-I/O."""

from __future__ import annotations

from media.drops import DropCounts
from sfu.config import SfuConfig
from sfu.demux import Demux
from sfu.events import RtpEvent
from sfu.session import PeerSession
from sfu.timers import Timers
from sfu.transport import Path, TransportConnected, TransportEvent


class SessionTable:
    """Sessions that were given something are *touched*; `next_event` drains those, and no others.

    `touched` is shared with the sessions: one that another session's doing gave something to do puts itself in.
    """

    def __init__(self, config: SfuConfig, drops: DropCounts, touched: dict[PeerSession, None]) -> None:
        self.sessions: dict[str, PeerSession] = {}
        self.demux: Demux[PeerSession] = Demux(config, drops)
        self.serving: PeerSession | None = None
        """Who got the last datagram or deadline; whom to blame when that raised."""
        self._touched = touched
        self._timers: Timers[PeerSession] = Timers()

    def __len__(self) -> int:
        return len(self.sessions)

    @property
    def has_events(self) -> bool:
        return bool(self._touched)

    def add(self, session: PeerSession) -> None:
        """Make it reachable, or, if it is here already, reachable by what ICE credentials it has now."""
        if not session.closed:
            self.sessions[session.id] = session
            self.demux.set_ufrags(session, session.transport.ice.ufrags)
            self._touched[session] = None

    def forget(self, session: PeerSession) -> None:
        self.sessions.pop(session.id, None)
        self._touched.pop(session, None)
        self._timers.disarm(session)
        self.demux.remove(session)
        if self.serving is session:
            self.serving = None

    def receive_datagram(self, data: bytes, path: Path, *, now: float) -> None:
        session = self.demux.paths.get(path) if data and data[0] > 127 else None
        if session is None:
            session = self._route(data, path)
            if session is None:
                return
        self.serving = session
        session.transport.receive_datagram(data, path, now=now)
        self._touched[session] = None
        if data and data[0] < 4 and path in session.transport.ice.paths:
            self.demux.bind(path, session)

    def handle_timer(self, *, now: float) -> None:
        while (session := self._timers.pop_due(now)) is not None:
            self.serving = session
            session.handle_timer(now=now)
            self._touched[session] = None

    def get_timer(self) -> float | None:
        return self._timers.get_timer()

    def next_event(self, *, now: float) -> tuple[PeerSession, TransportEvent | RtpEvent] | None:
        while self._touched:
            session = next(iter(self._touched))
            if not session.closed:
                event = session.next_event(now=now)
                if isinstance(event, TransportConnected):
                    self.demux.end_handshake(session)
                if event is not None:
                    return session, event
                self._timers.arm(session, session.get_timer())
            self._touched.pop(session, None)
        return None

    def _route(self, data: bytes, path: Path) -> PeerSession | None:
        session = self.demux.route(data, path)
        starts = session is not None and not session.connected and data and 19 < data[0] < 64
        if starts and not self.demux.begin_handshake(session, path[0]):
            return None
        return session
