"""What participants ask by signalling, and rooms by autoStartConfig, as the same requests that REST makes.

Bodies are checked by the same models, so a mistake is told with the same path.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from media.errors import PeerError
from sfu.meeting.participant import Participant
from sfu.meeting.permissions import Grants
from sfu.meeting.refusals import Refusal
from tidegate.egress import names
from tidegate.egress.requests import RecordingRequest
from tidegate.egress.service import Egress
from tidegate.http import composition_models as composition
from tidegate.http import recording_models as models
from tidegate.http.media_requests import automatic_request, broadcast_request, recording_request
from tidegate.http.problem import Problem, from_validation
from tidegate.store import Recording, Room, Store
from tidegate.store.media_models import ROOM


class EgressCommands:
    """`sfu.io.signalling_ports.Egress`. Params are the REST bodies without `roomId`."""

    def __init__(self, store: Store, egress: Egress) -> None:
        self._store = store
        self._egress = egress
        self._methods = {
            "start-recording": self._start_recording,
            "stop-recording": self._stop_recording,
            "start-livestream": self._start_livestream,
            "stop-livestream": self._stop_livestream,
        }

    async def command(self, participant: Participant, method: str, params: dict[str, Any]) -> dict[str, Any]:
        room = await self._store.rooms.find_live(participant.room_id)
        if room is None:
            raise Refusal.INVALID_MEETING_ID("there is no such room any more")
        if room.disabled and method.startswith("start-"):
            raise Refusal.MEETING_ID_DISABLED("the room is disabled")
        try:
            if method == "update-composition":
                return await self._update(room, params, participant.grants)
            return await self._methods[method](room, params)
        except ValidationError as error:
            raise _refusal(from_validation(error), method) from None
        except Problem as problem:
            raise _refusal(problem, method) from None

    async def _start_recording(self, room: Room, params: dict[str, Any]) -> dict[str, Any]:
        body = models.StartRecording.model_validate({**params, "roomId": room.room_id})
        row = await self._egress.start_recording(recording_request(room, body))
        return {"id": row.id}

    async def _stop_recording(self, room: Room, params: dict[str, Any]) -> dict[str, Any]:
        body = models.OfRoom.model_validate({**params, "roomId": room.room_id})
        running = await self._store.recordings.running(room.project_id, room.room_id, kind=ROOM)
        row = await self._egress.stop_recording(_only(running, body.id, Refusal.STOP_RECORDING_FAILED).id)
        return {"id": row.id}

    async def _start_livestream(self, room: Room, params: dict[str, Any]) -> dict[str, Any]:
        body = models.StartBroadcast.model_validate({**params, "roomId": room.room_id})
        row = await self._egress.start_broadcast(broadcast_request(room, body))
        return {"id": row.id, "outputs": names.outputs_wire(row.outputs)}

    async def _stop_livestream(self, room: Room, params: dict[str, Any]) -> dict[str, Any]:
        body = models.OfRoom.model_validate({**params, "roomId": room.room_id})
        running = await self._store.broadcasts.running(room.project_id, room.room_id)
        row = await self._egress.stop_broadcast(_only(running, body.id, Refusal.STOP_LIVESTREAM_FAILED).id)
        return {"id": row.id}

    async def _update(self, room: Room, params: dict[str, Any], grants: Grants) -> dict[str, Any]:
        """`{id, config}`: of a recording or a livestream of this room."""
        row_id = params.get("id")
        found = None
        if isinstance(row_id, str):
            found = await self._store.recordings.find(room.project_id, row_id) or await self._store.broadcasts.find(
                room.project_id, row_id
            )
        if found is None or found.room_id != room.room_id:
            raise Refusal.INVALID_MESSAGE("id: no recording or livestream of this room has it")
        needed = "record" if isinstance(found, Recording) else "broadcast"
        if not getattr(grants, needed):
            raise Refusal.UNAUTHORIZED_REQUEST(f"this needs the grant `{needed}`")
        body = composition.ChangeComposition.model_validate({key: value for key, value in params.items() if key != "id"})
        row = await self._egress.update_composition(found.id, composition.patch(body.config, found.config))
        return {"id": row.id, "config": row.config}


async def auto_start(store: Store, room_id: str) -> RecordingRequest | None:
    """The recording that a room begins with, by its autoStartConfig."""
    room = await store.rooms.find_live(room_id)
    return automatic_request(room) if room is not None else None


def _only(rows: list[Any], row_id: str | None, refusal: Refusal) -> Any:
    found = [row for row in rows if row_id in (None, row.id)]
    if len(found) != 1:
        words = "several of them run here: say which by its id" if found else "none runs in this room"
        raise refusal(words)
    return found[0]


def _refusal(problem: Problem, method: str) -> PeerError:
    """A mistake in `params`, in the shape of the socket."""
    is_broadcast = "livestream" in method
    refusal = Refusal.INVALID_LIVESTREAM_CONFIG if is_broadcast else Refusal.INVALID_RECORDING_CONFIG
    words = "; ".join(f"{path}: {message}" if path else message for path, message in problem.errors)
    return refusal(words or problem.message)
