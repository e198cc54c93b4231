"""/v2/events: server-sent events (HTML Living Standard, section 9.2), from now on. Replay is not here yet.

Each event has the form of a webhook: `{"webhookType", "data", "time"}`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase

from aiohttp import web

from media.errors import PeerError
from tidegate import auth
from tidegate.auth import Identity
from tidegate.events.bus import BusEvent, EventReader
from tidegate.http import models, render
from tidegate.http.context import HttpContext
from tidegate.http.dispatch import too_many
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.middleware import finish
from tidegate.http.problem import unsupported
from tidegate.http.rooms import find_room
from tidegate.store import Room

HEARTBEAT = 15.0  # a comment to a silent reader this often: proxies close what is silent for a minute
NO_REPLAY = "events are not kept yet: reading starts now"
BUSY_RETRY = 10.0

READERS: web.AppKey[Counter[str]] = web.AppKey("event_readers", Counter)


async def read_events(call: Call) -> web.StreamResponse:
    query: models.ReadEvents = call.query
    if query.after is not None:
        raise unsupported("after", NO_REPLAY)
    if "Last-Event-ID" in call.request.headers:
        raise unsupported("Last-Event-ID", NO_REPLAY)
    context, who = call.context, call.who
    name = query.room_id if query.room_id is not None else who.room_id
    room = None if name is None else await find_room(context, who, name)
    readers = call.request.app[READERS]
    limits = context.limits
    if readers.total() >= limits.max_event_streams or readers[who.api_key] >= limits.max_event_streams_per_key:
        raise too_many(BUSY_RETRY)
    readers[who.api_key] += 1
    try:
        return await _stream(call.request, context, who, make_filter(who, room, query.type))
    finally:
        readers[who.api_key] -= 1


def make_filter(who: Identity, room: Room | None, types: str | None) -> Callable[[BusEvent], bool]:
    """What this reader may and wants to see. fnmatch compiles patterns so that no row of stars makes matching slow."""
    patterns = [part for part in (types or "").split(",") if part]

    def matches(event: BusEvent) -> bool:
        return (
            event.project_id == who.project_id
            and (room is None or event.room_id == room.room_id)
            and (not patterns or any(fnmatchcase(event.type, pattern) for pattern in patterns))
            and (not event.hidden or who.grants.moderate)
            and who.participant_id in (None, event.data.get("participantId", who.participant_id))
        )

    return matches


async def _stream(
    request: web.Request, context: HttpContext, who: Identity, matches: Callable[[BusEvent], bool]
) -> web.StreamResponse:
    def cut_off() -> None:
        """The reader does not keep up: it may be blocked in a write, so its connection is cut."""
        if request.transport is not None:
            request.transport.abort()

    reader = context.bus.subscribe(matches, limit=context.limits.event_queue, on_behind=cut_off)
    try:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        finish(request, response)
        await response.prepare(request)
        await response.write(b": reading from now on\n\n")
        while await _serve(reader, response, context, who):
            if not await _is_still_good(request, context):
                break
            await response.write(b": still here\n\n")
        return response
    finally:
        reader.close()


async def _serve(reader: EventReader, response: web.StreamResponse, context: HttpContext, who: Identity) -> bool:
    """Send events until the next heartbeat, or the token's end; however many there are. False when the reader was closed."""
    left = who.expires + context.auth.clock_leeway - context.wall()
    until = asyncio.get_running_loop().time() + max(0.0, min(HEARTBEAT, left))
    while True:
        try:
            async with asyncio.timeout_at(until):
                event = await reader.next()
        except TimeoutError:
            return True
        if event is None:
            return False
        await response.write(serialize(event))


async def _is_still_good(request: web.Request, context: HttpContext) -> bool:
    """The token is read again: it may have ended, its key been disabled, its secret rotated."""
    try:
        authorization = request.headers.get("Authorization")
        await auth.authenticate(context.store, authorization, context.wall(), leeway=context.auth.clock_leeway)
    except PeerError:
        return False
    return True


def serialize(event: BusEvent) -> bytes:
    body = {"webhookType": event.type, "data": event.data, "time": render.iso(int(event.time * 1000))}
    return f"event: {event.type}\ndata: {json.dumps(body)}\n\n".encode()


ENDPOINTS = (
    Endpoint("GET", "/v2/events", read_events, "Events as they happen (server-sent events)", "Events",
             query=models.ReadEvents, content_types={"answer": "text/event-stream"}),
)  # fmt: skip

