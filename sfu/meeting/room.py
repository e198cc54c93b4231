"""The rules of a meeting: who is in, what they publish, who gets it, who may tell whom what.

Commands come in as method calls and return or raise PeerError; facts leave by `next_event()`. No SDP, no JSON, no
sockets: Conference reads the events and moves media. Tracks are in tracks.py, wishes in subscription.py.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from media.clock import WallClock
from media.codecs import Kind
from media.ids import BASE62, RandomBytes, inner_id, participant_code, random_text
from sfu.config import SfuConfig
from sfu.meeting import checks
from sfu.meeting.checks import UNCHANGED
from sfu.meeting.events import (
    GrantsChanged,
    Moderated,
    ParticipantActive,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReconnected,
    ParticipantUpdated,
    RoomEnded,
    RoomEnding,
    RoomEvent,
    RoomStarted,
)
from sfu.meeting.participant import (
    Change,
    CloseReason,
    JoinRequest,
    Participant,
    ParticipantState,
    Quality,
    Track,
)
from sfu.meeting.permissions import Grants, Source
from sfu.meeting.refusals import Refusal
from sfu.meeting.subscription import SubscriptionTable
from sfu.meeting.tracks import TrackTable

RESUME_TOKEN_CHARS = 43  # 256 bits in base 62: guessing one is hopeless


class Room:
    """One occupancy, which is one session: it begins with the first who joins and ends when nobody is left.

    Methods that take a Participant refuse one that has left with NOT_JOINED; those that take an id refuse an unknown
    one with REMOVE_PARTICIPANT_FAILED. `by` None is the operator's API, which may everything.
    """

    def __init__(
        self,
        config: SfuConfig,
        room_id: str,
        session_id: str,
        *,
        random_bytes: RandomBytes,
        wall_clock: WallClock,
        now: float,
    ) -> None:
        self.room_id = room_id
        self.session_id = session_id
        self.started_at = wall_clock.wall(now)
        self.participants: dict[str, Participant] = {}  # by participant_id; written here only
        self.ended: CloseReason | None = None
        self._config = config
        self._random_bytes = random_bytes
        self._wall_clock = wall_clock
        self._events: deque[RoomEvent] = deque()
        self._resume_deadlines: dict[str, tuple[float, Participant]] = {}  # by inner_id, soonest first
        self._subscriptions = SubscriptionTable(room_id, session_id, self._events)
        self._tracks = TrackTable(config, room_id, session_id, self._events, self._subscriptions, random_bytes)
        self._events.append(RoomStarted(room_id, session_id, self.started_at))

    # Drained by Conference

    def next_event(self) -> RoomEvent | None:
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        """Deadlines are entered in the order of time with one constant delay, so the first is the soonest."""
        for deadline, _ in self._resume_deadlines.values():
            return deadline
        return None

    def handle_timer(self, *, now: float) -> None:
        while (timer := self.get_timer()) is not None and timer <= now:
            _, participant = next(iter(self._resume_deadlines.values()))
            self.leave(participant, CloseReason.WEBSOCKET_DISCONNECTED, now=now)

    # Coming and going

    def join(self, request: JoinRequest, *, now: float) -> Participant:
        """Somebody comes in. A participant of the same id is put out first, unless the new one is refused."""
        self._check_live()
        participant_id = request.participant_id
        if participant_id is None:
            participant_id = participant_code(self._random_bytes)
        checks.check_join(request, participant_id, self._config)
        former = self.participants.get(participant_id)
        self._check_places(request, former)
        if former is not None:
            self._remove(former, CloseReason.DUPLICATE_PARTICIPANT)
        participant = Participant(
            room_id=self.room_id,
            participant_id=participant_id,
            inner_id=inner_id("PA_", self._random_bytes),
            display_name=request.display_name,
            mode=request.mode,
            grants=request.grants,
            joined_at=self._wall_clock.wall(now),
            auto_subscribe=request.auto_subscribe,
            resume_token=random_text(BASE62, RESUME_TOKEN_CHARS, self._random_bytes),
            meta_data=request.meta_data,
            attributes=dict(request.attributes),
        )
        participant.apply(Change.ADMITTED)
        self.participants[participant_id] = participant
        self._events.append(ParticipantJoined(*self._subject(participant), participant.info()))
        self._subscriptions.add_subscriber(participant, self._others(participant))
        return participant

    def set_media(self, participant: Participant, connected: bool, *, now: float) -> None:
        """The media plane tells that a connection of this participant is up, or that none is any more."""
        self._check_present(participant)
        before = participant.state
        participant.media_connected = connected
        participant.apply(Change.MEDIA_CONNECTED if connected else Change.MEDIA_LOST)
        self._report_active(participant, before)

    def detach(self, participant: Participant, *, now: float) -> None:
        """Signalling dropped without goodbye: everything stays for the resume window."""
        self._check_present(participant)
        if participant.state is ParticipantState.DISCONNECTED:
            return
        participant.apply(Change.SIGNALLING_LOST)
        self._resume_deadlines[participant.inner_id] = (now + self._config.resume_window, participant)
        self._events.append(ParticipantDisconnected(*self._subject(participant)))

    def resume(self, participant: Participant, *, now: float) -> None:
        """Signalling is back, perhaps before its loss was noticed."""
        self._check_present(participant)
        if participant.state is not ParticipantState.DISCONNECTED:
            return
        participant.apply(Change.SIGNALLING_BACK)
        if participant.media_connected:
            participant.apply(Change.MEDIA_CONNECTED)
        del self._resume_deadlines[participant.inner_id]
        self._events.append(ParticipantReconnected(*self._subject(participant)))

    def leave(self, participant: Participant, reason: CloseReason, *, now: float) -> None:
        self._check_present(participant)
        self._remove(participant, reason)
        if all(other.grants.recorder for other in self.participants.values()):
            self.end(CloseReason.ROOM_CLOSE, now=now)

    def remove(self, by: Participant | None, participant_id: str, *, now: float) -> None:
        """Somebody is put out by a moderator, or by the operator's API."""
        participant = self._moderated(by, participant_id)
        self.leave(participant, CloseReason.REMOVE_PEER_API if by is None else CloseReason.REMOVE_PEER, now=now)

    def end_for_all(self, by: Participant, *, now: float) -> None:
        self._check_present(by)
        if not by.grants.end:
            raise Refusal.UNAUTHORIZED_REQUEST("ending the meeting needs the grant `end`")
        self.end(CloseReason.REMOVE_ALL, now=now)

    def end(self, reason: CloseReason, *, now: float) -> None:
        """Everybody is out. The room takes no command afterwards."""
        self._check_live()
        self._events.append(RoomEnding(self.room_id, self.session_id, reason))
        self._subscriptions.clear()
        for participant in list(self.participants.values()):
            self._remove(participant, reason, ending=True)
        self.ended = reason
        self._events.append(RoomEnded(self.room_id, self.session_id, reason, self._wall_clock.wall(now)))

    # Tracks

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
        """A track will be published. Nobody hears of it before media is bound to it and flows."""
        self._check_present(participant)
        return self._tracks.announce(
            participant,
            source=source,
            kind=kind if kind is not None else source.kind,
            name=name,
            muted=muted,
            width=width,
            height=height,
            simulcast=simulcast,
        )

    def bind(
        self,
        participant: Participant,
        track_id: str,
        *,
        codec: str | None = None,
        simulcast: bool | None = None,
        now: float,
    ) -> Track:
        """Media was negotiated for an announced track. Binding again renews what was negotiated."""
        self._check_present(participant)
        return self._tracks.bind(participant, track_id, codec, simulcast, self._others(participant))

    def start_track(self, participant: Participant, track_id: str, *, now: float) -> Track:
        """The first packet of a track came; with a binding, before or after, it is published."""
        self._check_present(participant)
        return self._tracks.start(participant, track_id, self._others(participant))

    def unpublish(self, participant: Participant, track_id: str, *, now: float) -> None:
        self._check_present(participant)
        self._tracks.remove(participant, self._tracks.get(participant, track_id).track_id)

    def mute(self, participant: Participant, track_id: str, muted: bool, *, now: float) -> None:
        self._check_present(participant)
        self._tracks.mute(participant, track_id, muted)

    # Wishes

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
        """A subscriber's wish for one published track of somebody else."""
        self._check_present(participant)
        if not participant.receives:
            raise Refusal.UNAUTHORIZED_REQUEST("subscribing needs the grant `subscribe` and a mode that receives")
        publisher, track = self._tracks.find_published(track_id, self.participants)
        if publisher is participant:
            raise Refusal.UNKNOWN_TRACK("this track is your own")
        self._subscriptions.want(
            participant,
            publisher,
            track,
            enabled=enabled,
            quality=quality,
            width=width,
            height=height,
            priority=priority,
        )

    def report_flow(
        self, participant: Participant, track_id: str, *, flowing: bool, quality: Quality | None = None, now: float
    ) -> None:
        """The media plane tells what a subscriber gets of a track."""
        self._check_present(participant)
        self._subscriptions.report_flow(participant, track_id, flowing=flowing, quality=quality)

    # What is known of a participant

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
        """Changes what is named; attributes are merged, None removes a key. Returns the new version."""
        self._check_present(participant)
        if if_version is not None and if_version != participant.version:
            raise Refusal.VERSION_CONFLICT(f"the present version is {participant.version}")
        merged = {**participant.attributes, **(attributes or {})}
        kept = {key: value for key, value in merged.items() if value is not None}
        checks.check_profile(display_name, meta_data, kept, self._config)
        if display_name is not None:
            participant.display_name = display_name
        if meta_data is not UNCHANGED:
            participant.meta_data = meta_data
        participant.attributes = kept
        participant.version += 1
        self._events.append(ParticipantUpdated(*self._subject(participant), participant.info()))
        return participant.version

    # Moderation

    def moderate(
        self, by: Participant | None, participant_id: str, source: Source, enabled: bool, *, now: float
    ) -> None:
        """Mutes a source of somebody, or asks its owner to turn it on: nobody else may open a microphone."""
        participant = self._moderated(by, participant_id)
        if not enabled:
            for track in list(participant.tracks.values()):
                if track.source is source:
                    self._tracks.mute(participant, track.track_id, True)
        name = None if by is None or by.hidden else by.participant_id
        self._events.append(Moderated(*self._subject(participant), source, enabled, name))

    def set_grants(self, by: Participant | None, participant_id: str, grants: Grants, *, now: float) -> None:
        """Grants change while the call runs: what is not allowed any more is unpublished, or no longer received."""
        participant = self._moderated(by, participant_id)
        before = participant.grants
        if (grants.hidden, grants.recorder) != (before.hidden, before.recorder):
            raise Refusal.INVALID_PERMISSIONS("`hidden` is decided when somebody joins")
        if by is not None and not grants.added_since(before).is_subset_of(by.grants):
            raise Refusal.UNAUTHORIZED_REQUEST("nobody can give a grant that they lack")
        if grants == before:
            return
        participant.grants = grants
        self._events.append(GrantsChanged(*self._subject(participant), grants))
        for track in list(participant.tracks.values()):
            if track.source not in grants.publish:
                self._tracks.remove(participant, track.track_id)
        if grants.subscribe and not before.subscribe:
            self._subscriptions.add_subscriber(participant, self._others(participant))
        elif before.subscribe and not grants.subscribe:
            self._subscriptions.remove_subscriber(participant, self.participants, told=True)

    # Inside

    def _remove(self, participant: Participant, reason: CloseReason, *, ending: bool = False) -> None:
        if not ending:
            self._subscriptions.remove_subscriber(participant, self.participants, told=False)
        for track_id in list(participant.tracks):
            self._tracks.remove(participant, track_id, subscribed=not ending)
        del self.participants[participant.participant_id]
        self._resume_deadlines.pop(participant.inner_id, None)
        participant.apply(Change.LEFT)
        self._events.append(ParticipantLeft(*self._subject(participant), reason))

    def _report_active(self, participant: Participant, before: ParticipantState) -> None:
        if participant.state is ParticipantState.ACTIVE and before is not ParticipantState.ACTIVE:
            self._events.append(ParticipantActive(*self._subject(participant)))

    def _moderated(self, by: Participant | None, participant_id: str) -> Participant:
        """The one to act upon, if `by` may. The hidden are not there for anybody but the operator."""
        self._check_live()
        if by is not None:
            self._check_present(by)
            if not by.grants.moderate:
                raise Refusal.UNAUTHORIZED_REQUEST("this needs the grant `moderate`")
        participant = self.participants.get(participant_id)
        if participant is None or (participant.hidden and by is not None and by is not participant):
            raise Refusal.REMOVE_PARTICIPANT_FAILED("there is no such participant")
        return participant

    def _check_places(self, request: JoinRequest, former: Participant | None) -> None:
        """Recorders are ours and always find a place."""
        if request.grants.recorder:
            return
        limit = self._config.max_participants
        if request.max_participants is not None:
            limit = min(limit, request.max_participants)
        taken = sum(1 for other in self.participants.values() if not other.grants.recorder and other is not former)
        if taken >= limit:
            raise Refusal.MAX_PARTICIPANTS_REACHED(f"the room holds {limit} participants")

    def _check_present(self, participant: Participant) -> None:
        if self.participants.get(participant.participant_id) is not participant:
            raise Refusal.NOT_JOINED("this participant has left the room")

    def _check_live(self) -> None:
        if self.ended is not None:
            raise Refusal.INVALID_MEETING_ID("the meeting has ended")

    def _others(self, participant: Participant) -> list[Participant]:
        return [other for other in self.participants.values() if other is not participant]

    def _subject(self, participant: Participant) -> tuple[str, str, str, str, bool]:
        return (self.room_id, self.session_id, participant.participant_id, participant.inner_id, participant.hidden)
