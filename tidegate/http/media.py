"""What the handlers of recordings, broadcasts and transcodings share: finding rows with the right to them, answering lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from media.errors import PeerError
from tidegate import auth
from tidegate.http import render
from tidegate.http.endpoint import Call
from tidegate.http.media_render import Renderer
from tidegate.http.problem import Problem, not_found
from tidegate.http.rooms import find_room
from tidegate.http.sessions import find_session
from tidegate.store import Broadcast, Page, Recording, Room, Transcoding

Row = Recording | Broadcast | Transcoding

async def room_for_start(call: Call) -> Room:
    """The room that a body names; a disabled one takes nothing new."""
    room = await find_room(call.context, call.who, call.body.room_id)
    if room.disabled:
        raise PeerError(4052, "MEETING_ID_DISABLED", "the room is disabled")
    return room


def checked(call: Call, row: Row | None, what: str) -> Any:
    """The row, if the caller's token reaches it."""
    if row is None:
        raise not_found(what)
    auth.require_room(call.who, row.room_id or "", row.custom_room_id)
    if isinstance(row, Recording) and row.participant_id is not None:
        auth.require_participant(call.who, row.participant_id)
    return row


async def list_filter(call: Call) -> dict[str, Any]:
    """Arguments of a repository's `list`. A room or session that is asked for must exist and be the caller's."""
    query, rooms = call.query, []
    if query.room_id is not None:
        rooms.append((await find_room(call.context, call.who, query.room_id)).room_id)
    if query.session_id is not None:
        await find_session(call, query.session_id)
    if call.who.room_id is not None:
        rooms.append(call.who.room_id)
    return {"rooms": tuple(rooms), "session_id": query.session_id, "page": query.page, "per_page": query.per_page}


async def renderer(call: Call, rows: Sequence[Row]) -> Renderer:
    context = call.context
    return Renderer(
        context.public_url(call.request),
        await context.links.signer(call.who.project_id),
        await context.store.events.webhook_summaries(subjects=[row.id for row in rows]),
    )


async def render_page(call: Call, rows: Page[Any], how: Callable[[Renderer, Any], dict[str, Any]]) -> dict[str, Any]:
    made = await renderer(call, rows.rows)
    return render.page(rows, lambda row: how(made, row))


async def render_one(call: Call, row: Row, how: Callable[[Renderer, Any], dict[str, Any]]) -> dict[str, Any]:
    return how(await renderer(call, [row]), row)


def only(rows: Sequence[Any], what: str) -> Any:
    """Of what runs, the one that a call without an id means."""
    if not rows:
        raise not_found(f"running {what}")
    if len(rows) > 1:
        raise Problem(409, f"several of them run here: say which {what} by its id")
    return rows[0]
