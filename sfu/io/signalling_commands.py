"""Requests of somebody who has joined: each carried out by one command of the Conference. `join` is in signalling.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from media.errors import ParseError
from sfu.io.signalling_messages import (
    KINDS,
    QUALITIES,
    SOURCES,
    AnnounceParams,
    CandidateParams,
    ModerateParams,
    MuteParams,
    NoParams,
    Params,
    ParticipantParams,
    PinParams,
    PublishParams,
    SetGrantsParams,
    SubscribeAnswerParams,
    SubscribeParams,
    TrackParams,
    UpdateParams,
)
from sfu.io.signalling_ports import ConferencePort
from sfu.meeting.checks import UNCHANGED
from sfu.meeting.participant import CloseReason, Participant
from sfu.meeting.permissions import Grants
from sfu.meeting.refusals import Refusal

Result = dict[str, Any]
Command = Callable[[ConferencePort, Participant, Any, float], Result]


def leave(conference: ConferencePort, participant: Participant, params: NoParams, now: float) -> Result:
    conference.leave(participant, CloseReason.MANUAL_LEAVE_CALLED, now=now)
    return {}


def end(conference: ConferencePort, participant: Participant, params: NoParams, now: float) -> Result:
    conference.end_for_all(participant, now=now)
    return {}


def announce(conference: ConferencePort, participant: Participant, params: AnnounceParams, now: float) -> Result:
    track = conference.announce(
        participant,
        source=SOURCES[params.source],
        kind=KINDS[params.kind],
        name=params.name or "",
        muted=params.muted,
        width=params.width,
        height=params.height,
        simulcast=params.simulcast,
        now=now,
    )
    return {"trackId": track.track_id}


def publish(conference: ConferencePort, participant: Participant, params: PublishParams, now: float) -> Result:
    bindings = [(binding.mid, binding.track_id) for binding in params.tracks]
    if len({mid for mid, _ in bindings}) < len(bindings) or len({track for _, track in bindings}) < len(bindings):
        raise Refusal.INVALID_MESSAGE("params.tracks: a mid or trackId is named twice")
    return {"sdp": conference.publish(participant, params.sdp, bindings, now=now)}


def unpublish(conference: ConferencePort, participant: Participant, params: TrackParams, now: float) -> Result:
    conference.unpublish(participant, params.track_id, now=now)
    return {}


def mute(conference: ConferencePort, participant: Participant, params: MuteParams, now: float) -> Result:
    conference.mute(participant, params.track_id, params.muted, now=now)
    return {}


def subscribe_answer(
    conference: ConferencePort, participant: Participant, params: SubscribeAnswerParams, now: float
) -> Result:
    taken = conference.subscribe_answer(participant, params.sdp, params.serial, now=now)
    return {} if taken else {"stale": True}


def subscribe(conference: ConferencePort, participant: Participant, params: SubscribeParams, now: float) -> Result:
    conference.want(
        participant,
        params.track_id,
        enabled=params.enabled,
        quality=QUALITIES[params.quality] if params.quality is not None else None,
        width=params.width,
        height=params.height,
        priority=params.priority,
        now=now,
    )
    return {}


def candidate(conference: ConferencePort, participant: Participant, params: CandidateParams, now: float) -> Result:
    """Nothing to do: an ICE-lite agent answers checks from wherever they come. RFC 8445 section 2.5."""
    return {}


def restart_subscribe(conference: ConferencePort, participant: Participant, params: NoParams, now: float) -> Result:
    conference.restart_subscribe(participant, now=now)
    return {}


def update(conference: ConferencePort, participant: Participant, params: UpdateParams, now: float) -> Result:
    version = conference.update(
        participant,
        display_name=params.display_name,
        meta_data=params.meta_data if "meta_data" in params.model_fields_set else UNCHANGED,
        attributes=params.attributes,
        if_version=params.if_version,
        now=now,
    )
    return {"version": version}


def remove(conference: ConferencePort, participant: Participant, params: ParticipantParams, now: float) -> Result:
    conference.remove_by(participant, params.participant_id, now=now)
    return {}


def moderate(conference: ConferencePort, participant: Participant, params: ModerateParams, now: float) -> Result:
    conference.moderate(participant, params.participant_id, SOURCES[params.source], params.enabled, now=now)
    return {}


def set_grants(conference: ConferencePort, participant: Participant, params: SetGrantsParams, now: float) -> Result:
    target = conference.rooms[participant.room_id].participants.get(params.participant_id)
    # A stranger's name is refused by the room like that of a hidden participant, so laying over nothing does no harm.
    try:
        grants = Grants.from_wire(params.grants, target.grants if target is not None else None)
    except ParseError as error:
        raise Refusal.INVALID_MESSAGE(f"params.{error}") from None
    conference.set_grants(participant, params.participant_id, grants, now=now)
    return {}


def pin(conference: ConferencePort, participant: Participant, params: PinParams, now: float) -> Result:
    _set_pin(conference, participant, params, True, now)
    return {}


def unpin(conference: ConferencePort, participant: Participant, params: PinParams, now: float) -> Result:
    _set_pin(conference, participant, params, False, now)
    return {}


def _set_pin(conference: ConferencePort, by: Participant, params: PinParams, pinned: bool, now: float) -> None:
    cam = pinned if params.type in ("CAM", "SHARE_AND_CAM") else None
    share = pinned if params.type in ("SHARE", "SHARE_AND_CAM") else None
    conference.pin(by, params.participant_id, cam=cam, share=share, now=now)


COMMANDS: Mapping[str, Command] = {
    "leave": leave,
    "end": end,
    "announce": announce,
    "publish": publish,
    "unpublish": unpublish,
    "mute": mute,
    "subscribe-answer": subscribe_answer,
    "subscribe": subscribe,
    "candidate": candidate,
    "restart-subscribe": restart_subscribe,
    "update": update,
    "remove": remove,
    "moderate": moderate,
    "set-grants": set_grants,
    "pin": pin,
    "unpin": unpin,
}

__all__ = ["COMMANDS", "Command", "Params", "Result"]
