"""What `join` means: the request to the room, who may ask, and what the one who joined is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sfu.io.signalling_messages import MODES, JoinParams, participant_to_wire, pin_to_wire
from sfu.io.signalling_ports import Admission
from sfu.meeting.participant import JoinRequest, Participant
from sfu.meeting.room import Room

PROTOCOL_VERSION = 1


def join_request(params: JoinParams, admission: Admission) -> JoinRequest:
    """What the token says goes before what the client says."""
    return JoinRequest(
        room_id=admission.room_id,
        participant_id=admission.participant_id if admission.participant_id is not None else params.participant_id,
        display_name=params.display_name or "",
        grants=admission.grants,
        meta_data=params.meta_data,
        attributes=params.attributes or {},
        mode=MODES[params.mode],
        auto_subscribe=params.auto_subscribe,
        max_participants=admission.max_participants,
        session_id=admission.session_id,
        project_id=admission.project_id,
    )


def welcome(
    room: Room,
    participant: Participant,
    *,
    resumed: bool,
    resume_window: float,
    ice_servers: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The result of `join`: the whole truth of now."""
    return {
        "version": PROTOCOL_VERSION,
        "roomId": room.room_id,
        "sessionId": room.session_id,
        "participantId": participant.participant_id,
        "resumeToken": participant.resume_token,
        "resumed": resumed,
        "resumeWindow": resume_window,
        "participant": participant_to_wire(participant.info(all_tracks=True)),
        "participants": [
            participant_to_wire(other.info())
            for other in room.participants.values()
            if other is not participant and not other.hidden
        ],
        "activeSpeakerId": room.speakers.active,
        "pins": [
            pin_to_wire(participant_id, cam=pin.cam, share=pin.share, by=pin.by)
            for participant_id, pin in room.pins.pins.items()
        ],
        "state": dict(room.state.values),
        "grants": participant.grants.to_wire(),
        "iceServers": ice_servers,
    }


def origin_allowed(origin: str | None, allowed: Sequence[str], own: str) -> bool:
    """A page's origin against those of its key and our `own`; who sends none is no browser. RFC 6455 section 10.2."""
    if origin is None or not allowed or "*" in allowed:
        return True
    return origin.lower() in {one.lower().rstrip("/") for one in (*allowed, own)}
