"""/v2/recordings: of rooms and composites, reference section 2.4. Those of participants are in `participant_recordings`.

The answers to start and stop say what the reference says in words, as `message`, and with it what goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from tidegate.egress.requests import Chosen
from tidegate.http import answers, media, media_answers, media_requests
from tidegate.http import composition_models as composition
from tidegate.http import recording_models as models
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.media_render import Renderer
from tidegate.http.problem import Problem, not_found
from tidegate.storage import retention
from tidegate.store import Recording
from tidegate.store.media_models import COMPOSITE, ENDED_STATES, PARTICIPANT, RECORDING, ROOM, STARTING, TRACK

log = logging.getLogger("tidegate.http")

NEEDS = ("record",)
ONE = "recording"


def said(row: Recording, message: str) -> dict[str, Any]:
    return {
        "message": message,
        "id": row.id,
        "recordingId": row.id,
        "roomId": row.room_id,
        "sessionId": row.session_id,
        "status": row.state,
    }


async def start(call: Call) -> dict[str, Any]:
    room = await media.room_for_start(call)
    row = await call.context.egress.start_recording(media_requests.recording_request(room, call.body))
    return said(row, "Recording started successfully")


async def stop(call: Call) -> dict[str, Any]:
    room = await media.find_room(call.context, call.who, call.body.room_id)
    running = await call.context.store.recordings.running(room.project_id, room.room_id, kind=ROOM)
    if call.body.id is not None:
        running = [row for row in running if row.id == call.body.id]
    row = await call.context.egress.stop_recording(media.only(running, ONE).id)
    return said(row, "Recording stopped successfully")


async def start_composite(call: Call) -> dict[str, Any]:
    body: models.StartComposite = call.body
    room = await media.room_for_start(call)
    config = body.config or composition.CompositionConfig()
    if body.watermarks:
        first = body.watermarks[0]
        watermark = composition.Watermark(text=first.text, image_base64=first.image_base64)
        config = config.model_copy(update={"watermark": watermark})
    chosen = tuple(Chosen(person.participant_id, tuple(person.kind)) for person in body.participants)
    request = media_requests.composed_request(room, body, COMPOSITE, composition.compose(config), participants=chosen)
    return said(await call.context.egress.start_recording(request), "Composite recording started successfully")


async def stop_composite(call: Call) -> dict[str, Any]:
    room = await media.find_room(call.context, call.who, call.body.room_id)
    running = await call.context.store.recordings.running(room.project_id, room.room_id, kind=COMPOSITE)
    found = [row for row in running if row.id == call.body.recording_id]
    row = await call.context.egress.stop_recording(media.only(found, ONE).id)
    return said(row, "Composite recording stopped successfully")


# Reading and deleting: the same for all kinds


def make_list(kind: str, how: Callable[[Renderer, Any], dict[str, Any]]) -> Callable[[Call], Awaitable[Any]]:
    async def list_recordings(call: Call) -> dict[str, Any]:
        wanted = await media.list_filter(call)
        people: set[str | None] = set()
        if kind in (PARTICIPANT, TRACK):
            people = {call.query.participant_id, call.who.participant_id} - {None}
        if len(people) > 1:
            people = {""}  # a token for one participant sees nothing of another
        rows = await call.context.store.recordings.list(
            call.who.project_id, kind=kind, participant_id=next(iter(people), None), query=call.query.query, **wanted
        )
        return await media.render_page(call, rows, how)

    return list_recordings


async def find(call: Call, kind: str | None) -> Recording:
    """The recording of the path, of that kind (None: any)."""
    row = await call.context.store.recordings.find(call.who.project_id, call.path["recordingId"])
    if row is not None and kind not in (None, row.kind):
        raise not_found(ONE)
    return media.checked(call, row, ONE)


def make_get(kind: str, how: Callable[[Renderer, Any], dict[str, Any]]) -> Callable[[Call], Awaitable[Any]]:
    async def get(call: Call) -> dict[str, Any]:
        return await media.render_one(call, await find(call, kind), how)

    return get


def make_delete(kind: str) -> Callable[[Call], Awaitable[Any]]:
    async def delete(call: Call) -> dict[str, Any]:
        row = await find(call, kind)
        if row.state not in ENDED_STATES:
            raise Problem(409, f"the recording is {row.state}: it can be deleted once it has ended")
        recordings = call.context.store.recordings
        async with recordings.transaction() as tx:
            gone = await recordings.delete(tx, row.id)
        # Should the storage not answer, the next round of housekeeping does it.
        await retention.clear(call.context.store, call.context.storage, gone)
        return {"message": "Recording deleted successfully", "id": row.id}

    return delete


async def change(call: Call) -> dict[str, Any]:
    """PATCH: how a running composition looks."""
    row = await find(call, None)
    if row.kind not in (ROOM, COMPOSITE):
        raise Problem(409, "a recording of a participant or track has no layout")
    if row.state not in (STARTING, RECORDING):
        raise Problem(409, "the recording has ended")
    changed = await call.context.egress.update_composition(row.id, composition.patch(call.body.config, row.config))
    return await media.render_one(call, changed, Renderer.recording)


TAG = "Recordings"
LIST = {"query": models.ListComposedRecordings, "needs": NEEDS, "answer": answers.Page[media_answers.Recording]}
GET = {"needs": NEEDS, "answer": media_answers.Recording}
DELETE = {"needs": NEEDS, "answer": media_answers.Deleted}
COMMAND = {"needs": NEEDS, "answer": media_answers.RecordingChanged}
LARGE = {**COMMAND, "max_body_bytes": composition.MAX_COMPOSITION_BODY}

ENDPOINTS = (
    Endpoint("POST", "/v2/recordings/start", start, "Record a room", TAG, body=models.StartRecording, **LARGE),
    *(Endpoint("POST", f"/v2/recordings/{verb}", stop, "Stop recording a room", TAG, body=models.OfRoom, **COMMAND)
      for verb in ("end", "stop")),
    Endpoint("GET", "/v2/recordings", make_list(ROOM, Renderer.recording), "Recordings of rooms, newest first", TAG, **LIST),
    Endpoint("POST", "/v2/recordings/composite/start", start_composite, "Record chosen participants into one picture", TAG,
             body=models.StartComposite, **LARGE),
    *(Endpoint("POST", f"/v2/recordings/composite/{verb}", stop_composite, "Stop a composite recording", TAG,
               body=models.StopComposite, **COMMAND) for verb in ("stop", "end")),
    Endpoint("GET", "/v2/recordings/composite", make_list(COMPOSITE, Renderer.recording),
             "Composite recordings, newest first", TAG, **LIST),
    Endpoint("GET", "/v2/recordings/composite/{recordingId}", make_get(COMPOSITE, Renderer.recording),
             "A composite recording", TAG, **GET),
    Endpoint("DELETE", "/v2/recordings/composite/{recordingId}", make_delete(COMPOSITE),
             "Delete a composite recording and its files", TAG, **DELETE),
)  # fmt: skip

# After every path of more words: aiohttp takes the first that fits.
BY_ID = (
    Endpoint("GET", "/v2/recordings/{recordingId}", make_get(ROOM, Renderer.recording), "A recording of a room", TAG, **GET),
    Endpoint("PATCH", "/v2/recordings/{recordingId}", change, "Change how a running recording looks: layout, theme...", TAG,
             body=composition.ChangeComposition, needs=NEEDS, answer=media_answers.Recording,
             max_body_bytes=composition.MAX_COMPOSITION_BODY),
    Endpoint("DELETE", "/v2/recordings/{recordingId}", make_delete(ROOM), "Delete a recording and its files", TAG, **DELETE),
)  # fmt: skip
