"""/v2/rooms: reference section 2.1."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import PeerError
from sfu.meeting.participant import CloseReason
from tidegate import auth
from tidegate.auth import Identity
from tidegate.events.log import NewEvent
from tidegate.http import answers, models, render
from tidegate.http.context import HttpContext
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.problem import unknown_room
from tidegate.store import Room, RoomOptions


async def find_room(context: HttpContext, identity: Identity, name: str) -> Room:
    """A room of the caller's project by any of its names; 404 without one, 403 when the token is for another."""
    room = await context.store.rooms.find(identity.project_id, name)
    if room is None:
        if identity.room_id not in (None, name):
            raise PeerError(4022, "UNAUTHORIZED_MEETING_ID", "the token is for another room")
        raise unknown_room()
    auth.require_room(identity, room.room_id, room.custom_room_id)
    return room


def _render(call: Call, room: Room) -> dict[str, Any]:
    return render.room(room, call.context.public_url(call.request))


def _plain(model: BaseModel | None) -> dict[str, Any] | None:
    return None if model is None else model.model_dump(by_alias=True, exclude_none=True)


def require_any_room(identity: Identity) -> None:
    """A token for one room makes no others."""
    if identity.room_id is not None:
        raise PeerError(4022, "UNAUTHORIZED_MEETING_ID", "the token is for one room")


async def create(call: Call) -> dict[str, Any]:
    require_any_room(call.who)
    body: models.CreateRoom = call.body
    options = RoomOptions(
        custom_room_id=body.custom_room_id,
        webhook=_plain(body.webhook),
        auto_close_config=_plain(body.auto_close_config),
        auto_start_config=_plain(body.auto_start_config),
        multi_composition=_plain(body.multi_composition),
        allowed_participant_ids=body.allowed_participant_ids,
    )

    async def save(room: Room) -> None:
        async def add(tx: AsyncSession) -> None:
            tx.add(room)

        await call.context.events.write(_event("room-created", room), change=add)

    room, _ = await call.context.store.rooms.create(call.who.project_id, call.who.api_key, options, save=save)
    return _render(call, room)


def _event(kind: str, room: Room) -> NewEvent:
    data = {"meetingId": room.room_id, "customRoomId": room.custom_room_id}
    return NewEvent(kind, room.project_id, room.room_id, None, data)


async def list_rooms(call: Call) -> dict[str, Any]:
    query: models.ListRooms = call.query
    rooms = await call.context.store.rooms.list(
        call.who.project_id, query=query.query, only=call.who.room_id, page=query.page, per_page=query.per_page
    )
    return render.page(rooms, lambda room: _render(call, room))


async def get(call: Call) -> dict[str, Any]:
    return _render(call, await find_room(call.context, call.who, call.path["roomId"]))


async def validate(call: Call) -> dict[str, Any]:
    room = await find_room(call.context, call.who, call.path["roomId"])
    if room.disabled:
        raise PeerError(4052, "MEETING_ID_DISABLED", "the room is disabled")
    return _render(call, room)


async def deactivate(call: Call) -> dict[str, Any]:
    room = await find_room(call.context, call.who, call.body.room_id)
    room = await set_disabled(call.context, room, True)
    return _render(call, room) | {"meetingId": room.room_id, "userMeetingId": room.custom_room_id}


async def update(call: Call) -> dict[str, Any]:
    room = await find_room(call.context, call.who, call.path["roomId"])
    return _render(call, await set_disabled(call.context, room, call.body.status == "disabled"))


async def set_disabled(context: HttpContext, room: Room, disabled: bool) -> Room:
    """A room that is disabled ends the session that runs in it."""
    events = [_event("room-disabled" if disabled else "room-enabled", room)] if room.disabled != disabled else []
    changed = await context.events.write(
        *events, change=lambda tx: context.store.rooms.set_disabled(room.project_id, room.room_id, disabled, tx=tx)
    )
    if changed is None:
        raise unknown_room()
    if disabled:
        context.meetings.end_room(room.room_id, CloseReason.MEETING_END_API)
    return changed


RoomPage = answers.Page[answers.Room]
TAG = "Rooms"

ENDPOINTS = (
    Endpoint("POST", "/v2/rooms", create, "Create a room; the same customRoomId gives the same room", TAG,
             body=models.CreateRoom, answer=answers.Room),
    Endpoint("GET", "/v2/rooms", list_rooms, "List rooms, newest first", TAG, query=models.ListRooms, answer=RoomPage),
    Endpoint("GET", "/v2/rooms/validate/{roomId}", validate, "Whether a room can be joined: 404 unknown, 402 disabled", TAG,
             needs=("join|ask",), answer=answers.Room),
    Endpoint("POST", "/v2/rooms/deactivate", deactivate, "Disable a room, and end its session", TAG,
             needs=("end",), body=models.DeactivateRoom, answer=answers.DeactivatedRoom),
    Endpoint("GET", "/v2/rooms/{roomId}", get, "A room by id, roomId or customRoomId", TAG,
             needs=("join|ask",), answer=answers.Room),
    Endpoint("POST", "/v2/rooms/{roomId}", update, "Enable or disable a room", TAG,
             needs=("end",), body=models.UpdateRoom, answer=answers.Room),
)  # fmt: skip
