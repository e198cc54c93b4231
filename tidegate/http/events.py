"""/v2/events: what happened, as server-sent events (HTML Living Standard, section 9.2) or as a list, from any event on.

Each event has the form of a webhook: `{"webhookType", "data", "id", "time"}`. A stream that is asked to begin after an event
(`Last-Event-ID`, `after`) reads the log until it has caught up and goes on with what happens, without a gap and nothing twice.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from media.errors import PeerError
from tidegate import auth
from tidegate.auth import Identity
from tidegate.events.bus import BusEvent, EventReader
from tidegate.events.wire import to_wire
from tidegate.http import webhook_models as models
from tidegate.http.context import HttpContext
from tidegate.http.dispatch import too_many
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.middleware import finish
from tidegate.http.problem import Problem
from tidegate.http.rooms import find_room
from tidegate.store import Room

HEARTBEAT = 15.0  # a comment to a silent reader this often: proxies close what is silent for a minute
WRITE_PATIENCE = 30.0  # a reader that takes nothing of its replay for so long is cut off
BUSY_RETRY = 10.0
PAGE = 200  # events of the log read at a time
MAX_SCAN = 10  # pages of the log that one list looks through: most of it may be of other rooms and types
EVENT_STREAM = "text/event-stream"
OF_FILES = frozenset({"filePath", "fileUrl", "files"})

READERS: web.AppKey[Counter[str]] = web.AppKey("event_readers", Counter)


async def read_events(call: Call) -> web.StreamResponse | dict[str, Any]:
    query: models.ReadEvents = call.query
    context, who = call.context, call.who
    after = _position(call)
    name = query.room_id if query.room_id is not None else who.room_id
    room = None if name is None else await find_room(context, who, name)
    matches = make_filter(who, room, query.type)
    if _wants_list(call.request):
        after = min(after or 0, await context.store.events.newest())
        return await _list(context, who, room, matches, after, query.per_page)
    readers = call.request.app[READERS]
    limits = context.limits
    if readers.total() >= limits.max_event_streams or readers[who.api_key] >= limits.max_event_streams_per_key:
        raise too_many(BUSY_RETRY)
    readers[who.api_key] += 1
    try:
        return await _Stream(call, matches, room, after).run()
    finally:
        readers[who.api_key] -= 1


def _position(call: Call) -> int | None:
    """Where to begin. A browser that reconnects sends the header and the URL's `after` of long ago: the header counts."""
    header = call.request.headers.get("Last-Event-ID")
    if header is None:
        return None if call.query.after is None else int(call.query.after)
    if not header.isascii() or not header.isdecimal() or len(header) > 18:
        raise Problem(400, "Last-Event-ID: not an id of an event", name="INVALID_REQUEST")
    return int(header)


def _wants_list(request: web.Request) -> bool:
    accept = ",".join(request.headers.getall("Accept", ()))
    return "application/json" in accept and EVENT_STREAM not in accept


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


def as_seen(event: BusEvent, who: Identity) -> dict[str, Any]:
    """The event for this reader. An address that downloads a file is for those who may ask for it at /v2/recordings."""
    wire = to_wire(event)
    if not who.grants.record:
        wire["data"] = {name: value for name, value in wire["data"].items() if name not in OF_FILES}
    return wire


async def _list(
    context: HttpContext, who: Identity, room: Room | None, matches: Callable[[BusEvent], bool], after: int, limit: int
) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for _ in range(MAX_SCAN):
        page = await _read_log(context, who, room, after)
        for event in page:
            if matches(event):
                if len(found) == limit:
                    return {"data": found, "next": str(after), "hasMore": True}
                found.append(as_seen(event, who))
            after = event.id
        if len(page) < PAGE:
            return {"data": found, "next": str(after), "hasMore": False}
    return {"data": found, "next": str(after), "hasMore": True}


async def _read_log(context: HttpContext, who: Identity, room: Room | None, after: int) -> list[BusEvent]:
    """The next PAGE events of the project or room; fewer at the end."""
    room_id = None if room is None else room.room_id
    rows = await context.store.events.after(who.project_id, after, room_id=room_id, limit=PAGE)
    return [BusEvent.from_row(row) for row in rows]


