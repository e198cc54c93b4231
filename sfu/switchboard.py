"""What follows from what: sessions tell, rooms decide, peers carry out. The state of a conference and its settling. Sans-I/O.

The commands that start it are in `conference.py`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from media.clock import WallClock
from media.codecs import Kind
from media.drops import DropCounts
from media.errors import PeerError
from media.ids import RandomBytes
from sfu.config import SfuConfig
from sfu.dtls import DtlsContext
from sfu.events import ProducerStarted, RtpEvent
from sfu.listener import Listener, ListenerEvent, ListenerFailed, ListenerTable
from sfu.meeting.events import (
    GrantsChanged,
    ParticipantLeft,
    RoomEnded,
    RoomEvent,
    SubscriptionPaused,
    SubscriptionUnwanted,
    SubscriptionWanted,
    TrackDiscarded,
    TrackMuted,
    TrackPublished,
    TrackUnpublished,
)
from sfu.meeting.participant import CloseReason, Participant
from sfu.meeting.permissions import Source
from sfu.meeting.refusals import Refusal
from sfu.meeting.room import Room
from sfu.meeting.speaker import Level
from sfu.peer import Peer, SubscribeOffer
from sfu.producer import Producer
from sfu.session import PeerSession, Role, SessionContext
from sfu.session_table import SessionTable
from sfu.stream.stats import RtpStats
from sfu.timers import Timers
from sfu.transport import Path, Transport, TransportClosed, TransportConnected, TransportEvent, TransportFailed

CONNECTION_OF = {Role.PUBLISH: "publish", Role.SUBSCRIBE: "subscribe", Role.PLAY: "play"}


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """A peer connection of a participant came up, or is gone. `seconds` is from its description to now."""

    room_id: str
    participant_id: str
    inner_id: str
    session_id: str
    connection: str
    connected: bool
    seconds: float
    reason: str = ""


ConferenceEvent = RoomEvent | SubscribeOffer | ConnectionChanged | ListenerEvent


class Switchboard:
    """Rooms, peers, sessions and producers of a node. `now` is kept from the last input, for what follows from it."""

    def __init__(
        self,
        config: SfuConfig,
        dtls_context: DtlsContext,
        *,
        random_bytes: RandomBytes,
        wall_clock: WallClock,
        candidates: tuple[str, ...] = (),
    ) -> None:
        self.config = config
        self.drops = DropCounts()
        self.stats = RtpStats()
        self.rooms: dict[str, Room] = {}
        self.peers: dict[str, Peer] = {}  # by the participant's inner_id
        self.context = SessionContext(
            config, dtls_context, random_bytes, wall_clock, self.drops, self.stats, candidates
        )
        self.table = SessionTable(config, self.drops, self.context.touched)
        self._producers: dict[str, Producer] = {}  # by track_id
        self._events: deque[ConferenceEvent] = deque()
        self.listeners = ListenerTable(self._events)
        self._busy: dict[Room, None] = {}
        self._unsettled: dict[Peer, None] = {}
        self._timers: Timers[Room] = Timers()
        self._now = 0.0

    @property
    def dirty(self) -> list[Transport]:
        """Transports that have something to send; the shell empties the list."""
        return self.context.dirty

    @property
    def participants(self) -> int:
        """Recorders, who are ours, are not counted."""
        return sum(1 for peer in self.peers.values() if not peer.participant.grants.recorder)

    @property
    def tracks(self) -> int:
        """Published, in all rooms."""
        return len(self._producers)

    # -- datagrams and time -------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, path: Path, *, now: float) -> None:
        """One datagram from the one port. Never raises for what is in it."""
        self._now = now
        self.table.receive_datagram(data, path, now=now)

    def handle_timer(self, *, now: float) -> None:
        """Does what is due; `get_timer` says when to come again, a coarse tick will do."""
        self._now = now
        self.table.handle_timer(now=now)
        self.table.serving = None  # what fails from here on is no session's fault
        self.listeners.handle_timer(now=now)
        while (room := self._timers.pop_due(now)) is not None:
            self._busy[room] = None
            if room.speakers.due is not None and now >= room.speakers.due:
                room.speakers.hear(self._levels_of(room), now=now)
            room.handle_timer(now=now)

    def drop_failed(self, *, now: float) -> None:
        """The last datagram or deadline raised, which is a bug of ours: its session ends, the others go on."""
        self._now = now
        if self.listeners.serving is not None:
            self.listeners.serving.fail("internal error")
            self.listeners.serving = None
        elif self.table.serving is not None:
            self._lose_session(self.table.serving, "internal error")

    def get_timer(self) -> float | None:
        times = (self.table.get_timer(), self.listeners.get_timer(), self._timers.get_timer())
        return min((time for time in times if time is not None), default=None)

    def next_event(self) -> ConferenceEvent | None:
        """What happened, in order. Draining carries out what the rooms decided."""
        while not self._events and (
            self.table.has_events or self._busy or self._unsettled or self.listeners.has_events
        ):
            self._settle()
        return self._events.popleft() if self._events else None

    # -- settling -----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """One round: sessions tell, rooms decide, peers offer. Each may give the others more to do."""
        while (told := self.table.next_event(now=self._now)) is not None:
            self._handle_session_event(*told)
        while (listener := self.listeners.next_failed()) is not None:
            self._lose_listener(listener)
        busy, self._busy = self._busy, {}
        for room in busy:
            self._drain_room(room)
        unsettled, self._unsettled = self._unsettled, {}
        for peer in unsettled:
            self._offer(peer)

    def _handle_session_event(self, session: PeerSession, event: TransportEvent | RtpEvent) -> None:
        match event:
            case ProducerStarted(producer_id):
                self._start_track(session, producer_id)
            case TransportConnected():
                self._report_connection(session, True, "")
            case TransportFailed(reason):
                self._lose_session(session, reason)
            case TransportClosed():
                self._lose_session(session, "closed by the peer")

    def _drain_room(self, room: Room) -> None:
        while (event := room.next_event()) is not None:
            self._carry_out(event)
            self._events.append(event)
        if room.ended is None:
            self._timers.arm(room, room.get_timer())
            self._timers.arm(room, room.speakers.due)

    def _carry_out(self, event: RoomEvent) -> None:
        now = self._now
        match event:
            case SubscriptionWanted():
                peer, producer = self.peers.get(event.subscriber_inner_id), self._producers.get(event.track_id)
                if peer is not None and producer is not None:
                    peer.want(event.track, producer, paused=event.paused, now=now)
                    self._unsettled[peer] = None
            case SubscriptionUnwanted():
                if (peer := self.peers.get(event.subscriber_inner_id)) is not None:
                    peer.unwant(event.track_id, now=now)
                    self._unsettled[peer] = None
            case SubscriptionPaused():
                if (peer := self.peers.get(event.subscriber_inner_id)) is not None:
                    peer.pause(event.track_id, event.paused, now=now)
            case TrackMuted():
                if (producer := self._producers.get(event.track.track_id)) is not None:
                    producer.set_muted(event.track.muted, now=now)
            case TrackPublished() if not event.hidden:
                self._fill_players(event.room_id)
            case GrantsChanged():
                self._fill_players(event.room_id)
            case TrackUnpublished() | TrackDiscarded():
                self._end_track(event.room_id, event.inner_id, event.track.track_id)
            case ParticipantLeft():
                self._end_peer(event.inner_id)
            case RoomEnded():
                room = self.rooms.get(event.room_id)
                if room is not None and room.session_id == event.session_id:
                    del self.rooms[event.room_id]
                    self._timers.disarm(room)

    def _offer(self, peer: Peer) -> None:
        if peer.participant.inner_id not in self.peers:
            return
        try:
            offer = peer.next_offer(now=self._now)
        except PeerError:
            return  # no more sessions: the next change tries again
        if offer is not None:
            self._events.append(offer)
        if peer.subscribe is not None:
            self.table.add(peer.subscribe)

    def _start_track(self, session: PeerSession, track_id: str) -> None:
        peer = self.peers.get(session.owner)
        room = self._present(peer)
        if peer is not None and room is not None and track_id in peer.participant.tracks:
            room.start_track(peer.participant, track_id, now=self._now)

    def _players(self, room_id: str) -> list[tuple[Peer, PeerSession]]:
        """WHEP players of a room."""
        room = self.rooms.get(room_id)
        peers = [self.peers.get(p.inner_id) for p in room.participants.values()] if room is not None else []
        return [(peer, peer.play) for peer in peers if peer is not None and peer.play is not None]

    def _sources_for(self, room: Room, participant: Participant, play_of: str | None) -> dict[Kind, Producer]:
        """The first published audio and video of one participant, or of anybody else, for a player."""
        sources: dict[Kind, Producer] = {}
        for other in room.participants.values():
            if other is participant or other.hidden or play_of not in (None, other.participant_id):
                continue
            for track in other.tracks.values():
                if track.published and track.track_id in self._producers:
                    sources.setdefault(track.kind, self._producers[track.track_id])
        return sources

    def _fill_players(self, room_id: str) -> None:
        """Players get what they wait for, or, without the grant, nothing."""
        for peer, session in self._players(room_id):
            if not peer.participant.grants.subscribe:
                session.detach(None, now=self._now)
                continue
            for kind, producer in self._sources_for(self.rooms[room_id], peer.participant, peer.play_of).items():
                session.attach(kind, producer, now=self._now)

    def _end_track(self, room_id: str, inner_id: str, track_id: str) -> None:
        producer = self._producers.pop(track_id, None)
        if producer is None:
            return
        for _, session in self._players(room_id):
            session.detach(producer, now=self._now)
        self._fill_players(room_id)
        peer = self.peers.get(inner_id)
        if peer is not None and peer.publish is not None:
            peer.publish.end_producer(producer, now=self._now)

    def _exchange_producer(self, room: Room, former: Producer, producer: Producer) -> None:
        """A track goes on with other streams or codecs: whoever gets it is moved over."""
        for participant in room.participants.values():
            peer = self.peers.get(participant.inner_id)
            if peer is not None and peer.exchange(producer, now=self._now):
                self._unsettled[peer] = None
        for _, session in self._players(room.room_id):
            session.detach(former, now=self._now)
        self._fill_players(room.room_id)

    def _end_peer(self, inner_id: str) -> None:
        peer = self.peers.pop(inner_id, None)
        if peer is None:
            return
        for session in peer.sessions:
            session.close(now=self._now)
            self.table.forget(session)
        if peer.listener is not None:
            peer.listener.close(now=self._now)
            self.listeners.forget(peer.listener)

    def _lose_listener(self, listener: Listener) -> None:
        """It can take no packets: whoever listens by it is out."""
        p = listener.participant
        self._events.append(ListenerFailed(p.room_id, p.participant_id, p.inner_id, listener.failure or ""))
        room = self._present(self.peers.get(p.inner_id))
        if room is not None:
            room.leave(p, CloseReason.UNKNOWN, now=self._now)

    def _levels_of(self, room: Room) -> list[Level]:
        """What the microphones of a room told since the last tick."""
        levels: list[Level] = []
        for participant in room.participants.values():
            for track in participant.tracks.values():
                if track.source is Source.MIC and not track.muted and track.published:
                    producer = self._producers.get(track.track_id)
                    heard = producer.take_levels() if producer is not None else None
                    if heard is not None:
                        levels.append((participant.participant_id, *heard))
        return levels

    def _lose_session(self, session: PeerSession, reason: str) -> None:
        """A connection failed by itself. Whoever has no signalling to make another is out."""
        self._report_connection(session, False, reason)
        peer = self.peers.get(session.owner)
        self._drop_session(session)
        room = self._present(peer)
        if peer is None or room is None:
            return
        if peer.participant.grants.recorder or not peer.has_signalling:
            room.leave(peer.participant, CloseReason.MEDIA_TIMEOUT, now=self._now)
            return
        if not any(other.connected for other in peer.sessions):
            room.set_media(peer.participant, False, now=self._now)
        self._unsettled[peer] = None

    def _drop_session(self, session: PeerSession) -> None:
        """Its tracks are unpublished, its place is free; the participant stays."""
        peer = self.peers.get(session.owner)
        track_ids = [producer.id for producer in session.producers.values()]
        session.close(now=self._now)
        self.table.forget(session)
        if peer is None:
            return
        peer.forget(session)
        room = self._present(peer)
        for track_id in track_ids:
            if room is not None and track_id in peer.participant.tracks:
                room.unpublish(peer.participant, track_id, now=self._now)

    def _report_connection(self, session: PeerSession, connected: bool, reason: str) -> None:
        peer = self.peers.get(session.owner)
        if peer is None:
            return
        p = peer.participant
        room = self._present(peer)
        if connected and room is not None:
            room.set_media(p, True, now=self._now)
        name = CONNECTION_OF[session.role]
        seconds = self._now - session.created_at
        self._events.append(
            ConnectionChanged(
                p.room_id, p.participant_id, p.inner_id, session.id, name, connected, seconds, reason
            )
        )

    def _present(self, peer: Peer | None) -> Room | None:
        """The room that a peer's participant is in; None once it has left, even if that is not drained yet."""
        participant = peer.participant if peer is not None else None
        room = self.rooms.get(participant.room_id) if participant is not None else None
        if participant is None or room is None or room.participants.get(participant.participant_id) is not participant:
            return None
        self._busy[room] = None
        return room

    def _room(self, participant: Participant, now: float) -> Room:
        self._now = now
        room = self.rooms.get(participant.room_id)
        if room is None or participant.inner_id not in self.peers:
            raise Refusal.NOT_JOINED("this participant has left the room")
        self._busy[room] = None
        return room

    def _live_room(self, room_id: str, now: float) -> Room:
        self._now = now
        room = self.rooms.get(room_id)
        if room is None:
            raise Refusal.REMOVE_PARTICIPANT_FAILED("nobody is in this room")
        self._busy[room] = None
        return room

    def _make_session(self, role: Role, peer: Peer) -> PeerSession:
        """Not in the table yet: it gets there with its description, or is forgotten without having been."""
        if len(self.table) >= self.config.max_sessions:
            raise Refusal.SERVER_BUSY("this server takes no more connections now; try again later")
        session_id = self.context.random_bytes(16).hex()
        return PeerSession(self.context, id=session_id, role=role, owner=peer.participant.inner_id, now=self._now)
