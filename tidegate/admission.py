"""Who may enter which room: a token and a room's settings become an `Admission` for the adapters (WebSocket, WHIP, WHEP)."""

from __future__ import annotations

from collections.abc import Callable

from media.errors import PeerError
from sfu.io.signalling_ports import Admission
from sfu.meeting.refusals import Refusal
from tidegate import auth
from tidegate.auth import Identity
from tidegate.store import Store


class Doorkeeper:
    """`wall` is Unix seconds."""

    def __init__(self, store: Store, wall: Callable[[], float], *, leeway: float) -> None:
        self._store = store
        self._wall = wall
        self._leeway = leeway

    async def authorize(self, token: str, room_id: str, participant_id: str | None) -> Admission:
        """For signalling: a token that may be used in meetings."""
        identity = await auth.authenticate(self._store, token, self._wall(), leeway=self._leeway)
        auth.require_role(identity, auth.MEETING)
        return await self.admit(identity, room_id, participant_id)

    async def admit(self, identity: Identity, room_id: str, participant_id: str | None) -> Admission:
        """PeerError says why not; a room of another project is one that does not exist."""
        if not identity.grants.join:
            reason = "this token must ask to be let in, and there is nobody to ask on this way in"
            raise Refusal.UNAUTHORIZED_REQUEST(reason if identity.grants.ask else "this token does not allow joining")
        room = await self._store.rooms.find(identity.project_id, room_id) if room_id.isprintable() else None
        if room is None:
            if identity.room_id not in (None, room_id):
                raise Refusal.UNAUTHORIZED_MEETING_ID("the token is for another room")
            raise Refusal.INVALID_MEETING_ID("there is no such meeting")
        auth.require_room(identity, room.room_id, room.custom_room_id)
        if room.disabled:
            raise Refusal.MEETING_ID_DISABLED("this meeting has been closed for good")
        chosen = participant_id or identity.participant_id
        if chosen is not None:
            if not auth.is_identifier(chosen):
                raise Refusal.INVALID_PARTICIPANT_ID(f"1 to {auth.MAX_ID_CHARS} visible characters, no spaces")
            auth.require_participant(identity, chosen)
        allowed = room.allowed_participant_ids
        if allowed and chosen not in allowed:
            raise Refusal.UNAUTHORIZED_PARTICIPANT_ID("this meeting is for named participants, and you are none of them")
        return Admission(
            room_id=room.room_id,
            grants=identity.grants,
            participant_id=chosen,
            project_id=room.project_id,
            allowed_origins=identity.allowed_origins,
        )

    async def owns(self, identity: Identity, project_id: str | None, room_id: str, participant_id: str) -> bool:
        """Whether a token may end a WHIP or WHEP session: same project, and not for another room or participant."""
        if identity.project_id != project_id:
            return False
        try:
            auth.require_participant(identity, participant_id)
            if identity.room_id is not None:
                room = await self._store.rooms.find(identity.project_id, room_id)
                auth.require_room(identity, room_id, None if room is None else room.custom_room_id)
        except PeerError:
            return False
        return True
