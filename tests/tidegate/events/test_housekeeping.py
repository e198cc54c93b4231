from __future__ import annotations

from sqlalchemy import update

from tidegate.config.egress import WebhookConfig
from tidegate.config.model import LimitsConfig, RetentionConfig
from tidegate.events.bus import EventBus
from tidegate.events.housekeeping import tidy
from tidegate.events.log import EventLog, NewEvent
from tidegate.store import RoomOptions
from tidegate.store.event_models import Delivery, DeliveryAttempt

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
    assert await tidy(store, LimitsConfig(), RetentionConfig(sessions_days=0), WebhookConfig(), wall.time) == 0
    assert await store.idempotency.claim(key.project_id, "s", "k", "f") is not None
    assert await tidy(store, LimitsConfig(), RetentionConfig(sessions_days=0), WebhookConfig(), later) == 0
    assert await store.idempotency.claim(key.project_id, "s", "k", "f") is None
    assert await tidy(store, LimitsConfig(), RetentionConfig(), WebhookConfig(), later) == 1
    assert {row.id for row in (await store.sessions.list(key.project_id)).rows} == {"new", "running"}


async def test_events_go_after_their_days_but_not_those_that_still_have_to_be_delivered(store, wall):
    key = await store.first_key()
    log = EventLog(store, EventBus())

    async def write(kind, url=None):
        await log.write(NewEvent(kind, key.project_id, None, None, {}, webhook_url=url))

    await write("old")
    await write("old-waiting", "https://example.org/")
    await write("old-delivered", "https://example.org/")
    delivered = (await store.deliveries.list(key.project_id, type="old-delivered")).rows[0]
    async with store.deliveries.transaction() as tx:
        await tx.execute(update(Delivery).where(Delivery.id == delivered.id).values(state="delivered"))
        tx.add(DeliveryAttempt(delivery_id=delivered.id, at=1, duration_ms=1, out_of_order=False))
    wall.time += 31 * DAY
    await write("new")
    configured = (LimitsConfig(), RetentionConfig(sessions_days=0))
    await tidy(store, *configured, WebhookConfig(keep_days=0), wall.time)
    assert len(await store.events.after(key.project_id, 0)) == 4, "0 is for ever"
    await tidy(store, *configured, WebhookConfig(), wall.time)
    assert [event.type for event in await store.events.after(key.project_id, 0)] == ["old-waiting", "new"]
    assert [row.type for row in (await store.deliveries.list(key.project_id)).rows] == ["old-waiting"]
    assert await store.deliveries.attempts([delivered.id]) == {delivered.id: []}
