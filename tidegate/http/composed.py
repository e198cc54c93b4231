"""Lists of recordings, HLS and broadcasts (`livestreams` in the reference's paths). Nothing makes them yet: they are empty."""

from __future__ import annotations

from typing import Any

from tidegate.http import answers, models, render
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.rooms import find_room
from tidegate.http.sessions import find_session
from tidegate.store import Page


async def list_nothing(call: Call) -> dict[str, Any]:
    """A room or session that is asked for must exist and be the caller's, as it must when there is something to list."""
    query = call.query
    if query.room_id is not None:
        await find_room(call.context, call.who, query.room_id)
    if query.session_id is not None:
        await find_session(call, query.session_id)
    return render.page(Page([], query.page, query.per_page, 0), lambda row: row)


def _list(path: str, summary: str, query: type[models.Paged]) -> Endpoint:
    answer = answers.Page[dict[str, Any]]
    return Endpoint("GET", path, list_nothing, summary, "Compositions", query=query, answer=answer)


ENDPOINTS = (
    _list("/v2/recordings", "Recordings of rooms", models.ListRecordings),
    _list("/v2/recordings/participant", "Recordings of participants", models.ListRecordings),
    _list("/v2/recordings/participant/track", "Recordings of tracks", models.ListRecordings),
    _list("/v2/recordings/composite", "Composite recordings", models.ListRecordings),
    _list("/v2/hls", "HLS of rooms", models.ListComposed),
    _list("/v2/livestreams", "Broadcasts: RTMP out of rooms", models.ListComposed),
)
