"""/v2/recordings/participant: recordings of participants and of single tracks, reference section 2.4."""

from __future__ import annotations

from typing import Any

from tidegate import auth
from tidegate.egress.requests import RecordingRequest
from tidegate.http import answers, media, media_answers
from tidegate.http import recording_models as models
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.media_render import Renderer
from tidegate.http.recordings import COMMAND, DELETE, NEEDS, ONE, make_delete, make_get, make_list, said
from tidegate.store.media_models import PARTICIPANT, TRACK


async def _start(call: Call, **more: Any) -> Any:
    body: models.StartParticipantRecording | models.StartTrackRecording = call.body
    auth.require_participant(call.who, body.participant_id)
    room = await media.room_for_start(call)
    request = RecordingRequest(
        project_id=room.project_id,
        room_id=room.room_id,
        custom_room_id=room.custom_room_id,
        file_format=body.file_format,
        participant_id=body.participant_id,
        webhook_url=body.webhook_url,
        directory=body.directory,
        upload_url=body.upload_url,
        **more,
    )
    return await call.context.egress.start_recording(request)


async def _stop(call: Call, kind: str, track_kind: str | None) -> Any:
    body: models.StopParticipantRecording = call.body
    auth.require_participant(call.who, body.participant_id)
    room = await media.find_room(call.context, call.who, body.room_id)
    running = await call.context.store.recordings.running(
        room.project_id, room.room_id, kind=kind, participant_id=body.participant_id, track_kind=track_kind
    )
    return await call.context.egress.stop_recording(media.only(running, ONE).id)


async def start_participant(call: Call) -> dict[str, Any]:
    row = await _start(call, kind=PARTICIPANT, meta_data=call.body.metadata)
    return said(row, "Participant recording started successfully")


async def stop_participant(call: Call) -> dict[str, Any]:
    return said(await _stop(call, PARTICIPANT, None), "Participant recording stopped successfully")


async def start_track(call: Call) -> dict[str, Any]:
    row = await _start(call, kind=TRACK, track_kind=call.body.kind)
    return said(row, "Track recording started successfully")


async def stop_track(call: Call) -> dict[str, Any]:
    return said(await _stop(call, TRACK, call.body.kind), "Track recording stopped successfully")


TAG = "Participant recordings"
HOW = Renderer.participant_recording
LIST = {
    "query": models.ListRecordings,
    "needs": NEEDS,
    "answer": answers.Page[media_answers.ParticipantRecording],
}
GET = {"needs": NEEDS, "answer": media_answers.ParticipantRecording}
ROOT = "/v2/recordings/participant"

TRACK_ENDPOINTS = (
    Endpoint("POST", f"{ROOT}/track/start", start_track, "Record a track: a file for each of its runs", TAG,
             body=models.StartTrackRecording, **COMMAND),
    *(Endpoint("POST", f"{ROOT}/track/{verb}", stop_track, "Stop recording a track", TAG,
               body=models.StopTrackRecording, **COMMAND) for verb in ("stop", "end")),
    Endpoint("GET", f"{ROOT}/track", make_list(TRACK, HOW), "Recordings of tracks, newest first", TAG, **LIST),
    Endpoint("GET", f"{ROOT}/track/{{recordingId}}", make_get(TRACK, HOW), "A recording of a track", TAG, **GET),
    Endpoint("DELETE", f"{ROOT}/track/{{recordingId}}", make_delete(TRACK), "Delete a recording of a track", TAG, **DELETE),
)  # fmt: skip

ENDPOINTS = (
    *TRACK_ENDPOINTS,
    Endpoint("POST", f"{ROOT}/start", start_participant, "Record a participant into one file, without transcoding", TAG,
             body=models.StartParticipantRecording, **COMMAND),
    *(Endpoint("POST", f"{ROOT}/{verb}", stop_participant, "Stop recording a participant", TAG,
               body=models.StopParticipantRecording, **COMMAND) for verb in ("stop", "end")),
    Endpoint("GET", ROOT, make_list(PARTICIPANT, HOW), "Recordings of participants, newest first", TAG, **LIST),
)  # fmt: skip

# After every path of more words: aiohttp takes the first that fits.
BY_ID = (
    Endpoint("GET", f"{ROOT}/{{recordingId}}", make_get(PARTICIPANT, HOW), "A recording of a participant", TAG, **GET),
    Endpoint("DELETE", f"{ROOT}/{{recordingId}}", make_delete(PARTICIPANT), "Delete a recording of a participant", TAG,
             **DELETE),
)  # fmt: skip
