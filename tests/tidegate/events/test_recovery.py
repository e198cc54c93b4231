"""The ends of sessions that a killed node did not tell."""

from __future__ import annotations

from tidegate.events.bus import EventBus
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.recovery import tell_ends
from tidegate.store import RoomOptions


async def test_they_are_told_once_with_what_is_known_of_them(store):
    key = await store.first_key()
    room, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions())
    log = EventLog(store, EventBus())
    for name in ("a", "b"):
        await store.sessions.start(room, name, 1000)
        await log.write(NewEvent("session-started", key.project_id, room.room_id, name, {}))
    await store.sessions.end("b", 3000, "ROOM_CLOSE")
    await store.recover()
    await tell_ends(log, await store.events.untold_ends())
    await tell_ends(log, await store.events.untold_ends())
    told = [event for event in await store.events.after(key.project_id, 0) if event.type == "session-ended"]
    common = {"meetingId": room.room_id, "start": 1000}
    assert [event.data for event in told] == [
        {**common, "sessionId": "a", "end": 1000, "reason": {"code": 1007, "name": "NODE_STOPPED"}},
        {**common, "sessionId": "b", "end": 3000, "reason": {"code": 1006, "name": "ROOM_CLOSE"}},
    ]
