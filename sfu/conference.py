"""The meeting plane as one object: the commands that adapters give. Sans-I/O.

Adapters (signalling, WHIP, REST) give commands and read events; the UDP shell gives datagrams and time, and sends what `dirty`
transports hold. Not here: what follows from a command (`switchboard.py`), the rules of a meeting (`meeting/`), one
participant's connections (`peer.py`), packets (`endpoint.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from media.codecs import Kind
from media.errors import UsageError
from media.ids import document_id
from media.ports import PacketSource
from sfu.listener import Listener
from sfu.meeting.checks import UNCHANGED
from sfu.meeting.participant import CloseReason, JoinRequest, Participant, Quality, Track
from sfu.meeting.permissions import Grants, Source
from sfu.meeting.refusals import Refusal
from sfu.meeting.room import Room
from sfu.peer import Peer
from sfu.producer import Producer
from sfu.sdp.description import SessionDescription
from sfu.sdp.negotiate import parse_description
from sfu.session import PeerSession
from sfu.switchboard import ConferenceEvent, ConnectionChanged, Switchboard


class Conference(Switchboard):
    """All rooms of a node. Commands take effect at once; what follows from them is read by `next_event()`."""

    # -- rooms and participants ---------------------------------------------------------------------------------------

    def join(self, request: JoinRequest, *, now: float) -> Participant:
        """Opens the room if nobody is in it. PeerError when it may not be."""
        self._now = now
        room = self.rooms.get(request.room_id)
        if room is not None and room.ended is not None:
            self._drain_room(room)
            room = None
        if room is None:
            if len(self.rooms) >= self.config.max_rooms:
                raise Refusal.SERVER_BUSY("this server holds no more rooms now; try again later")
            c = self.context
            session_id = request.session_id or document_id(c.random_bytes)
            room = Room(
                self.config, request.room_id, session_id, random_bytes=c.random_bytes, wall_clock=c.wall_clock, now=now
            )
            participant = room.join(request, now=now)
            self.rooms[request.room_id] = room
        else:
            participant = room.join(request, now=now)
        self.peers[participant.inner_id] = Peer(participant, self._make_session)
        self._busy[room] = None
        return participant

    def resume(self, participant: Participant, *, now: float) -> None:
        """Signalling is back; an open offer is told again, as it may have been lost."""
        self._room(participant, now).resume(participant, now=now)
        offer = self.peers[participant.inner_id].repeat_offer()
        if offer is not None:
            self._events.append(offer)

    def detach(self, participant: Participant, *, now: float) -> None:
        self._room(participant, now).detach(participant, now=now)

    def leave(self, participant: Participant, reason: CloseReason, *, now: float) -> None:
        self._room(participant, now).leave(participant, reason, now=now)

    def remove_by(self, by: Participant, participant_id: str, *, now: float) -> None:
        self._room(by, now).remove(by, participant_id, now=now)

    def end_for_all(self, by: Participant, *, now: float) -> None:
        self._room(by, now).end_for_all(by, now=now)

    def end_room(self, room_id: str, reason: CloseReason, *, now: float) -> bool:
        """False when nobody is in it."""
        self._now = now
        room = self.rooms.get(room_id)
        if room is None or room.ended is not None:
            return False
        self._busy[room] = None
        room.end(reason, now=now)
        return True

    def update(
        self,
        participant: Participant,
        *,
        display_name: str | None = None,
        meta_data: Any = UNCHANGED,
        attributes: dict[str, str | None] | None = None,
        if_version: int | None = None,
        now: float,
    ) -> int:
        """Returns the new version."""
        return self._room(participant, now).update(
            participant,
            display_name=display_name,
            meta_data=meta_data,
            attributes=attributes,
            if_version=if_version,
            now=now,
        )

    def moderate(self, by: Participant, participant_id: str, source: Source, enabled: bool, *, now: float) -> None:
        self._room(by, now).moderate(by, participant_id, source, enabled, now=now)

    def set_grants(self, by: Participant, participant_id: str, grants: Grants, *, now: float) -> None:
        self._room(by, now).set_grants(by, participant_id, grants, now=now)

    def pin(
        self,
        by: Participant,
        participant_id: str,
        *,
        cam: bool | None = None,
        share: bool | None = None,
        now: float,
    ) -> None:
        """For everybody in the room; None leaves that one as it is. Needs `moderate`."""
        self._room(by, now).pin(by, participant_id, cam=cam, share=share, now=now)

    def set_room_state(self, room_id: str, name: str, value: dict[str, Any] | None, *, now: float) -> bool:
        """What is made of a room (`name`: recording, livestream, hls), told to everybody and, until None, to late joiners.

        False when nobody is in it: there is nobody to tell.
        """
        self._now = now
        room = self.rooms.get(room_id)
        if room is None or room.ended is not None:
            return False
        self._busy[room] = None
        room.state.set(name, value)
        return True

    def change_grants(self, room_id: str, participant_id: str, changes: dict[str, Any], *, now: float) -> Grants:
        """By the operator's API: a partial Grants in wire form. ParseError when it is not one."""
        room = self._live_room(room_id, now)
        participant = room.participants.get(participant_id)
        if participant is None:
            raise Refusal.REMOVE_PARTICIPANT_FAILED("there is no such participant")
        grants = Grants.from_wire(changes, participant.grants)
        room.set_grants(None, participant_id, grants, now=now)
        return grants

    # -- tracks -------------------------------------------------------------------------------------------------------

    def announce(
        self,
        participant: Participant,
        *,
        source: Source,
        kind: Kind | None = None,
        name: str = "",
        muted: bool = False,
        width: int | None = None,
        height: int | None = None,
        simulcast: bool = False,
        now: float,
    ) -> Track:
        return self._room(participant, now).announce(
            participant,
            source=source,
            kind=kind,
            name=name,
            muted=muted,
            width=width,
            height=height,
            simulcast=simulcast,
            now=now,
        )

    def parse_offer(self, sdp: str) -> SessionDescription:
        """For adapters that must see what is offered. PeerError 4090."""
        return parse_description(sdp, self.config)

    def publish(self, participant: Participant, sdp: str, bindings: Sequence[tuple[str, str]], *, now: float) -> str:
        """The answer to an offer of the publish connection. `bindings`: (mid, announced track_id)."""
        room = self._room(participant, now)
        for _, track_id in bindings:
            if track_id not in participant.tracks:
                raise Refusal.UNKNOWN_TRACK(f"{track_id[:40]} was not announced by you")
        if len({mid for mid, _ in bindings}) + len({track_id for _, track_id in bindings}) != 2 * len(bindings):
            raise Refusal.INVALID_MESSAGE("one m-line carries two tracks, or one track stands in two m-lines")
        offer = self.parse_offer(sdp)
        kinds = {media.mid: media.kind for media in offer.media}
        for mid, track_id in bindings:
            if kinds.get(mid) != participant.tracks[track_id].kind.value:
                raise Refusal.INVALID_MESSAGE(f"the offer has no m-line {mid[:40]!r} of the announced kind")
        peer = self.peers[participant.inner_id]
        before = dict(peer.publish.producers) if peer.publish is not None else {}
        answer, session, replaced = peer.receive_publish_offer(offer, dict(bindings), now=now)
        self.table.add(session)
        if replaced is not None:
            self._drop_session(replaced)
        self._settle_tracks(room, participant, before.values(), session, now)
        return answer

    def _settle_tracks(
        self, room: Room, participant: Participant, before: Iterable[Producer], session: PeerSession, now: float
    ) -> None:
        """What a new description of the publish connection means for its participant's tracks."""
        former = {producer.id: producer for producer in before}
        present = {producer.id: producer for producer in session.producers.values()}
        for track_id in former.keys() - present.keys():
            if track_id in participant.tracks:
                room.unpublish(participant, track_id, now=now)
        for track_id, producer in present.items():
            self._producers[track_id] = producer
            if former.get(track_id, producer) is not producer:
                self._exchange_producer(room, former[track_id], producer)
            track = room.bind(
                participant,
                track_id,
                codec=producer.params.codecs[0].name,
                simulcast=producer.params.simulcast,
                now=now,
            )
            producer.set_muted(track.muted, now=now)
            if track.muted and not track.started:
                room.start_track(participant, track_id, now=now)  # nothing will flow to start it

    def unpublish(self, participant: Participant, track_id: str, *, now: float) -> None:
        self._room(participant, now).unpublish(participant, track_id, now=now)

    def mute(self, participant: Participant, track_id: str, muted: bool, *, now: float) -> None:
        self._room(participant, now).mute(participant, track_id, muted, now=now)

    # -- receiving ----------------------------------------------------------------------------------------------------

    def want(
        self,
        participant: Participant,
        track_id: str,
        *,
        enabled: bool,
        quality: Quality | None = None,
        width: int | None = None,
        height: int | None = None,
        priority: int | None = None,
        now: float,
    ) -> None:
        self._room(participant, now).want(
            participant,
            track_id,
            enabled=enabled,
            quality=quality,
            width=width,
            height=height,
            priority=priority,
            now=now,
        )

    def subscribe_answer(self, participant: Participant, sdp: str, serial: int, *, now: float) -> bool:
        """False: an answer to an offer that is not open any more."""
        self._room(participant, now)
        peer = self.peers[participant.inner_id]
        taken = peer.receive_answer(sdp, serial, now=now)
        if taken and peer.subscribe is not None:
            self.table.add(peer.subscribe)
            self._unsettled[peer] = None
        return taken

    def restart_subscribe(self, participant: Participant, *, now: float) -> None:
        self._room(participant, now)
        peer = self.peers[participant.inner_id]
        peer.restart_subscribe(now=now)
        self._unsettled[peer] = None

    def play(self, participant: Participant, sdp: str, *, remote_participant_id: str | None, now: float) -> str:
        """WHEP: the answer to a player's offer, which takes that participant's first audio and video, now or when they come."""
        room = self._room(participant, now)
        if not participant.grants.subscribe:
            raise Refusal.UNAUTHORIZED_REQUEST("receiving needs the grant `subscribe`")
        peer = self.peers[participant.inner_id]
        producers = self._sources_for(room, participant, remote_participant_id)
        answer, session = peer.receive_play_offer(self.parse_offer(sdp), remote_participant_id, producers, now=now)
        self.table.add(session)
        return answer

    def listen(
        self, participant: Participant, sink: PacketSource, *, hold_room_seconds: float = 0.0, now: float
    ) -> Listener:
        """A recorder's subscriptions as plain RTP and RTCP to `sink`, until it leaves. No connection, no offers.

        ListenerTrackAdded and ListenerTrackRemoved say what comes; what is published already is told by the next events. The
        room lives on for `hold_room_seconds` without people while this recorder is in it (Room.hold). PeerError 4096 when it
        has left, UsageError unless it was let in hidden, as a recorder.
        """
        room = self._room(participant, now)
        peer = self.peers[participant.inner_id]
        if not (participant.grants.hidden and participant.grants.recorder) or peer.listener is not None:
            raise UsageError("only hidden recorders listen, and once")
        if self._present(peer) is None:
            raise Refusal.NOT_JOINED("this participant has left the room")
        if peer.subscribe is not None:
            self._drop_session(peer.subscribe)
        if hold_room_seconds > 0:
            room.hold(participant, hold_room_seconds, now=now)
        listener = Listener(participant, sink, self.context, self.listeners)
        peer.listen(listener, now=now)
        return listener

    def close(self, *, now: float) -> None:
        """End every room; what is to be said stands in events and on the transports."""
        for room_id in list(self.rooms):
            self.end_room(room_id, CloseReason.SERVER_SHUTDOWN, now=now)


__all__ = ["Conference", "ConferenceEvent", "ConnectionChanged"]
