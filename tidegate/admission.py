"""Who may enter a room: what signalling, WHIP and WHEP ask before a participant is made."""

from __future__ import annotations

from media.errors import PeerError
from media.ids import RandomBytes, document_id
from sfu.io.signalling_ports import Admission
from tidegate import auth
from tidegate.auth import Identity
from tidegate.store import Store


async def admit(
    store: Store, identity: Identity, room_name: str, participant_id: str | None, random_bytes: RandomBytes
) -> Admission:
    """What this caller may do in the room of that roomId, customRoomId or id; PeerError when they may not enter."""
    grants = identity.grants
    if not (grants.join or grants.ask):
        raise PeerError(4025, "UNAUTHORIZED_REQUEST", "the token does not let anybody join")
    room = await store.rooms.find(identity.project_id, room_name) if room_name.isprintable() else None
    if room is None:
        if identity.room_id not in (None, room_name):
            raise PeerError(4022, "UNAUTHORIZED_MEETING_ID", "the token is for another room")
        raise PeerError(4003, "INVALID_MEETING_ID", "no such room")
    auth.require_room(identity, room.room_id, room.custom_room_id)
    if room.disabled:
        raise PeerError(4052, "MEETING_ID_DISABLED", "the room is disabled")
    if participant_id is None:
        participant_id = identity.participant_id
    elif not auth.is_identifier(participant_id):
        raise PeerError(4004, "INVALID_PARTICIPANT_ID", f"1 to {auth.MAX_ID_CHARS} visible characters, no spaces")
    else:
        auth.require_participant(identity, participant_id)
    if room.allowed_participant_ids is not None and participant_id not in room.allowed_participant_ids:
        raise PeerError(4023, "UNAUTHORIZED_PARTICIPANT_ID", "the room does not list this participant")
    return Admission(
        room_id=room.room_id,
        grants=grants,
        participant_id=participant_id,
        project_id=room.project_id,
        session_id=document_id(random_bytes),
        allowed_origins=identity.allowed_origins,
    )


async def authorize(
    store: Store,
    token: str,
    room_name: str,
    participant_id: str | None,
    *,
    now_wall: float,
    leeway: float,
    random_bytes: RandomBytes,
) -> Admission:
    """For signalling, whose token comes in its first message. The adapter checks the page's origin."""
    identity = await auth.authenticate(store, token, now_wall, leeway=leeway)
    auth.require_role(identity, auth.MEETING)
    return await admit(store, identity, room_name, participant_id, random_bytes)
