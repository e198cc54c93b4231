"""/v2/livestreams: broadcasts, that is RTMP out of rooms; reference section 2.6, and targets added and removed while live.

A stream key is taken and never given: not in answers, lists, events or logs.
"""

from __future__ import annotations

from typing import Any

from tidegate.egress.requests import BroadcastTarget
from tidegate.http import answers, media, media_answers, media_render, media_requests
from tidegate.http import composition_models as composition
from tidegate.http import recording_models as models
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.media_render import Renderer
from tidegate.http.problem import Problem, not_found
from tidegate.store import Broadcast
from tidegate.store.media_models import LIVE, STARTING

NEEDS = ("broadcast",)
ONE = "livestream"


def said(row: Broadcast, message: str) -> dict[str, Any]:
    return {
        "message": message,
        "id": row.id,
        "roomId": row.room_id,
        "sessionId": row.session_id,
        "status": row.state,
        "outputs": [media_render.output(entry) for entry in row.outputs],
        "recordingId": row.recording_id,
    }


async def start(call: Call) -> dict[str, Any]:
    room = await media.room_for_start(call)
    request = media_requests.broadcast_request(room, call.body)
    return said(await call.context.egress.start_broadcast(request), "Livestream started successfully")


async def stop(call: Call) -> dict[str, Any]:
    room = await media.find_room(call.context, call.who, call.body.room_id)
    running = await call.context.store.broadcasts.running(room.project_id, room.room_id)
    if call.body.id is not None:
        running = [row for row in running if row.id == call.body.id]
    row = await call.context.egress.stop_broadcast(media.only(running, ONE).id)
    return said(row, "Livestream ended successfully")


async def list_broadcasts(call: Call) -> dict[str, Any]:
    wanted = await media.list_filter(call)
    rows = await call.context.store.broadcasts.list(call.who.project_id, query=call.query.query, **wanted)
    return await media.render_page(call, rows, Renderer.broadcast)


async def _find(call: Call) -> Broadcast:
    row = await call.context.store.broadcasts.find(call.who.project_id, call.path["livestreamId"])
    return media.checked(call, row, ONE)


async def _find_running(call: Call) -> Broadcast:
    row = await _find(call)
    if row.state not in (STARTING, LIVE):
        raise Problem(409, "the livestream has ended")
    return row


async def get(call: Call) -> dict[str, Any]:
    return await media.render_one(call, await _find(call), Renderer.broadcast)


async def change(call: Call) -> dict[str, Any]:
    row = await _find_running(call)
    changed = await call.context.egress.update_composition(row.id, composition.patch(call.body.config, row.config))
    return await media.render_one(call, changed, Renderer.broadcast)


async def add_output(call: Call) -> dict[str, Any]:
    row = await _find_running(call)
    target = BroadcastTarget(call.body.url, call.body.stream_key)
    changed = await call.context.egress.add_output(row.id, target)
    return await media.render_one(call, changed, Renderer.broadcast)


async def remove_output(call: Call) -> dict[str, Any]:
    row = await _find_running(call)
    output_id = call.path["outputId"]
    if output_id not in [entry["id"] for entry in row.outputs]:
        raise not_found("output")
    changed = await call.context.egress.remove_output(row.id, output_id)
    return await media.render_one(call, changed, Renderer.broadcast)


TAG = "Livestreams"
ROOT = "/v2/livestreams"
SAID = {"needs": NEEDS, "answer": media_answers.BroadcastChanged}
SHOWN = {"needs": NEEDS, "answer": media_answers.Broadcast}
LARGE = {"max_body_bytes": composition.MAX_COMPOSITION_BODY}

ENDPOINTS = (
    Endpoint("POST", f"{ROOT}/start", start, "Send a room to RTMP targets", TAG, body=models.StartBroadcast, **SAID, **LARGE),
    *(Endpoint("POST", f"{ROOT}/{verb}", stop, "End a livestream", TAG, body=models.OfRoom, **SAID)
      for verb in ("end", "stop")),
    Endpoint("GET", ROOT, list_broadcasts, "Livestreams (RTMP out) of rooms, newest first", TAG, query=models.ListComposed,
             needs=NEEDS, answer=answers.Page[media_answers.Broadcast]),
    Endpoint("GET", f"{ROOT}/{{livestreamId}}", get, "A livestream, with the state of each output", TAG, **SHOWN),
    Endpoint("PATCH", f"{ROOT}/{{livestreamId}}", change, "Change how a running livestream looks", TAG,
             body=composition.ChangeComposition, **SHOWN, **LARGE),
    Endpoint("POST", f"{ROOT}/{{livestreamId}}/outputs", add_output, "Add a target while it is live", TAG,
             body=models.Target, **SHOWN),
    Endpoint("DELETE", f"{ROOT}/{{livestreamId}}/outputs/{{outputId}}", remove_output, "Remove a target while it is live",
             TAG, **SHOWN),
)  # fmt: skip
