"""The rules of a meeting: what participants publish, who gets it, who may tell whom what.

Commands come in as method calls and return or raise PeerError; facts leave by `next_event()`. No SDP, no JSON, no
sockets: Conference reads the events and moves media. Who is in is in occupancy.py, tracks are in tracks.py, wishes in
subscription.py.
"""

from __future__ import annotations

from typing import Any

from media.codecs import Kind
from sfu.meeting import checks
from sfu.meeting.checks import UNCHANGED
from sfu.meeting.events import GrantsChanged, Moderated, ParticipantUpdated
from sfu.meeting.occupancy import Occupancy
from sfu.meeting.participant import CloseReason, Participant, Quality, Track
from sfu.meeting.permissions import Grants, Source
from sfu.meeting.refusals import Refusal


class Room(Occupancy):
    """One occupancy, which is one session: it begins with the first who joins and ends when nobody is left.

    Methods that take a Participant refuse one that has left with NOT_JOINED; those that take an id refuse an unknown
    one with REMOVE_PARTICIPANT_FAILED. `by` None is the operator's API, which may everything.
    """

    def remove(self, by: Participant | None, participant_id: str, *, now: float) -> None:
        """Somebody is put out by a moderator, or by the operator's API."""
        participant = self._moderated(by, participant_id)
        self.leave(participant, CloseReason.REMOVE_PEER_API if by is None else CloseReason.REMOVE_PEER, now=now)

    def end_for_all(self, by: Participant, *, now: float) -> None:
        self._check_present(by)
        if not by.grants.end:
            raise Refusal.UNAUTHORIZED_REQUEST("ending the meeting needs the grant `end`")
        self.end(CloseReason.REMOVE_ALL, now=now)

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
        track = self._tracks.bind(participant, track_id, codec, simulcast, self._others(participant))
        return self._expect_speech(track, now)

    def start_track(self, participant: Participant, track_id: str, *, now: float) -> Track:
        """The first packet of a track came; with a binding, before or after, it is published."""
        self._check_present(participant)
        return self._expect_speech(self._tracks.start(participant, track_id, self._others(participant)), now)

    def unpublish(self, participant: Participant, track_id: str, *, now: float) -> None:
        self._check_present(participant)
        self._tracks.remove(participant, self._tracks.get(participant, track_id).track_id)

    def mute(self, participant: Participant, track_id: str, muted: bool, *, now: float) -> None:
        self._check_present(participant)
        self._tracks.mute(participant, track_id, muted)
        if not muted:
            self._expect_speech(participant.tracks[track_id], now)

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
        self._events.append(Moderated(*self._subject(participant), source, enabled, _name_of(by)))

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

    def pin(
        self,
        by: Participant | None,
        participant_id: str,
        *,
        cam: bool | None = None,
        share: bool | None = None,
        now: float,
    ) -> None:
        """Pins (True) and unpins (False) somebody's camera and screen share for everybody; None leaves it as it is."""
        self._check_live()
        refuse = Refusal.PIN_PARTICIPANT_FAILED if cam or share else Refusal.UNPIN_PARTICIPANT_FAILED
        if by is not None:
            self._check_present(by)
            if not by.grants.moderate:
                raise refuse("this needs the grant `moderate`")
        participant = self.participants.get(participant_id)
        if participant is None or participant.hidden:
            raise refuse("there is no such participant")
        self.pins.set(participant_id, cam=cam, share=share, by=_name_of(by))

    # Inside

    def _expect_speech(self, track: Track, now: float) -> Track:
        if track.published and track.source is Source.MIC:
            self.speakers.start(now=now)
        return track

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


def _name_of(by: Participant | None) -> str | None:
    return None if by is None or by.hidden else by.participant_id
