from __future__ import annotations

from tidegate.config.model import LimitsConfig, RetentionConfig
from tidegate.events.housekeeping import tidy
from tidegate.store import RoomOptions

DAY = 86_400


async def test_what_is_old_enough_goes_and_the_rest_stays(store, wall):
    key = await store.first_key()
    room, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions())
    start = int(wall.time * 1000)
    for number, name in enumerate(("old", "new", "running")):
        await store.sessions.start(room, name, start + number * DAY * 1000)
    await store.sessions.end("old", start, "ROOM_CLOSE")
    await store.sessions.end("new", start + DAY * 1000, "ROOM_CLOSE")
    await store.idempotency.claim(key.project_id, "s", "k", "f")

    later = wall.time + 90 * DAY + 1
    assert await tidy(store, LimitsConfig(), RetentionConfig(sessions_days=0), wall.time) == 0
    assert await store.idempotency.claim(key.project_id, "s", "k", "f") is not None
    assert await tidy(store, LimitsConfig(), RetentionConfig(sessions_days=0), later) == 0
    assert await store.idempotency.claim(key.project_id, "s", "k", "f") is None
    assert await tidy(store, LimitsConfig(), RetentionConfig(), later) == 1
    assert {row.id for row in (await store.sessions.list(key.project_id)).rows} == {"new", "running"}
