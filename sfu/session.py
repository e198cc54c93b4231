"""A peer session: one transport, the RTP plane on it, and the table of m-lines. Answerer or offerer, by its role.

State and dispatch only: ICE, DTLS and SRTP are `transport.py`'s, packets `endpoint.py`'s, offer and answer `sdp/`'s. What tracks
mean to people is `conference.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from media.clock import WallClock
from media.codecs import Kind
from media.drops import DropCounts
from media.errors import PeerError, UsageError
from media.ids import ICE_CHARS, RandomBytes, random_text
from sfu.config import SfuConfig
from sfu.consumer import Consumer, ConsumerParameters, Numbering
from sfu.dtls import DtlsContext
from sfu.endpoint import RtpEndpoint
from sfu.events import RtpEvent
from sfu.producer import Producer, ProducerParameters
from sfu.sdp import grammar
from sfu.sdp.description import Direction, SessionDescription
from sfu.sdp.fragment import Fragment, restart_fragment
from sfu.sdp.negotiate import (
    LocalTransport,
    NegotiatedMedia,
    Negotiation,
    PlaySource,
    SubscribeTable,
    SubscribeTrack,
    answer_play,
    answer_publish,
    match_codecs,
    parse_description,
    restarts_ice,
)
from sfu.sdp.sending import token
from sfu.stream.stats import RtpStats
from sfu.transport import Path, Transport, TransportConnected, TransportEvent

UFRAG_LENGTH = 8  # RFC 8445 section 5.3 asks for 24 bits at least; ours also tells sessions apart
PWD_LENGTH = 24  # RFC 8445 section 5.3: 128 bits at least


class Role(Enum):
    """What the peer does on this session, and who offers."""

    PUBLISH = "publish"  # it offers and sends: a browser's publish connection, WHIP
    PLAY = "play"  # it offers and receives: WHEP
    SUBSCRIBE = "subscribe"  # we offer, it receives: a browser's subscribe connection


@dataclass(slots=True)
class SessionContext:
    """What all sessions of a node share."""

    config: SfuConfig
    dtls_context: DtlsContext
    random_bytes: RandomBytes
    wall_clock: WallClock
    drops: DropCounts
    stats: RtpStats
    candidates: tuple[str, ...] = ()
    dirty: list[Transport] = field(default_factory=list)
    touched: dict[PeerSession, None] = field(default_factory=dict)
    """Sessions that were given something to do: their events and timers are to be read."""


@dataclass(slots=True)
class _Outgoing:
    """A track on its way to a subscriber, before and after its m-line is agreed."""

    producer: Producer
    participant_id: str
    ssrc: int
    rtx_ssrc: int | None
    consumer: Consumer | None = None
    paused: bool = False


class PeerSession:
    """`owner` is whom it belongs to; `id` names it in URLs and logs."""

    def __init__(self, context: SessionContext, *, id: str, role: Role, owner: str, now: float) -> None:
        self.id = id
        self.role = role
        self.owner = owner
        self.created_at = now
        self.connected = False
        self.closed = False
        self.needs_offer_restart = False
        self.producers: dict[str, Producer] = {}  # by mid
        self._context = context
        self._config = context.config
        self._outgoing: dict[str, _Outgoing] = {}  # by mid
        self._table = SubscribeTable(context.config)
        self._negotiation: Negotiation | None = None
        self._play_sources: dict[Kind, PlaySource] = {}
        self._numberings: dict[str, Numbering] = {}  # PLAY, by mid: an m-line keeps its SSRCs over its producers
        self.local_ufrag, self.local_pwd = self._new_credentials()
        self.transport = Transport(
            context.config,
            context.dtls_context,
            local_ufrag=self.local_ufrag,
            local_pwd=self.local_pwd,
            sink=None,
            drops=context.drops,
            dirty=context.dirty,
            now=now,
        )
        self.endpoint = RtpEndpoint(
            context.config,
            self.transport,
            random_bytes=context.random_bytes,
            wall_clock=context.wall_clock,
            cname=owner,
            drops=context.drops,
            stats=context.stats,
        )
        self.endpoint.set_ready(False, now=now)
        self.endpoint.link.wake = self._wake
        self.transport.sink = self.endpoint

    # -- descriptions -------------------------------------------------------------------------------------------------

    def receive_publish_offer(self, offer: SessionDescription, track_ids: Mapping[str, str], *, now: float) -> str:
        """The answer to a publisher's offer. `track_ids` says which mids carry which tracks; others are answered inactive.

        Producers appear in, and leave, `producers`. PeerError 4051 or 4090 leaves everything as it was.
        """
        for media in offer.media:
            if media.mid not in track_ids:
                media.direction = Direction.INACTIVE
        local = self._local_for(offer)
        negotiation = answer_publish(offer, local, self._config, self._negotiation)
        self._adopt(negotiation, local)
        for media in negotiation.media:
            self._settle_producer(media, track_ids.get(media.mid), now)
        return grammar.serialize(negotiation.answer)  # type: ignore[arg-type]

    def receive_play_offer(
        self, offer: SessionDescription, producers: Mapping[Kind, Producer], *, stream_id: str, now: float
    ) -> str:
        """The answer to a player's offer. What has no producer yet can be attached later, by `attach`."""
        local = self._local_for(offer)
        sources: dict[Kind, PlaySource] = {}
        for kind in Kind:
            producer, before = producers.get(kind), self._play_sources.get(kind)
            ssrc, rtx_ssrc = self._new_ssrcs(kind) if before is None else (before.ssrc, before.rtx_ssrc)
            codecs = producer.params.codecs if producer is not None else None
            sources[kind] = PlaySource(ssrc, rtx_ssrc, stream_id, kind.value, codecs)
        negotiation = answer_play(offer, local, self._config, sources, self._negotiation)
        self._adopt(negotiation, local)
        self._play_sources = sources
        for kind, producer in producers.items():
            self.attach(kind, producer, now=now)
        return grammar.serialize(negotiation.answer)  # type: ignore[arg-type]

    def attach(self, kind: Kind, producer: Producer, *, now: float) -> bool:
        """PLAY: send this producer on the m-line of its kind. False when there is none free or the player cannot take it."""
        media = next((m for m in self._negotiated() if m.kind is kind and not m.rejected and m.direction.receives), None)
        if media is None or media.mid in self._outgoing:
            return False
        try:
            codecs = match_codecs(media.codecs, producer.params.codecs)
        except PeerError:
            return False
        source = self._play_sources[kind]
        outgoing = _Outgoing(producer, source.stream_id, source.ssrc, source.rtx_ssrc)
        self._outgoing[media.mid] = outgoing
        self._start_consumer(media, codecs, outgoing, now)
        return True

    def detach(self, producer: Producer | None, *, now: float) -> None:
        """PLAY: this producer (None: every one) is not sent any more; its m-line is free for the next of its kind."""
        for mid, outgoing in list(self._outgoing.items()):
            if producer is None or outgoing.producer is producer:
                self.remove_track(mid, now=now)

    def end_producer(self, producer: Producer, *, now: float) -> None:
        """PUBLISH: the track is over, whatever its m-line says until the next offer."""
        if self.producers.get(producer.params.mid) is producer:
            del self.producers[producer.params.mid]
            self.endpoint.remove_producer(producer, now=now)

    def add_track(self, producer: Producer, *, participant_id: str) -> str:
        """SUBSCRIBE: offer this producer by the next `create_offer`; returns its mid. PeerError 4090 when m-lines run out."""
        ssrc, rtx_ssrc = self._new_ssrcs(producer.kind)
        track = SubscribeTrack(producer.kind, participant_id, producer.id, producer.params.codecs, ssrc, rtx_ssrc)
        mid = self._table.add(track)
        self._outgoing[mid] = _Outgoing(producer, participant_id, ssrc, rtx_ssrc)
        return mid

    def remove_track(self, mid: str, *, now: float) -> None:
        """Stop sending at once; the m-line becomes inactive by the next offer."""
        outgoing = self._outgoing.pop(mid, None)
        if outgoing is None:
            return
        consumer, is_play = outgoing.consumer, self.role is Role.PLAY
        if consumer is not None:
            self.endpoint.remove_consumer(consumer, bye=not is_play, now=now)
        if not is_play:
            self._table.stop(mid)
            self.transport.forget_streams(outgoing.ssrc, outgoing.rtx_ssrc)  # the m-line's next track has others
        elif consumer is not None:
            self._numberings[mid] = consumer.numbering

    def set_track_paused(self, mid: str, paused: bool, *, now: float) -> None:
        outgoing = self._outgoing.get(mid)
        if outgoing is not None:
            outgoing.paused = paused
            if outgoing.consumer is not None:
                outgoing.consumer.set_paused(paused, now=now)

    @property
    def needs_offer(self) -> bool:
        """SUBSCRIBE: something is to be offered and no offer is open."""
        return self._table.open_offer is None and (self._table.needs_offer or self.needs_offer_restart)

    @property
    def open_offer(self) -> str | None:
        """The offer that waits for its answer; may be sent again as it is."""
        return None if self._table.open_offer is None else grammar.serialize(self._table.open_offer)

    def create_offer(self, *, now: float) -> str:
        """SUBSCRIBE: the next offer; only while `needs_offer`."""
        if self.role is not Role.SUBSCRIBE:
            raise UsageError(f"a session of role {self.role.value} does not offer")
        if self.needs_offer_restart:
            self.needs_offer_restart = False
            self._restart()
        return grammar.serialize(self._table.create_offer(self._local()))

    def receive_answer(self, sdp: str, *, now: float) -> tuple[str, ...]:
        """SUBSCRIBE: the peer's answer to the open offer. Returns the mids it refused. PeerError leaves the offer open."""
        negotiation = self._table.receive_answer(parse_description(sdp, self._config))
        self._adopt(negotiation, None)
        refused: list[str] = []
        for media in negotiation.media:
            outgoing = self._outgoing.get(media.mid)
            if outgoing is None:
                continue
            if media.rejected or not media.direction.receives:
                refused.append(media.mid)
            elif outgoing.consumer is None:
                self._start_consumer(media, media.codecs, outgoing, now)
        for mid in refused:
            self.remove_track(mid, now=now)
        return tuple(refused)

    def is_same_peer(self, offer: SessionDescription) -> bool:
        """Whether an offer comes from the connection that this session talks to: RFC 8842 section 5.5, a new
        certificate means a new association, and so a new session of ours."""
        if self._negotiation is None or self._negotiation.remote is None:
            return True
        found = {(f.algorithm, f.value) for section in (offer, *offer.media) for f in section.fingerprints}
        return bool(found & set(self._negotiation.remote.fingerprints))

    def restart_ice(self) -> tuple[str, str]:
        """Fresh local credentials, for a WHIP client's restart; the old ones are good until the new are used."""
        self._restart()
        return self.local_ufrag, self.local_pwd

    def set_remote_credentials(self, ufrag: str, pwd: str) -> None:
        """The peer's credentials after a restart by fragment (RFC 8840)."""
        if self._negotiation is None or self._negotiation.remote is None:
            raise UsageError("no description yet")
        remote = replace(self._negotiation.remote, ufrag=ufrag, pwd=pwd)
        self._negotiation = replace(self._negotiation, remote=remote)
        self.transport.set_remote(ufrag, pwd, remote.fingerprints)

    def restart_fragment(self) -> Fragment:
        """Our part of an ICE restart by fragment."""
        if self._negotiation is None:
            raise UsageError("no description yet")
        return restart_fragment(self._local(), self._negotiation)

    # -- packets and time ---------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, path: Path, *, now: float) -> None:
        self.transport.receive_datagram(data, path, now=now)

    def handle_timer(self, *, now: float) -> None:
        self.transport.handle_timer(now=now)
        self.endpoint.handle_timer(now=now)

    def get_timer(self) -> float | None:
        times = [t for t in (self.transport.get_timer(), self.endpoint.get_timer()) if t is not None]
        return min(times) if times else None

    def next_event(self, *, now: float) -> TransportEvent | RtpEvent | None:
        event = self.transport.next_event()
        if event is None:
            return self.endpoint.next_event()
        if isinstance(event, TransportConnected):
            self.connected = True
            self.endpoint.set_ready(True, now=now)
        return event

    def close(self, *, now: float) -> None:
        """Free everything; a goodbye is queued on the transport."""
        if self.closed:
            return
        self.closed = True
        self.endpoint.close(now=now)
        self.transport.close(now=now)
        self.producers.clear()
        self._outgoing.clear()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._context.touched[self] = None

    def _negotiated(self) -> tuple[NegotiatedMedia, ...]:
        return self._negotiation.media if self._negotiation is not None else ()

    def _adopt(self, negotiation: Negotiation, local: LocalTransport | None) -> None:
        if local is not None and local.ufrag != self.local_ufrag:
            self.local_ufrag, self.local_pwd = local.ufrag, local.pwd
            self.transport.restart_ice(local.ufrag, local.pwd)
        self._negotiation = negotiation
        if negotiation.remote is not None:
            remote = negotiation.remote
            self.transport.set_remote(remote.ufrag, remote.pwd, remote.fingerprints)

    def _settle_producer(self, media: NegotiatedMedia, track_id: str | None, now: float) -> None:
        """Make, keep, replace or end the producer of one m-line."""
        present = self.producers.get(media.mid)
        sends = track_id is not None and not media.rejected and media.direction.sends
        if present is not None and (not sends or not _same_stream(present.params, media, track_id)):
            self.endpoint.remove_producer(present, now=now)
            del self.producers[media.mid]
            present = None
        if sends and present is None:
            params = ProducerParameters(
                id=track_id or "",
                mid=media.mid,
                kind=media.kind or Kind.VIDEO,
                codecs=media.codecs,
                header_extensions=media.header_extensions,
                encodings=media.encodings,
                simulcast=media.simulcast,
            )
            self.producers[media.mid] = self.endpoint.add_producer(params, now=now)

    def _start_consumer(self, media: NegotiatedMedia, codecs: tuple, outgoing: _Outgoing, now: float) -> None:
        has_rtx = any(codec.rtx_payload_type is not None for codec in codecs)
        params = ConsumerParameters(
            mid=media.mid,
            kind=outgoing.producer.kind,
            codecs=codecs,
            ssrc=outgoing.ssrc,
            rtx_ssrc=outgoing.rtx_ssrc if has_rtx else None,
            header_extensions=media.header_extensions,
            cname=token(outgoing.participant_id),  # as the description says it, so that lip-sync finds its pairs
        )
        numbering = self._numberings.get(media.mid)
        outgoing.consumer = self.endpoint.add_consumer(outgoing.producer, params, numbering=numbering, now=now)
        if outgoing.paused:
            outgoing.consumer.set_paused(True, now=now)

    def _local_for(self, offer: SessionDescription) -> LocalTransport:
        """Our credentials for an answer: fresh ones when the offer restarts ICE."""
        if not restarts_ice(offer, self._negotiation):
            return self._local()
        ufrag, pwd = self._new_credentials()
        return LocalTransport(ufrag, pwd, self._context.dtls_context.certificate.fingerprint_sha256, self._context.candidates)

    def _restart(self) -> None:
        self.local_ufrag, self.local_pwd = self._new_credentials()
        self.transport.restart_ice(self.local_ufrag, self.local_pwd)

    def _local(self) -> LocalTransport:
        c = self._context
        return LocalTransport(self.local_ufrag, self.local_pwd, c.dtls_context.certificate.fingerprint_sha256, c.candidates)

    def _new_credentials(self) -> tuple[str, str]:
        random_bytes = self._context.random_bytes
        return random_text(ICE_CHARS, UFRAG_LENGTH, random_bytes), random_text(ICE_CHARS, PWD_LENGTH, random_bytes)

    def _new_ssrcs(self, kind: Kind) -> tuple[int, int | None]:
        random_bytes = self._context.random_bytes
        ssrc = int.from_bytes(random_bytes(4), "big") or 1
        if kind is Kind.AUDIO:
            return ssrc, None
        return ssrc, int.from_bytes(random_bytes(4), "big") or 2


def _same_stream(params: ProducerParameters, media: NegotiatedMedia, track_id: str | None) -> bool:
    """Whether a re-offered m-line goes on with the stream it had."""
    return (
        params.id == track_id
        and params.codecs == media.codecs
        and params.encodings == media.encodings
    )
