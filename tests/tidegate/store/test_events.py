"""The log and its outbox, on both databases: order, one transaction, claims of two nodes at once."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import select, text

from tidegate.events.bus import EventBus
from tidegate.events.log import EventLog, NewEvent
from tidegate.store import RoomOptions, open_store
from tidegate.store import events as events_module
from tidegate.store.deliveries import OVERDUE_MS, Attempt
from tidegate.store.events import Account, fits
from tidegate.store.models import Project, Room

HOUR = 3_600_000


@pytest.fixture
async def project(store):
    return (await store.first_key()).project_id


@pytest.fixture
async def second(url, clock):
    """Another node on the same database."""
    other = await open_store(url, wall=clock)
    yield other
    await other.close()


def event(project, kind="a", session="s1", url="https://example.org/", **more):
    fields = {"room_id": "r", "session_id": session, "data": {}, "webhook_url": url, **more}
    return NewEvent(kind, project, **fields)


async def write(store, *events):
    await EventLog(store, EventBus()).write(*events)


def now_of(store):
    return store.deliveries.now_ms()


async def claim(store, limit=16, **more):
    return await store.deliveries.claim(now_ms=now_of(store), lease_ms=40_000, limit=limit, **more)


async def finish(store, claimed, state, next_at=None):
    now = now_of(store)
    attempt = Attempt(now, 5, 200 if state == "delivered" else 500, None, "x", state, now if next_at is None else next_at)
    await store.deliveries.finish(claimed, attempt)


async def test_ids_follow_the_order_of_the_call(store, project):
    await write(store, *(event(project, f"n{number}", data={"n": number}) for number in range(60)))
    await write(store, event(project, "last"))
    rows = await store.events.after(project, 0)
    assert [row.type for row in rows] == [*(f"n{number}" for number in range(60)), "last"]
    assert [row.id for row in rows] == sorted({row.id for row in rows})
    assert [row.type for row in await store.events.after(project, rows[58].id)] == ["n59", "last"]
    assert await store.events.newest() == rows[-1].id


async def test_the_change_and_its_events_are_written_together_or_not_at_all(store, project):
    log = EventLog(store, EventBus())

    async def change(tx):
        tx.add(Project(id="new", name="new", created_at=1))
        return "result"

    assert await log.write(event(project), change=change) == "result"

    async def fails(tx):
        tx.add(Project(id="other", name="other", created_at=1))
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        await log.write(event(project, "never"), change=fails)
    with pytest.raises(Exception, match=r"(?i)unique"):
        await log.write(event(project, "never"), change=change)
    assert [row.type for row in await store.events.after(project, 0)] == ["a"]
    assert len((await store.deliveries.list(project)).rows) == 1
    async with store.engine.connect() as connection:
        names = (await connection.execute(text("SELECT name FROM projects ORDER BY name"))).scalars()
        assert list(names) == ["default", "new"]


async def test_only_a_change(store, project):
    async def change(tx):
        return (await tx.execute(select(Project.id))).scalars().all()

    assert await EventLog(store, EventBus()).write(change=change) == [project]
    assert await store.events.newest() == 0


async def test_who_has_read_up_to_an_id_has_missed_nothing_below_it(store, second, project):
    """Two nodes write at once, with slow transactions among them, while a reader reads on and on."""
    rolls = random.Random(5)

    async def node(which, name):
        log = EventLog(which, EventBus())

        async def slow(tx):
            await tx.execute(select(Project.id))
            await asyncio.sleep(rolls.random() * 0.01)

        await asyncio.gather(*(log.write(event(project, f"{name}{number}", url=None), change=slow) for number in range(40)))

    writers = asyncio.gather(node(store, "x"), node(second, "y"))
    seen, last = [], 0
    while len(seen) < 80:
        is_over = writers.done()  # before the look at the log: what is not in it then never comes
        rows = await store.events.after(project, last)
        seen += [row.type for row in rows]
        last = rows[-1].id if rows else last
        if is_over and not rows:
            break
    await writers
    assert len(seen) == len(set(seen)) == 80


async def test_no_id_is_given_out_above_one_that_is_not_committed(store, second, project, monkeypatch):
    """Else a reader would go on above it, and never see it."""
    given, go_on = asyncio.Event(), asyncio.Event()
    read = events_module._Wanted.read

    async def held(tx, events, account):
        if events[0].type == "first":
            given.set()
            await go_on.wait()
        return await read(tx, events, account)

    monkeypatch.setattr(events_module._Wanted, "read", held)
    first = asyncio.create_task(write(store, event(project, "first")))
    await given.wait()
    later = asyncio.create_task(write(second, event(project, "later")))
    await asyncio.wait({later}, timeout=0.5)
    seen = [row.type for row in await store.events.after(project, 0)]
    go_on.set()
    await asyncio.gather(first, later)
    assert seen == []
    assert [row.type for row in await store.events.after(project, 0)] == ["first", "later"]


async def test_a_write_whose_caller_goes_away_is_finished_and_told(store, project):
    bus = EventBus()
    log, began = EventLog(store, bus), asyncio.Event()

    async def change(tx):
        began.set()
        await asyncio.sleep(0.01)

    caller = asyncio.create_task(log.write(event(project), change=change))
    await began.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await log.close()
    assert bus.published == 1 and len(await store.events.after(project, 0)) == 1


async def test_text_that_postgresql_refuses(store, project):
    await write(store, event(project, data={"name": "a\0b\ud800"}))
    assert (await store.events.after(project, 0))[0].data == {"name": "a\ufffdb\ufffd"}


async def test_a_room_that_is_made_by_the_change_has_its_webhook(store, project):
    log = EventLog(store, EventBus())
    webhook = {"endPoint": "https://room.example/", "events": ["room-*"]}

    async def save(room: Room):
        async def add(tx):
            tx.add(room)

        await log.write(NewEvent("room-created", project, room.room_id, None, {}), change=add)

    room, made = await store.rooms.create(project, "key", RoomOptions(custom_room_id="x", webhook=webhook), save=save)
    again, made_again = await store.rooms.create(project, "key", RoomOptions(custom_room_id="x"), save=save)
    assert (made, made_again, again.id) == (True, False, room.id)
    assert [row.url for row in (await store.deliveries.list(project)).rows] == ["https://room.example/"]


# Claims


async def test_each_delivery_is_claimed_once(store, second, project):
    for number in range(40):
        await write(store, event(project, session=f"s{number}"))
    found = []
    while True:
        batches = await asyncio.gather(*(claim(which, 3) for which in (store, second, store, second)))
        if not any(batches):
            break
        found += [claimed.delivery.id for batch in batches for claimed in batch]
    assert len(found) == len(set(found)) == 40


async def test_a_lease_ends(store, clock, project):
    await write(store, event(project))
    assert len(await claim(store)) == 1
    clock.wall += 39
    assert await claim(store) == []
    clock.wall += 2
    assert len(await claim(store)) == 1
    assert await claim(store) == []
    await store.deliveries.release_leases()
    assert len(await claim(store)) == 1


async def test_order_within_a_session_and_an_endpoint(store, clock, project):
    await write(store, event(project, "one"), event(project, "two"), event(project, "elsewhere", url="https://b.example/"),
                event(project, "other", session="s2"))  # fmt: skip
    first = {claimed.delivery.type: claimed for claimed in await claim(store)}
    assert set(first) == {"one", "elsewhere", "other"}
    assert await claim(store) == [], "two waits for one, which is being sent"
    await finish(store, first["elsewhere"], "delivered")
    await finish(store, first["other"], "delivered")
    await finish(store, first["one"], "waiting", next_at=now_of(store) + 2 * HOUR)
    assert await claim(store) == [], "and while it waits for its next attempt"
    clock.wall += OVERDUE_MS / 1000
    [late] = await claim(store)
    assert late.delivery.type == "two" and late.out_of_order
    await finish(store, late, "delivered")
    clock.wall += OVERDUE_MS / 1000
    [one] = await claim(store)
    assert one.delivery.type == "one" and one.delivery.attempts == 1 and not one.out_of_order


async def test_an_earlier_one_that_is_due_goes_first_however_late_it_is(store, clock, project):
    await write(store, event(project, "one"), event(project, "two"))
    clock.wall += 3 * OVERDUE_MS / 1000
    assert [claimed.delivery.type for claimed in await claim(store)] == ["one"]


async def test_blocked_and_crowded_endpoints(store, project):
    for number in range(6):
        await write(store, event(project, session=f"s{number}"), event(project, session=f"s{number}", url="https://b.example/"))
    [one] = await claim(store, 1)
    key = one.delivery.endpoint_key
    others = await claim(store, blocked={key}, room=lambda name: 2)
    assert len(others) == 2 and all(claimed.delivery.endpoint_key != key for claimed in others)
    assert await store.deliveries.next_due(now_ms=now_of(store), blocked={key}) is None
    [two, three] = await claim(store, blocked={others[0].delivery.endpoint_key}, room=lambda name: 2)
    await finish(store, two, "waiting", next_at=now_of(store) + 700)
    await finish(store, three, "waiting", next_at=now_of(store) + 500)
    assert await store.deliveries.next_due(now_ms=now_of(store)) == now_of(store) + 500
    await store.deliveries.release(key, now_of(store))
    assert await store.deliveries.next_due(now_ms=now_of(store)) is None


async def test_an_attempt_at_what_was_deleted_meanwhile_is_not_logged(store, project):
    hook = await store.webhook_endpoints.create(project, "https://own.example/", ["*"], "whsec_x")
    await write(store, event(project, url=None))
    [claimed] = await claim(store)
    assert await store.webhook_endpoints.delete(project, hook.id)
    await finish(store, claimed, "delivered")
    [row] = (await store.deliveries.list(project)).rows
    assert row.state == "dead" and (await store.deliveries.attempts([row.id]))[row.id] == []


async def test_counts_and_summaries(store, clock, project):
    assert await store.deliveries.counts(now_of(store)) == (0, 0.0)
    await write(store, event(project, "recording-started", subject="r1"), event(project, "recording-stopped", subject="r1"))
    clock.wall += 7
    assert await store.deliveries.counts(now_of(store)) == (2, 7.0)
    [claimed] = await claim(store)
    await finish(store, claimed, "delivered")
    data = [{"type": "recording-started", "success": True}, {"type": "recording-stopped", "success": False}]
    expected = {"totalCount": 2, "successCount": 1, "data": data}
    nothing = {"totalCount": 0, "successCount": 0, "data": []}
    assert await store.events.webhook_summaries(subjects=["r1", "r2"], sessions=["s1"]) == {
        "r1": expected, "r2": nothing, "s1": expected,
    }  # fmt: skip


async def test_the_ends_that_were_not_told(store, project):
    room, _ = await store.rooms.create(project, "key", RoomOptions())
    log = EventLog(store, EventBus())
    for name in ("told", "untold", "running"):
        await store.sessions.start(room, name, 1000)
        await log.write(event(project, "session-started", session=name))
    await store.sessions.start(room, "from-before-events", 1000)
    for name in ("told", "untold", "from-before-events"):
        await store.sessions.end(name, 2000, "ROOM_CLOSE")
    await log.write(event(project, "session-ended", session="told"))
    assert [row.id for row in await store.events.untold_ends()] == ["untold"]


async def test_an_end_is_not_told_twice_when_the_start_waits_longer_than_it_is_kept(store, clock, project):
    room, _ = await store.rooms.create(project, "key", RoomOptions())
    await store.sessions.start(room, "s1", 1000)
    await write(store, event(project, "session-started"), event(project, "session-ended"), event(project, "old", session="s2", url=None))
    await store.sessions.end("s1", 2000, "ROOM_CLOSE")
    [started] = await claim(store)
    await finish(store, started, "waiting", next_at=now_of(store) + OVERDUE_MS * 3)
    clock.wall += OVERDUE_MS / 1000
    [ended] = await claim(store)
    await finish(store, ended, "delivered")
    assert await store.events.forget(now_of(store) + 1) == 1, "the other session's"
    assert await store.events.untold_ends() == []
    clock.wall += 2 * OVERDUE_MS / 1000
    await finish(store, (await claim(store))[0], "delivered")
    assert await store.events.forget(now_of(store) + 1) == 2
    assert await store.events.untold_ends() == []


async def test_a_participant_that_is_forgotten_is_in_no_event_either(store, project):
    def about(who, kind, session="s1", **more):
        data = {"participantId": who, "participantName": who.title(), "metaData": 1}
        return event(project, kind, session=session, data=data, **more)

    await write(store, about("ann", "told", url=None), about("ann", "waits"), about("ann", "elsewhere", session="s2", url=None))
    await write(store, about("bob", "other", url=None), event(project, "session-ended", url=None))
    await store.sessions.forget_participant(project, "s1", "ann")
    kept = {row.type: row.data for row in await store.events.after(project, 0)}
    assert kept.pop("waits") == {"participantId": "ann"}, "its receiver is still to know who left"
    assert set(kept) == {"elsewhere", "other", "session-ended"} and kept["other"]["participantName"] == "Bob"


async def test_what_a_wrong_clock_put_off_is_brought_back(store, clock, project):
    await write(store, event(project))
    [claimed] = await claim(store)
    await finish(store, claimed, "waiting", next_at=now_of(store) + 1000)
    clock.wall -= 100_000
    await store.deliveries.bring_back(now_of(store) + 200_000_000, now_of(store))
    assert await claim(store) == [], "no farther off than may be"
    await store.deliveries.bring_back(now_of(store) + 50_000_000, now_of(store))
    assert len(await claim(store)) == 1


async def test_retention_goes_in_slices(store, clock, project, monkeypatch):
    monkeypatch.setattr("tidegate.store.events.FORGET_SLICE", 4)
    await write(store, *(event(project, url=None) for _ in range(10)))
    clock.wall += 10
    await write(store, event(project, "new"))
    assert await store.events.forget(now_of(store) - 5000) == 10
    assert [row.type for row in await store.events.after(project, 0)] == ["new"]
    await store.events.forget(now_of(store) + 1)
    await write(store, event(project, "newer"))
    assert [row.id for row in await store.events.after(project, 0)] == [11, 12], "ids are never given twice"


def test_patterns():
    assert fits("session-ended", ["session*"]) and fits("a", ["b", "*"])
    assert not fits("xsession-ended", ["session*"]) and not fits("a", [])
    assert Account().give_up_ms == 72 * HOUR
