"""/v2/transcodings and stereo merges: finished recordings made into another file. Reference sections 2.4 and 2.5."""

from __future__ import annotations

from typing import Any

from media.errors import PeerError
from tidegate.egress.requests import MergePart, MergeRequest
from tidegate.http import answers, media, media_answers, render
from tidegate.http import models as base_models
from tidegate.http import recording_models as models
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.media_render import Renderer
from tidegate.http.problem import Problem, not_found, unsupported
from tidegate.http.sessions import find_session
from tidegate.store import Page, Recording, Transcoding
from tidegate.store.media_models import ENDED_STATES, PARTICIPANT, TRACK

NEEDS = ("record",)
ONE = "transcoding"
STEREO = "stereo-merge"


def parts_of(row: Recording, path: str, channel: int = 0) -> list[MergePart]:
    """The files of a finished recording."""
    if row.state not in ENDED_STATES:
        raise Problem(409, f"{path}: the recording is {row.state}: wait until it is whole")
    parts = [MergePart(row.id, entry["name"], channel) for entry in row.files if entry.get("path")]
    if not parts or row.is_cleared:
        raise Problem(409, f"{path}: nothing of that recording is kept here")
    return parts


async def _recordings(call: Call, ids: list[str]) -> list[Recording]:
    found = []
    for index, name in enumerate(ids):
        row = await call.context.store.recordings.find(call.who.project_id, name)
        found.append(media.checked(call, row, f"recording: recordingIds[{index}]"))
    return found


async def _merge(call: Call, task: Any, **more: Any) -> Transcoding:
    _require_anybody(call)
    rows = await _recordings(call, call.body.recording_ids)
    parts = [part for index, row in enumerate(rows) for part in parts_of(row, f"recordingIds[{index}]")]
    first = rows[0]
    # What is of several rooms is nobody's who has a token for one of them only.
    is_of_one_room = len({row.room_id for row in rows}) == 1
    sessions = {row.session_id for row in rows}
    request = MergeRequest(
        project_id=first.project_id,
        task=task,
        parts=tuple(parts),
        file_format="mp4",
        room_id=first.room_id if is_of_one_room else None,
        custom_room_id=first.custom_room_id if is_of_one_room else None,
        session_id=first.session_id if len(sessions) == 1 else None,
        webhook_url=call.body.webhook_url,
        **more,
    )
    return await call.context.egress.start_merge(request)


async def _said(call: Call, row: Transcoding, message: str) -> dict[str, Any]:
    shown = await media.render_one(call, row, Renderer.transcoding)
    return {"message": message, "id": row.id, "status": row.state, "transcoding": shown}


async def merge_composites(call: Call) -> dict[str, Any]:
    row = await _merge(call, "composite-merge", directory=call.body.directory, upload_url=call.body.upload_url)
    return await _said(call, row, "Merge started successfully")


async def merge_meetings(call: Call) -> dict[str, Any]:
    row = await _merge(call, "meeting-recording-merge", upload_url=call.body.presigned_output_url)
    return await _said(call, row, "Merge started successfully")


async def refuse_hls(call: Call) -> Any:
    raise unsupported("hls-to-mp4", "HLS of rooms is not made yet: record the room as MP4")


async def merge_stereo(call: Call) -> dict[str, Any]:
    body: models.StartStereoMerge = call.body
    _require_anybody(call)
    session = await find_session(call, body.session_id)
    rows = await call.context.store.recordings.of_session(call.who.project_id, session.id)
    parts: list[MergePart] = []
    for channel, sources in enumerate((body.channel1, body.channel2)):
        for index, source in enumerate(sources):
            path = f"channel{channel + 1}[{index}]"
            parts += parts_of(_choose(rows, source, path), path, channel)
    request = MergeRequest(
        project_id=session.project_id,
        task=STEREO,
        parts=tuple(parts),
        file_format="mp4",
        room_id=session.room_id,
        custom_room_id=session.custom_room_id,
        session_id=session.id,
        webhook_url=body.webhook_url,
        directory=body.directory,
        upload_url=body.upload_url,
    )
    row = await call.context.egress.start_merge(request)
    shown = await media.render_one(call, row, Renderer.transcoding)
    return {"message": "Merge started successfully", "id": row.id, "recording": shown}