class _Stream:
    """One reader's connection. `last`: the id up to which it has been told everything."""

    def __init__(self, call: Call, matches: Callable[[BusEvent], bool], room: Room | None, after: int | None) -> None:
        self._request = call.request
        self._context = call.context
        self._who = call.who
        self._matches = matches
        self._room = room
        self._after = after
        self._last = 0
        self._response = web.StreamResponse(
            headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )

    async def run(self) -> web.StreamResponse:
        reader = None
        try:
            if self._after is not None:
                # Of a log that was replaced by another, ids above its newest mean nothing.
                self._last = min(self._after, await self._newest())
                await self._begin(b": reading from the log\n\n")
                if not await self._replay():
                    return self._response
            reader = self._subscribe()
            if self._after is None:
                # With its place in the log, a reader that is cut off before its first event misses nothing either.
                self._last = await self._newest()
                await self._begin(b": reading from now on\nid: %d\n\n" % self._last)
            elif not await self._replay():  # what came between the last look at the log and the subscription
                return self._response
            while await self._serve(reader):
                if not await self._is_still_good():
                    break
                await self._response.write(b": still here\n\n")
            return self._response
        finally:
            if reader is not None:
                reader.close()

    async def _newest(self) -> int:
        return await self._context.store.events.newest()

    async def _begin(self, greeting: bytes) -> None:
        finish(self._request, self._response)
        await self._response.prepare(self._request)
        await self._response.write(greeting)

    def _subscribe(self) -> EventReader:
        limit = self._context.limits.event_queue
        return self._context.bus.subscribe(self._matches, limit=limit, on_behind=self._cut_off)

    def _cut_off(self) -> None:
        """The reader does not keep up: it may be blocked in a write, so its connection is cut."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _replay(self) -> bool:
        """Tell what the log has above `last`, to its end. False when the stream is to end."""
        while True:
            page = await _read_log(self._context, self._who, self._room, self._last)
            text = b"".join(serialize(event, self._who) for event in page if self._matches(event))
            if text and not await self._write_patiently(text):
                return False
            if page:
                self._last = page[-1].id
            if len(page) < PAGE:
                return True
            if not await self._is_still_good():
                return False

    async def _write_patiently(self, text: bytes) -> bool:
        try:
            async with asyncio.timeout(WRITE_PATIENCE):
                await self._response.write(text)
        except TimeoutError:
            self._cut_off()
            return False
        return True

    async def _serve(self, reader: EventReader) -> bool:
        """Send events until the next heartbeat, or the token's end; however many there are. False when the reader was closed."""
        left = self._who.expires + self._context.auth.clock_leeway - self._context.wall()
        until = asyncio.get_running_loop().time() + max(0.0, min(HEARTBEAT, left))
        while True:
            try:
                async with asyncio.timeout_at(until):
                    event = await reader.next()
            except TimeoutError:
                return True
            if event is None:
                return False
            if event.id > self._last:  # else the log told it already
                self._last = event.id
                await self._response.write(serialize(event, self._who))

    async def _is_still_good(self) -> bool:
        """The token is read again: it may have ended, its key been disabled, its secret rotated."""
        context = self._context
        try:
            authorization = self._request.headers.get("Authorization")
            await auth.authenticate(context.store, authorization, context.wall(), leeway=context.auth.clock_leeway)
        except PeerError:
            return False
        return True


def serialize(event: BusEvent, who: Identity) -> bytes:
    return f"id: {event.id}\nevent: {event.type}\ndata: {json.dumps(as_seen(event, who))}\n\n".encode()


ENDPOINTS = (
    Endpoint("GET", "/v2/events", read_events, "Events, from now or any event on; as a list with Accept: application/json", "Events",
             query=models.ReadEvents, answer=models.EventList, content_types={"answer": EVENT_STREAM}),
)  # fmt: skip
