"""A room under any sequence of commands: what its events say is what it holds, and nothing is left of who has gone."""

import dataclasses

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.meeting import events as ev
from sfu.meeting.participant import CloseReason, Mode, Participant, ParticipantState, Quality, Track
from sfu.meeting.permissions import Grants, Source
from tests.support.meeting import enter, events, make_room, publish

CONFIG = SfuConfig(max_participants=4, max_tracks=3, resume_window=10.0)
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
SOURCES = st.sampled_from(Source)
PICK = st.integers(min_value=0, max_value=30)
RECORDER = Grants(join=True, subscribe=True, hidden=True, recorder=True)
GRANTS = st.sampled_from(
    [
        Grants.full(),
        Grants.full(),
        Grants(join=True, subscribe=True),
        Grants(join=True, publish=frozenset({Source.MIC, Source.WEBCAM}), subscribe=True),
        Grants(join=True, publish=frozenset(Source), moderate=True),
        dataclasses.replace(Grants.full(), hidden=True),
        RECORDER,
    ]
)


class Mirror:
    """What a listener who only reads events believes."""

    def __init__(self) -> None:
        self.live = False
        self.ending = False
        self.participants: dict[str, str] = {}  # inner_id -> participant_id
        self.away: set[str] = set()
        self.tracks: dict[str, str] = {}  # track_id -> inner_id of its owner
        self.muted: dict[str, bool] = {}
        self.subscriptions: dict[tuple[str, str], bool] = {}  # (subscriber's inner_id, track_id) -> paused
        self.demand: dict[str, Quality | None] = {}
        self.speaker: str | None = None
        self.pins: dict[str, tuple[bool, bool]] = {}

    def read(self, event: ev.RoomEvent) -> None:
        match event:
            case ev.RoomStarted():
                assert not self.live
                self.live = True
            case ev.RoomEnded():
                assert not self.participants and not self.tracks and not self.subscriptions
                self.live = False
            case ev.ParticipantJoined():
                assert event.participant_id not in self.participants.values()
                self.participants[event.inner_id] = event.participant_id
            case ev.ParticipantLeft():
                del self.participants[event.inner_id]
                self.away.discard(event.inner_id)
                self.pins.pop(event.participant_id, None)
                assert event.inner_id not in self.tracks.values()
                self.subscriptions = {key: value for key, value in self.subscriptions.items() if key[0] != event.inner_id}
            case ev.ParticipantDisconnected():
                assert event.inner_id not in self.away
                self.away.add(event.inner_id)
            case ev.ParticipantReconnected():
                self.away.remove(event.inner_id)
            case ev.TrackPublished():
                assert event.inner_id in self.participants and event.track.published
                assert event.track.track_id not in self.tracks
                self.tracks[event.track.track_id] = event.inner_id
                self.muted[event.track.track_id] = event.track.muted
            case ev.TrackUnpublished():
                del self.tracks[event.track.track_id]
                assert self.ending or all(key[1] != event.track.track_id for key in self.subscriptions)
                self.demand.pop(event.track.track_id, None)
            case ev.TrackDiscarded():
                assert event.track.track_id not in self.tracks
            case ev.TrackMuted() if event.track.published:
                assert self.muted[event.track.track_id] is not event.track.muted
                self.muted[event.track.track_id] = event.track.muted
            case ev.SubscriptionWanted():
                key = (event.subscriber_inner_id, event.track_id)
                assert key not in self.subscriptions and event.track_id in self.tracks
                assert event.subscriber_inner_id in self.participants
                self.subscriptions[key] = event.paused
            case ev.SubscriptionUnwanted():
                del self.subscriptions[event.subscriber_inner_id, event.track_id]
            case ev.SubscriptionPaused():
                key = (event.subscriber_inner_id, event.track_id)
                assert self.subscriptions[key] is not event.paused
                self.subscriptions[key] = event.paused
            case ev.TrackDemand():
                assert self.demand.get(event.track_id) != event.quality
                self.demand[event.track_id] = event.quality
            case ev.SpeakerChanged():
                assert event.participant_id != self.speaker
                self.speaker = event.participant_id
            case ev.PinChanged():
                assert event.participant_id in self.participants.values()
                pin = self.pins.pop(event.participant_id, (False, False))
                assert pin != (event.cam, event.share)
                if event.cam or event.share:
                    self.pins[event.participant_id] = (event.cam, event.share)
            case ev.RoomEnding():
                self.ending = True


def open_microphone(track: Track) -> bool:
    return track.source is Source.MIC and track.published and not track.muted


class RoomMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.gone: list[Participant] = []
        self.everybody: dict[str, Participant] = {}
        self.fresh_room()
        self.read()

    def fresh_room(self) -> None:
        """Two people, one with a track, so that most commands have something to act upon."""
        self.room = make_room(CONFIG)
        self.mirror = Mirror()
        for name in ("a", "b"):
            participant = enter(self.room, name, grants=Grants.full(), now=self.now)
            self.everybody[participant.inner_id] = participant
        publish(self.room, participant)

    def one(self, pick: int) -> Participant | None:
        present = list(self.room.participants.values())
        return present[pick % len(present)] if present else None

    def a_track(self, pick: int) -> tuple[Participant, str] | None:
        tracks = [(owner, track) for owner in self.room.participants.values() for track in owner.tracks]
        return tracks[pick % len(tracks)] if tracks else None

    def attempt(self, call, *args, **kwargs) -> None:
        """A refused command changes nothing."""
        before = self.picture()
        try:
            call(*args, now=self.now, **kwargs)
        except PeerError:
            assert self.picture() == before
            assert events(self.room) == []
        self.read()

    def read(self) -> None:
        for event in events(self.room):
            self.mirror.read(event)
        if self.room.ended is not None:
            assert not self.mirror.live
            self.check_empty()
            self.fresh_room()
            self.read()

    def picture(self):
        return [
            (key, p.state, p.grants, p.version, dict(p.tracks), {t: (s.enabled, s.quality) for t, s in p.subscriptions.items()})
            for key, p in self.room.participants.items()
        ]

    def check_empty(self) -> None:
        room = self.room
        assert room.participants == {} and room.get_timer() is None
        assert room._subscriptions.count() == 0 and room._subscriptions.track_ids() == set()
        assert len(room._tracks) == 0
        for participant in self.everybody.values():
            assert participant.state is ParticipantState.LEFT
            assert participant.tracks == {} and participant.subscriptions == {}
        self.everybody.clear()

    @rule(name=NAMES, grants=GRANTS, mode=st.sampled_from(Mode), auto=st.booleans())
    def join(self, name, grants, mode, auto):
        before = self.picture()
        try:
            participant = enter(self.room, name, grants=grants, mode=mode, auto_subscribe=auto, now=self.now)
        except PeerError as error:
            assert error.code == 4009 and self.picture() == before
            return
        self.everybody[participant.inner_id] = participant
        self.read()

    @rule(pick=PICK, reason=st.sampled_from(CloseReason))
    def leave(self, pick, reason):
        if (participant := self.one(pick)) is not None:
            self.attempt(self.room.leave, participant, reason)
            self.gone.append(participant)

    @rule(pick=PICK, connected=st.booleans())
    def media(self, pick, connected):
        if (participant := self.one(pick)) is not None:
            self.attempt(self.room.set_media, participant, connected)

    @rule(pick=PICK)
    def detach(self, pick):
        if (participant := self.one(pick)) is not None:
            self.attempt(self.room.detach, participant)

    @rule(pick=PICK)
    def resume(self, pick):
        if (participant := self.one(pick)) is not None:
            self.attempt(self.room.resume, participant)

    @rule(seconds=st.floats(min_value=0, max_value=15))
    def time_passes(self, seconds):
        self.now += seconds
        self.room.handle_timer(now=self.now)
        timer = self.room.get_timer()
        assert timer is None or timer > self.now
        self.read()

    @rule(pick=PICK, source=SOURCES, muted=st.booleans())
    def announce(self, pick, source, muted):
        if (participant := self.one(pick)) is not None:
            self.attempt(self.room.announce, participant, source=source, muted=muted)

    @rule(pick=PICK, step=st.sampled_from(["bind", "start_track"]))
    def move_track(self, pick, step):
        if (found := self.a_track(pick)) is not None:
            self.attempt(getattr(self.room, step), *found)

    @rule(pick=PICK)
    def unpublish(self, pick):
        if (found := self.a_track(pick)) is not None:
            self.attempt(self.room.unpublish, *found)

    @rule(pick=PICK, muted=st.booleans())
    def mute(self, pick, muted):
        if (found := self.a_track(pick)) is not None:
            self.attempt(self.room.mute, *found, muted)

    @rule(who=PICK, what=PICK, enabled=st.booleans(), quality=st.sampled_from([None, *Quality]))
    def want(self, who, what, enabled, quality):
        participant, found = self.one(who), self.a_track(what)
        if participant is not None and found is not None:
            self.attempt(self.room.want, participant, found[1], enabled=enabled, quality=quality)

    @rule(by=PICK, name=NAMES, source=SOURCES, enabled=st.booleans())
    def moderate(self, by, name, source, enabled):
        if (participant := self.one(by)) is not None:
            self.attempt(self.room.moderate, participant, name, source, enabled)

    @rule(by=st.none() | PICK, name=NAMES, grants=GRANTS)
    def set_grants(self, by, name, grants):
        self.attempt(self.room.set_grants, None if by is None else self.one(by), name, grants)

    @rule(by=st.none() | PICK, name=NAMES)
    def remove(self, by, name):
        self.attempt(self.room.remove, None if by is None else self.one(by), name)

    @rule(by=st.none() | PICK, name=NAMES, cam=st.none() | st.booleans(), share=st.none() | st.booleans())
    def pin(self, by, name, cam, share):
        self.attempt(self.room.pin, None if by is None else self.one(by), name, cam=cam, share=share)

    @rule(picks=st.lists(PICK, max_size=2), ticks=st.integers(1, 12))
    def hear(self, picks, ticks):
        """As the switchboard does it: the microphones that are published and open."""
        mics = [p.participant_id for p in self.room.participants.values() for t in p.tracks.values() if open_microphone(t)]
        loud = {mics[pick % len(mics)] for pick in picks if mics}
        for _ in range(ticks):
            self.room.speakers.hear([(name, 5, 5, 500) if name in loud else (name, 5, 0, 300) for name in mics], now=self.now)
        self.read()

    @rule(pick=PICK, seconds=st.floats(min_value=1, max_value=30))
    def hold(self, pick, seconds):
        participant = self.one(pick)
        if participant is not None and participant.grants.recorder:
            self.room.hold(participant, seconds, now=self.now)
            self.room.handle_timer(now=self.now)
            self.read()

    @rule(pick=PICK)
    def end(self, pick):
        if (participant := self.one(pick)) is not None and pick > 25:  # seldom: it starts everything anew
            self.attempt(self.room.end_for_all, participant)

    @rule(pick=PICK)
    def ghosts_are_refused(self, pick):
        if self.gone:
            ghost = self.gone[pick % len(self.gone)]
            self.attempt(self.room.announce, ghost, source=Source.MIC)
            assert ghost.tracks == {}

    @invariant()
    def events_tell_the_truth(self):
        room, mirror = self.room, self.mirror
        assert mirror.live == (room.ended is None)
        present = list(room.participants.values())
        assert mirror.participants == {p.inner_id: p.participant_id for p in present}
        assert mirror.away == {p.inner_id for p in present if p.state is ParticipantState.DISCONNECTED}
        published = {t.track_id: (p.inner_id, t.muted) for p in present for t in p.tracks.values() if t.published}
        assert {key: (owner, mirror.muted[key]) for key, owner in mirror.tracks.items()} == published
        held = {(p.inner_id, t): not s.enabled for p in present for t, s in p.subscriptions.items()}
        assert mirror.subscriptions == held
        for track_id in published:
            wishes = [s.wished(t) for p in present for s, t in self.enabled(p, track_id)]
            assert mirror.demand.get(track_id) == max(wishes, default=None)

    @invariant()
    def pins_and_speakers_are_of_people_who_are_present(self):
        room, mirror = self.room, self.mirror
        assert {name: (pin.cam, pin.share) for name, pin in room.pins.pins.items()} == mirror.pins
        assert mirror.pins.keys() <= room.participants.keys()
        assert mirror.speaker == room.speakers.active and set(room.speakers.order) <= room.participants.keys()
        if mirror.speaker is not None:
            assert room.speakers.order[0] == mirror.speaker
            assert any(open_microphone(track) for track in room.participants[mirror.speaker].tracks.values())

    def enabled(self, participant, track_id):
        subscription = participant.subscriptions.get(track_id)
        if subscription is not None and subscription.enabled:
            yield subscription, self.room.participants[subscription.publisher_id].tracks[track_id]

    @invariant()
    def subscriptions_are_allowed_and_to_present_tracks_of_others(self):
        for participant in self.room.participants.values():
            for track_id, subscription in participant.subscriptions.items():
                publisher = self.room.participants[subscription.publisher_id]
                assert publisher is not participant and publisher.tracks[track_id].published
                assert participant.receives

    @invariant()
    def counts_and_limits(self):
        room = self.room
        counted = [p for p in room.participants.values() if not p.grants.recorder]
        assert len(counted) <= CONFIG.max_participants
        for participant in room.participants.values():
            assert len(participant.tracks) <= CONFIG.max_tracks
            assert all(track.source in participant.grants.publish for track in participant.tracks.values())
            assert participant.state is not ParticipantState.LEFT
        assert room._subscriptions.count() == sum(len(p.subscriptions) for p in room.participants.values())
        assert len(room._tracks) == sum(len(p.tracks) for p in room.participants.values())

    @invariant()
    def everybody_away_is_waited_for(self):
        away = [p for p in self.room.participants.values() if p.state is ParticipantState.DISCONNECTED]
        empty = all(p.grants.recorder for p in self.room.participants.values())
        assert (self.room.get_timer() is not None) == (bool(away) or (empty and bool(self.room._holds)))
        assert self.room._holds.keys() <= self.mirror.participants.keys()


RoomMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRoom = RoomMachine.TestCase