def _choose(rows: list[Recording], source: models.MergeSource, path: str) -> Recording:
    """The recording that a side of a stereo merge names; the latest of the participant where it names none."""
    kind = TRACK if source.type == "track" else PARTICIPANT
    fitting = [
        row
        for row in rows
        if row.participant_id == source.participant_id
        and (row.id == source.recording_id if source.recording_id else row.kind == kind)
        and row.track_kind in (None, "audio", "screen_audio")
    ]
    if not fitting:
        raise not_found(f"recording of that participant in the session: {path}")
    return fitting[-1]


def _make_list(tasks: tuple[str, ...]) -> Any:
    async def list_transcodings(call: Call) -> dict[str, Any]:
        _require_anybody(call)
        wanted = await media.list_filter(call)
        if getattr(call.query, "hls_id", None) is not None:
            return render.page(Page([], call.query.page, call.query.per_page, 0), lambda row: row)
        state = getattr(call.query, "status", None)
        rows = await call.context.store.transcodings.list(call.who.project_id, tasks=tasks, state=state, **wanted)
        return await media.render_page(call, rows, Renderer.transcoding)

    return list_transcodings


def _require_anybody(call: Call) -> None:
    """What is merged is of several people."""
    if call.who.participant_id is not None:
        raise PeerError(4023, "UNAUTHORIZED_PARTICIPANT_ID", "the token is for one participant, merges are of several")


async def _find(call: Call) -> Transcoding:
    _require_anybody(call)
    row = await call.context.store.transcodings.find(call.who.project_id, call.path["transcodingId"])
    return media.checked(call, row, ONE)


async def get(call: Call) -> dict[str, Any]:
    return await media.render_one(call, await _find(call), Renderer.transcoding)


async def get_stereo(call: Call) -> dict[str, Any]:
    row = await _find(call)
    if row.task != STEREO:
        raise not_found("merge")
    return await media.render_one(call, row, Renderer.transcoding)


async def cancel(call: Call) -> dict[str, Any]:
    row = await _find(call)
    if row.state in ENDED_STATES:
        raise Problem(409, f"the transcoding is {row.state} already")
    return await _said(call, await call.context.egress.cancel_merge(row.id), "Transcoding cancelled successfully")


TAG = "Transcodings"
PAGE = answers.Page[media_answers.Transcoding]
SAID = {"needs": NEEDS, "answer": media_answers.TranscodingChanged}
ROOT = "/v2/transcodings"
STEREO_ROOT = "/v2/recordings/participant/merge"

# Before `/v2/recordings/participant/{recordingId}`: aiohttp takes the first that fits.
STEREO_ENDPOINTS = (
    Endpoint("POST", STEREO_ROOT, merge_stereo, "Merge recordings of participants into left and right", TAG,
             body=models.StartStereoMerge, needs=NEEDS, answer=media_answers.StereoMerge),
    Endpoint("GET", STEREO_ROOT, _make_list((STEREO,)), "Stereo merges, newest first", TAG, query=models.ListMerges,
             needs=NEEDS, answer=PAGE),
    Endpoint("GET", f"{STEREO_ROOT}/{{transcodingId}}", get_stereo, "A stereo merge", TAG, needs=NEEDS,
             answer=media_answers.Transcoding),
)  # fmt: skip

ENDPOINTS = (
    Endpoint("POST", f"{ROOT}/merge", merge_composites, "Merge recordings side by side", TAG,
             body=models.StartCompositeMerge, **SAID),
    Endpoint("POST", f"{ROOT}/meeting-recording-merge", merge_meetings, "Merge recordings one after the other", TAG,
             body=models.StartMeetingMerge, **SAID),
    Endpoint("POST", f"{ROOT}/hls-to-mp4", refuse_hls, "Not here yet: answers 501", TAG, needs=NEEDS),
    Endpoint("GET", ROOT, _make_list(()), "Merges, newest first", TAG, query=models.ListTranscodings,
             needs=NEEDS, answer=PAGE),
    Endpoint("GET", f"{ROOT}/{{transcodingId}}", get, "A merge", TAG, needs=NEEDS, answer=media_answers.Transcoding),
    Endpoint("POST", f"{ROOT}/{{transcodingId}}/cancel", cancel, "Cancel a merge", TAG, body=base_models.Nothing, **SAID),
)  # fmt: skip
