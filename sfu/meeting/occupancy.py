"""One occupancy of a room: who is in, from the first who joins to when nobody is left. The part of Room that time moves.

What participants do in it is in `room.py`.
"""

from __future__ import annotations

from collections import deque

from media.clock import WallClock
from media.errors import UsageError
from media.ids import BASE62, RandomBytes, inner_id, participant_code, random_text
from sfu.config import SfuConfig
from sfu.meeting import checks
from sfu.meeting.events import (
    ParticipantActive,
    ParticipantDisconnected,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReconnected,
    RoomEnded,
    RoomEnding,
    RoomEvent,
    RoomStarted,
)
from sfu.meeting.participant import Change, CloseReason, JoinRequest, Participant, ParticipantState
from sfu.meeting.pins import PinTable
from sfu.meeting.refusals import Refusal
from sfu.meeting.speaker import SpeakerTable
from sfu.meeting.state import StateTable
from sfu.meeting.subscription import SubscriptionTable
from sfu.meeting.tracks import TrackTable

RESUME_TOKEN_CHARS = 43  # 256 bits in base 62: guessing one is hopeless


class Occupancy:
    """Which is one session. Recorders are not counted: without a person in it a room ends, at once or when held, later."""

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
        self._empty_since: float | None = now  # nobody but recorders is here
        self._holds: dict[str, float] = {}  # by inner_id of a recorder: how long an empty room is to live
        self.speakers = SpeakerTable(room_id, session_id, self._events)
        """Has a time of its own: fed by the switchboard when `due`."""
        self.pins = PinTable(room_id, session_id, self._events)
        self.state = StateTable(room_id, session_id, self._events)
        self._subscriptions = SubscriptionTable(room_id, session_id, self._events)
        self._tracks = TrackTable(
            config, room_id, session_id, self._events, self._subscriptions, self.speakers, random_bytes
        )
        self._events.append(RoomStarted(room_id, session_id, self.started_at))

    # Drained by Conference

    def next_event(self) -> RoomEvent | None:
        return self._events.popleft() if self._events else None

    def get_timer(self) -> float | None:
        times = [time for time in (self._next_resume, self._held_until) if time is not None]
        return min(times) if times and self.ended is None else None

    def handle_timer(self, *, now: float) -> None:
        while (deadline := self._next_resume) is not None and deadline <= now:
            _, participant = next(iter(self._resume_deadlines.values()))
            self.leave(participant, CloseReason.WEBSOCKET_DISCONNECTED, now=now)
        if self.ended is None and self._held_until is not None and now >= self._held_until:
            self.end(CloseReason.ROOM_CLOSE, now=now)

    @property
    def _next_resume(self) -> float | None:
        """Deadlines are entered in the order of time with one constant delay, so the first is the soonest."""
        return next((deadline for deadline, _ in self._resume_deadlines.values()), None)

    @property
    def _held_until(self) -> float | None:
        """When a room with nobody but recorders ends; None while there are people, or nobody has asked to hold it."""
        if self._empty_since is None or not self._holds:
            return None
        return self._empty_since + max(self._holds.values())

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
        if not request.grants.recorder:
            self._empty_since = None
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
        if any(not other.grants.recorder for other in self.participants.values()):
            return
        if self._empty_since is None:
            self._empty_since = now
        if self._held_until is None or now >= self._held_until:
            self.end(CloseReason.ROOM_CLOSE, now=now)

    def hold(self, recorder: Participant, seconds: float, *, now: float) -> None:
        """While this recorder is here, the room lives on for so long without a person, from when the last one left, or from
        its beginning if there was none. Who comes meanwhile goes on in the same session."""
        self._check_present(recorder)
        if not recorder.grants.recorder:
            raise UsageError("only a recorder holds a room")
        self._holds[recorder.inner_id] = seconds

    def end(self, reason: CloseReason, *, now: float) -> None:
        """Everybody is out. The room takes no command afterwards."""
        self._check_live()
        self._events.append(RoomEnding(self.room_id, self.session_id, reason))
        self._subscriptions.clear()
        for participant in list(self.participants.values()):
            self._remove(participant, reason, ending=True)
        self.ended = reason
        self._events.append(RoomEnded(self.room_id, self.session_id, reason, self._wall_clock.wall(now)))

    # Inside

    def _remove(self, participant: Participant, reason: CloseReason, *, ending: bool = False) -> None:
        if not ending:
            self.speakers.forget(participant.participant_id)
            self._subscriptions.remove_subscriber(participant, self.participants, told=False)
        for track_id in list(participant.tracks):
            self._tracks.remove(participant, track_id, subscribed=not ending)
        del self.participants[participant.participant_id]
        self._resume_deadlines.pop(participant.inner_id, None)
        self._holds.pop(participant.inner_id, None)
        self.pins.forget(participant.participant_id)
        participant.apply(Change.LEFT)
        self._events.append(ParticipantLeft(*self._subject(participant), reason))

    def _report_active(self, participant: Participant, before: ParticipantState) -> None:
        if participant.state is ParticipantState.ACTIVE and before is not ParticipantState.ACTIVE:
            self._events.append(ParticipantActive(*self._subject(participant)))

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
