"""One peer's transport: ICE-lite, DTLS passive, SRTP; encrypted datagrams on one side, packets on the other. RFC 7983, RFC 5763.

It implements `PacketSource`: what is sent is protected and waits in `outgoing` for the flush at the end of the batch. Decrypted
packets go to `sink`. Everything else (answers of STUN, flights of DTLS) waits in `control_to_send()`. A transport with something
to send has put itself into the shared `dirty` list. Not here: which peer a datagram belongs to (`demux.py`), what RTP means.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from media.drops import DropCounts, DropReason
from media.ports import PacketSink
from sfu.config import SfuConfig
from sfu.dtls import CONTENT_HANDSHAKE, DtlsAssociation, DtlsContext, DtlsState, is_dtls
from sfu.ice.agent import IceAgent, Path
from sfu.srtp import Process, SrtpSession

MAX_CONTROL = 256  # datagrams between two flushes; each is an answer, so the peer repeats itself. Policy: drop newest
MIN_RTP_BYTES = 12  # RFC 3550 section 5.1
MIN_RTCP_BYTES = 8  # RFC 3550 section 6.4


@dataclass(frozen=True, slots=True)
class TransportConnected:
    """ICE, DTLS and the fingerprint check are done: packets pass in both directions."""


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """It will never work, or not any more. `reason` is for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class TransportClosed:
    """The peer said close_notify."""


TransportEvent = TransportConnected | TransportFailed | TransportClosed


