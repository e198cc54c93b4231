"""The media side of one participant: its peer sessions, and which of them carries which track. Sans-I/O.

A room decides who gets what; this carries it out. Sessions are made by the factory that Conference passes in, and made
reachable by Conference once their description is agreed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from media.codecs import Kind
from media.errors import PeerError
from sfu.listener import Listener
from sfu.meeting.participant import Participant, Track
from sfu.meeting.refusals import Refusal
from sfu.producer import Producer
from sfu.sdp.description import SessionDescription
from sfu.sdp.negotiated import CODEC_NOT_SUPPORTED
from sfu.session import PeerSession, Role

MakeSession = Callable[[Role, "Peer"], PeerSession]


@dataclass(frozen=True, slots=True)
class OfferedTrack:
    """A live m-line of a subscribe offer."""

    mid: str
    track: Track
    participant_id: str


@dataclass(frozen=True, slots=True)
class SubscribeOffer:
    """Send this to the participant; its answer comes back with `serial`. A new `connection_id` asks for a new connection."""

    room_id: str
    participant_id: str
    inner_id: str
    connection_id: str
    serial: int
    sdp: str
    tracks: tuple[OfferedTrack, ...]


@dataclass(slots=True)
class _Wanted:
    track: Track
    producer: Producer
    paused: bool
    mid: str | None = None
    refused: bool = False  # the subscriber cannot take its codec; not offered again on this connection


class Peer:
    """`publish` and `subscribe` are a browser's two connections; `play` is a WHEP player's."""

    def __init__(self, participant: Participant, make_session: MakeSession) -> None:
        self.participant = participant
        self.publish: PeerSession | None = None
        self.subscribe: PeerSession | None = None
        self.play: PeerSession | None = None
        self.play_of: str | None = None
        """participant_id whose first audio and video this player takes; None: of whoever has some."""
        self.listener: Listener | None = None
        """Of a recorder: takes what is wanted as plain packets; nothing is offered then."""
        self.has_signalling = True
        """False for WHIP and WHEP: nobody is there to make a new connection when this one fails."""
        self.bindings: dict[str, str] = {}  # mid -> track_id, of the publish connection
        self._make_session = make_session
        self._wanted: dict[str, _Wanted] = {}  # by track_id
        self._serial = 0

    @property
    def sessions(self) -> tuple[PeerSession, ...]:
        return tuple(s for s in (self.publish, self.subscribe, self.play) if s is not None)

    # -- publishing ---------------------------------------------------------------------------------------------------

    def receive_publish_offer(
        self, offer: SessionDescription, bindings: Mapping[str, str], *, now: float
    ) -> tuple[str, PeerSession, PeerSession | None]:
        """The answer, its session, and the one that it replaced (a new certificate means a new connection), if any.

        PeerError leaves everything as it was: a session that was made for the offer is known to nobody yet.
        """
        replaced = None
        session = self.publish
        if session is not None and not session.is_same_peer(offer):
            replaced, session = session, None
        known: dict[str, str] = {}
        if replaced is None:
            # What was unpublished, or is bound anew, has left its m-line whatever the offer says of that.
            live = self.participant.tracks.keys() - bindings.values()
            known = {mid: track_id for mid, track_id in self.bindings.items() if track_id in live}
        elif not {producer.id for producer in replaced.producers.values()}.isdisjoint(bindings.values()):
            raise Refusal.UNKNOWN_TRACK("a track ends with its connection: announce it anew")
        known.update(bindings)
        if session is None:
            session = self._make_session(Role.PUBLISH, self)
        answer = session.receive_publish_offer(offer, known, now=now)
        self.publish = session
        self.bindings = {mid: track_id for mid, track_id in known.items() if mid in session.producers}
        return answer, session, replaced

    def receive_play_offer(
        self, offer: SessionDescription, play_of: str | None, producers: Mapping[Kind, Producer], *, now: float
    ) -> tuple[str, PeerSession]:
        """The answer, and its session. PeerError as above."""
        session = self.play or self._make_session(Role.PLAY, self)
        stream_id = play_of or self.participant.room_id
        answer = session.receive_play_offer(offer, producers, stream_id=stream_id, now=now)
        self.play, self.play_of = session, play_of
        return answer, session

    # -- subscribing --------------------------------------------------------------------------------------------------

    def want(self, track: Track, producer: Producer, *, paused: bool, now: float) -> None:
        """Offer this track from the next offer on."""
        self.unwant(track.track_id, now=now)
        self._wanted[track.track_id] = _Wanted(track, producer, paused)
        if self.listener is not None:
            self.listener.add(track, producer, paused=paused, now=now)

    def listen(self, listener: Listener, *, now: float) -> None:
        """What is wanted, and will be, goes to this listener."""
        self.listener = listener
        for wanted in self._wanted.values():
            listener.add(wanted.track, wanted.producer, paused=wanted.paused, now=now)

    def exchange(self, producer: Producer, *, now: float) -> bool:
        """The track's media was negotiated anew: what is sent of it comes from this producer. Whether it was wanted."""
        wanted = self._wanted.get(producer.id)
        if wanted is None:
            return False
        if self.listener is not None:
            wanted.producer = producer
            self.listener.exchange(producer, now=now)
        else:
            self.want(wanted.track, producer, paused=wanted.paused, now=now)
        return True

    def unwant(self, track_id: str, *, now: float) -> None:
        wanted = self._wanted.pop(track_id, None)
        if wanted is not None and self.listener is not None:
            self.listener.remove(track_id, now=now)
        if wanted is not None and wanted.mid is not None and self.subscribe is not None:
            self.subscribe.remove_track(wanted.mid, now=now)

    def pause(self, track_id: str, paused: bool, *, now: float) -> None:
        wanted = self._wanted.get(track_id)
        if wanted is None:
            return
        wanted.paused = paused
        if self.listener is not None:
            self.listener.pause(track_id, paused, now=now)
        if wanted.mid is not None and self.subscribe is not None:
            self.subscribe.set_track_paused(wanted.mid, paused, now=now)

    def next_offer(self, *, now: float) -> SubscribeOffer | None:
        """What is to be offered now, if anything; one offer is open at a time."""
        session = self.subscribe
        if self.listener is not None or (session is not None and session.open_offer is not None):
            return None
        unplaced = [w for w in self._wanted.values() if w.mid is None and not w.refused]
        if session is None:
            if not unplaced:
                return None
            session = self._make_session(Role.SUBSCRIBE, self)
        for wanted in unplaced:
            try:
                wanted.mid = session.add_track(wanted.producer, participant_id=wanted.track.participant_id)
            except PeerError as error:
                wanted.refused = error.code == CODEC_NOT_SUPPORTED  # else it waits for a free m-line
                continue
            if wanted.paused:
                session.set_track_paused(wanted.mid, True, now=now)
        if not session.needs_offer:
            return None
        self.subscribe = session
        self._serial += 1
        return self._offer(session, session.create_offer(now=now))

    def repeat_offer(self) -> SubscribeOffer | None:
        """The open offer again, for signalling that came back and may have lost it."""
        session = self.subscribe
        sdp = session.open_offer if session is not None else None
        return None if session is None or sdp is None else self._offer(session, sdp)

    def receive_answer(self, sdp: str, serial: int, *, now: float) -> bool:
        """False: the answer is to an offer that is not open any more."""
        session = self.subscribe
        if session is None or serial != self._serial or session.open_offer is None:
            return False
        for mid in session.receive_answer(sdp, now=now):
            for wanted in self._wanted.values():
                if wanted.mid == mid:
                    wanted.mid, wanted.refused = None, True
        return True

    def restart_subscribe(self, *, now: float) -> None:
        """Offer new ICE credentials, or everything on a new connection where there is none."""
        if self.subscribe is not None:
            self.subscribe.needs_offer_restart = True

    def forget(self, session: PeerSession) -> None:
        """A session is gone; what it carried will be offered on a new one."""
        if session is self.publish:
            self.publish = None
            self.bindings.clear()
        elif session is self.play:
            self.play = None
        elif session is self.subscribe:
            self.subscribe = None
            for wanted in self._wanted.values():
                # Who never connected may have refused everything: to offer that again would go on for ever.
                wanted.mid, wanted.refused = None, wanted.refused and not session.connected

    def _offer(self, session: PeerSession, sdp: str) -> SubscribeOffer:
        participant = self.participant
        tracks = tuple(
            OfferedTrack(w.mid, w.track, w.track.participant_id) for w in self._wanted.values() if w.mid is not None
        )
        return SubscribeOffer(
            participant.room_id, participant.participant_id, participant.inner_id, session.id, self._serial, sdp, tracks
        )