class TransportState(Enum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


TRANSITIONS: dict[TransportState, dict[type[TransportEvent], TransportState]] = {
    TransportState.CONNECTING: {
        TransportConnected: TransportState.CONNECTED,
        TransportFailed: TransportState.FAILED,
        TransportClosed: TransportState.CLOSED,
    },
    TransportState.CONNECTED: {
        TransportFailed: TransportState.FAILED,
        TransportClosed: TransportState.CLOSED,
    },
    TransportState.FAILED: {},
    TransportState.CLOSED: {},
}


class Transport:
    """`now` of the constructor is the moment of the description: the handshake's time runs from it."""

    __slots__ = (
        "_association",
        "_config",
        "_control",
        "_dirty",
        "_drops",
        "_dtls_context",
        "_events",
        "_fingerprints",
        "_handshake_deadline",
        "_protect_rtcp",
        "_protect_rtp",
        "_queue_limit",
        "_srtp",
        "_unprotect_rtcp",
        "_unprotect_rtp",
        "ice",
        "is_dirty",
        "last_seen",
        "outgoing",
        "remote_pwd",
        "remote_ufrag",
        "sink",
        "state",
    )

    def __init__(
        self,
        config: SfuConfig,
        dtls_context: DtlsContext,
        *,
        local_ufrag: str,
        local_pwd: str,
        sink: PacketSink | None,
        drops: DropCounts,
        dirty: list[Transport],
        now: float,
    ) -> None:
        self.ice = IceAgent(local_ufrag=local_ufrag, local_pwd=local_pwd, drops=drops)
        self.sink = sink
        self.state = TransportState.CONNECTING
        self.outgoing: list[bytes] = []
        self.is_dirty = False
        self.last_seen = now
        self.remote_ufrag: str | None = None
        self.remote_pwd: str | None = None
        self._config = config
        self._dtls_context = dtls_context
        self._drops = drops
        self._dirty = dirty
        self._queue_limit = config.send_queue_packets
        self._handshake_deadline = now + config.handshake_timeout
        self._fingerprints: tuple[tuple[str, str], ...] | None = None
        self._association: DtlsAssociation | None = None
        self._control: list[tuple[bytes, Path]] = []
        self._events: deque[TransportEvent] = deque()  # at most two: TRANSITIONS has no cycle
        self._clear_keys()

    # Description

    def set_remote(self, ufrag: str, pwd: str, fingerprints: tuple[tuple[str, str], ...]) -> None:
        """What the peer's description says. It may come after the handshake: a browser does not wait for its answer's arrival.

        A lite agent asks nothing, so ufrag and pwd are only kept. RFC 8842 section 3.1: a new fingerprint means a new DTLS
        association, which we do not offer; a connected transport whose certificate is not named any more fails.
        """
        self.remote_ufrag, self.remote_pwd = ufrag, pwd
        self._fingerprints = fingerprints
        self._verify()

    def restart_ice(self, local_ufrag: str, local_pwd: str) -> None:
        """New local credentials; DTLS and SRTP go on. The old ones are accepted until the new ones are used."""
        self.ice.restart(local_ufrag, local_pwd)

    @property
    def selected(self) -> Path | None:
        """Where everything but answers of STUN goes."""
        return self.ice.selected

    # In

    def receive_datagram(self, data: bytes, path: Path, *, now: float) -> None:
        """One datagram of this peer. Never raises for what is in it."""
        first = data[0] if data else 255
        if 127 < first < 192:
            self._receive_srtp(data, now)
        elif self.state is TransportState.FAILED or self.state is TransportState.CLOSED:
            self._drops.count(DropReason.SESSION_CLOSED)
        elif first < 4:
            self._receive_stun(data, path, now)
        elif 19 < first < 64:
            self._receive_dtls(data, path, now)
        else:
            self._drops.count(DropReason.UNKNOWN_KIND)

    def _receive_srtp(self, data: bytes, now: float) -> None:
        size = len(data)
        # RFC 5761 section 4: RTCP packet types 192..223 lie where RTP would have payload types 64..95 with the marker.
        is_rtcp = size > 1 and 191 < data[1] < 224
        unprotect = self._unprotect_rtcp if is_rtcp else self._unprotect_rtp
        if unprotect is None:
            self._drops.count(self._why_no_keys())
            return
        if size < (MIN_RTCP_BYTES if is_rtcp else MIN_RTP_BYTES):
            self._drops.count(DropReason.RTCP_MALFORMED if is_rtcp else DropReason.RTP_MALFORMED)
            return
        packet = unprotect(data)
        if packet is None:
            return
        self.last_seen = now
        sink = self.sink
        if sink is None:
            self._drops.count(DropReason.SESSION_CLOSED)
        elif is_rtcp:
            sink.receive_rtcp(packet, now=now)
        else:
            sink.receive_rtp(packet, now=now)

    def _receive_stun(self, data: bytes, path: Path, now: float) -> None:
        answer = self.ice.receive_datagram(data, path, now=now)
        if self.ice.last_request_at == now:
            self.last_seen = now
        if answer is not None:
            self._queue_control(answer, path)

    def _receive_dtls(self, data: bytes, path: Path, now: float) -> None:
        if path not in self.ice.paths:
            self._drops.count(DropReason.DTLS_BEFORE_ICE)
            return
        if not is_dtls(data):
            self._drops.count(DropReason.DTLS_MALFORMED)
            return
        association = self._association
        if association is None:
            if data[0] != CONTENT_HANDSHAKE:  # an association costs 78 KB: only a handshake is worth it
                self._drops.count(DropReason.DTLS_MALFORMED)
                return
            association = self._association = DtlsAssociation(self._dtls_context)
        was = association.state
        messages = association.receive_datagram(data, now=now)
        if messages:
            self._drops.count(DropReason.DTLS_APPLICATION_DATA, len(messages))
        self._flush_dtls()
        if association.state is not was:
            self._handle_dtls_state(association)

    # Out

    def send_rtp(self, data: bytes) -> None:
        protect = self._protect_rtp
        outgoing = self.outgoing
        if protect is None:
            self._drops.count(self._why_no_keys())
        elif len(outgoing) >= self._queue_limit:
            self._drops.count(DropReason.SEND_QUEUE_FULL)
        elif (packet := protect(data)) is not None:
            outgoing.append(packet)
            if not self.is_dirty:
                self._mark_dirty()

    def send_rtcp(self, data: bytes) -> None:
        protect = self._protect_rtcp
        if protect is None:
            self._drops.count(self._why_no_keys())
        elif len(self.outgoing) >= self._queue_limit:
            self._drops.count(DropReason.SEND_QUEUE_FULL)
        elif (packet := protect(data)) is not None:
            self.outgoing.append(packet)
            if not self.is_dirty:
                self._mark_dirty()

    def forget_streams(self, *ssrcs: int | None) -> None:
        """Nothing will ever be sent under these SSRCs again."""
        for ssrc in ssrcs:
            if ssrc is not None and self._srtp is not None:
                self._srtp.forget_stream(ssrc)

    def take_outgoing(self) -> list[bytes]:
        """Everything protected since the last time, for `selected`; the transport is clean again. For the flush of the batch."""
        out, self.outgoing = self.outgoing, []
        self.is_dirty = False
        return out

    def control_to_send(self) -> list[tuple[bytes, Path]]:
        """Answers of STUN, each to where its request came from, and flights of DTLS. Survives `close`: close_notify is in it."""
        out, self._control = self._control, []
        return out

    # Time and events

    def handle_timer(self, *, now: float) -> None:
        if self.state is TransportState.CONNECTING and now >= self._handshake_deadline:
            self._fail("handshake timeout")
        elif self.state is TransportState.CONNECTED and now >= self.last_seen + self._config.peer_timeout:
            self._fail("peer timeout")
        elif self._association is not None:
            self._association.handle_timer(now=now)
            self._flush_dtls()
            if self._association.state is DtlsState.FAILED:
                self._handle_dtls_state(self._association)

    def get_timer(self) -> float | None:
        if self.state is TransportState.CONNECTED:
            return self.last_seen + self._config.peer_timeout
        if self.state is not TransportState.CONNECTING:
            return None
        retransmission = None if self._association is None else self._association.get_timer()
        return self._handshake_deadline if retransmission is None else min(retransmission, self._handshake_deadline)

    def next_event(self) -> TransportEvent | None:
        return self._events.popleft() if self._events else None

    def close(self, *, now: float) -> None:
        """Our own end: says close_notify, gives no event, holds nothing but that last flight."""
        association = self._association
        if association is not None:
            association.close()
            self._flush_dtls()
        if self.state is not TransportState.FAILED:
            self.state = TransportState.CLOSED
        self._release()
        self._events.clear()

    # Inside

    def _handle_dtls_state(self, association: DtlsAssociation) -> None:
        if association.state is DtlsState.CONNECTED:
            self._verify()
        elif association.state is DtlsState.CLOSED:
            self._emit(TransportClosed())
        elif association.state is DtlsState.FAILED:
            self._fail(f"DTLS: {association.failure}")

    def _verify(self) -> None:
        """Once handshake and description are both there, in either order: the certificate, then the keys.

        RFC 8122 section 6.2: "If the fingerprint does not match ... the endpoint MUST tear down the media connection".
        """
        association, fingerprints = self._association, self._fingerprints
        if association is None or association.state is not DtlsState.CONNECTED or fingerprints is None:
            return
        if not association.matches(fingerprints):
            self._fail("fingerprint mismatch")
        elif self._srtp is None:
            keys = association.export_keys()
            if keys is None:
                self._fail("no SRTP profile in common")
                return
            profile, material = keys
            srtp = SrtpSession(profile, material, max_ssrcs=self._config.max_ssrcs, drops=self._drops)
            self._srtp = srtp
            self._protect_rtp, self._protect_rtcp = srtp.protect_rtp, srtp.protect_rtcp
            self._unprotect_rtp, self._unprotect_rtcp = srtp.unprotect_rtp, srtp.unprotect_rtcp
            self._emit(TransportConnected())

    def _fail(self, reason: str) -> None:
        association = self._association
        if association is not None:
            association.close()
            self._flush_dtls()
        self._emit(TransportFailed(reason))

    def _emit(self, event: TransportEvent) -> None:
        state = TRANSITIONS[self.state].get(type(event))
        if state is None:
            return
        self.state = state
        self._events.append(event)
        if state is not TransportState.CONNECTED:
            self._release()

    def _release(self) -> None:
        """Lets go of everything that costs memory or leads to others. Counters and events stay."""
        self._association = None
        self.sink = None
        self.outgoing = []
        self._clear_keys()

    def _clear_keys(self) -> None:
        self._srtp: SrtpSession | None = None
        self._protect_rtp: Process | None = None
        self._protect_rtcp: Process | None = None
        self._unprotect_rtp: Process | None = None
        self._unprotect_rtcp: Process | None = None

    def _why_no_keys(self) -> DropReason:
        if self.state is TransportState.CONNECTING:
            return DropReason.SRTP_BEFORE_DTLS
        return DropReason.SESSION_CLOSED

    def _flush_dtls(self) -> None:
        association, path = self._association, self.ice.selected
        if association is None or path is None:
            return
        for datagram in association.datagrams_to_send():
            self._queue_control(datagram, path)

    def _queue_control(self, data: bytes, path: Path) -> None:
        if len(self._control) >= MAX_CONTROL:
            self._drops.count(DropReason.SEND_QUEUE_FULL)
            return
        self._control.append((data, path))
        self._mark_dirty()

    def _mark_dirty(self) -> None:
        if not self.is_dirty:
            self.is_dirty = True
            self._dirty.append(self)
