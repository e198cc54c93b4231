from __future__ import annotations

import pytest

from tidegate.store import RoomOptions, open_store
from tidegate.store.sessions import LOG_ENTRIES, close_log, open_log

SESSION = "a" * 24


@pytest.fixture
async def room(store):
    key = await store.first_key()
    return (await store.rooms.create(key.project_id, key.api_key, RoomOptions(custom_room_id="standup")))[0]


async def join(store, session, who, at, **more):
    details = {"name": who.title(), "mode": "SEND_AND_RECV", "meta_data": None, "device_info": {}, "hidden": False, **more}
    await store.sessions.joined(session, who, at_ms=at, **details)


async def test_a_session_with_its_logs(store, room):
    session = await store.sessions.start(room, SESSION, 1000)
    assert (await store.sessions.ongoing(room.project_id, room.room_id)).id == SESSION
    await join(store, session, "ann", 1000, meta_data={"x": 1}, device_info={"sdkType": "js"})
    await store.sessions.log(SESSION, "ann", "mic", True, 1100)
    await store.sessions.log(SESSION, "ann", "mic", True, 1150)
    await store.sessions.log(SESSION, "ann", "mic", False, 1200)
    await store.sessions.log(SESSION, "ann", "webcam", True, 1300)
    await store.sessions.left(SESSION, "ann", 1400)
    await join(store, session, "ann", 1500)
    await store.sessions.renamed(SESSION, "ann", "Ann B.", {"y": 2})
    ann = await store.sessions.participant(room.project_id, SESSION, "ann")
    assert ann.timelog == [{"start": 1000, "end": 1400}, {"start": 1500, "end": None}]
    assert ann.events["mic"] == [{"start": 1100, "end": 1200}]
    assert ann.events["webcam"] == [{"start": 1300, "end": 1400}]
    assert (ann.name, ann.meta_data, ann.is_active, ann.init_time) == ("Ann B.", {"y": 2}, True, 1000)
    await store.sessions.end(SESSION, 2000, "ROOM_CLOSE")
    ended = await store.sessions.find(room.project_id, SESSION)
    assert (ended.status, ended.end, ended.end_reason) == ("ended", 2000, "ROOM_CLOSE")
    ann = await store.sessions.participant(room.project_id, SESSION, "ann")
    assert (ann.timelog[-1], ann.is_active) == ({"start": 1500, "end": 2000}, False)
    await store.sessions.end(SESSION, 9000, "AGAIN")
    assert (await store.sessions.find(room.project_id, SESSION)).end == 2000


async def test_active_ones_and_pages(store, room):
    session = await store.sessions.start(room, SESSION, 1000)
    for number in range(3):
        await join(store, session, f"p{number}", 1000 + number)
    await store.sessions.left(SESSION, "p1", 2000)
    people = await store.sessions.participants(room.project_id, SESSION, per_page=2)
    assert ([p.participant_id for p in people.rows], people.total) == (["p2", "p1"], 3)
    active = await store.sessions.participants(room.project_id, SESSION, active=True)
    assert [p.participant_id for p in active.rows] == ["p2", "p0"]
    only = await store.sessions.participants(room.project_id, SESSION, only="p1")
    assert [p.participant_id for p in only.rows] == ["p1"]
    first, total = (await store.sessions.participants_of([SESSION]))[SESSION]
    assert ([p.participant_id for p in first], total) == (["p0", "p1", "p2"], 3)


async def test_lists_show_the_first_participants_and_count_all(store, room, monkeypatch):
    monkeypatch.setattr("tidegate.store.sessions.SHOWN", 2)
    session = await store.sessions.start(room, SESSION, 1000)
    await store.sessions.start(room, "b" * 24, 1000)
    for number in range(4):
        await join(store, session, f"p{number}", 1000 + number, hidden=number == 0)
    found = await store.sessions.participants_of([SESSION, "b" * 24])
    assert ([p.participant_id for p in found[SESSION][0]], found[SESSION][1]) == (["p0", "p1"], 4)
    assert found["b" * 24] == ([], 0)
    seen, total = (await store.sessions.participants_of([SESSION], hidden=False))[SESSION]
    assert ([p.participant_id for p in seen], total) == (["p1", "p2"], 3)
    mine, total = (await store.sessions.participants_of([SESSION], only="p3"))[SESSION]
    assert ([p.participant_id for p in mine], total) == (["p3"], 1)
    assert (await store.sessions.participants(room.project_id, SESSION, hidden=False)).total == 3


async def test_lists_are_filtered_and_newest_first(store, room):
    for number in range(4):
        await store.sessions.start(room, f"{number:024x}", 1000 * number)
        if number < 3:
            await store.sessions.end(f"{number:024x}", 1000 * number + 500, "ROOM_CLOSE")

    async def starts(**filters):
        return [s.start for s in (await store.sessions.list(room.project_id, **filters)).rows]

    assert await starts() == [3000, 2000, 1000, 0]
    assert await starts(status="ongoing") == [3000]
    assert await starts(start_ms=1000, end_ms=2000) == [2000, 1000]
    assert await starts(rooms=("standup",), per_page=1, page=2) == [2000]
    assert await starts(rooms=(room.room_id, "other")) == []
    other = (await store.projects.create("other")).id
    assert (await store.sessions.list(other)).total == 0
    assert await store.sessions.find(other, f"{0:024x}") is None
    assert await store.sessions.ongoing(other, room.room_id) is None
    assert (await store.sessions.participants(other, f"{0:024x}")).total == 0


async def test_what_a_killed_node_left_is_ended_at_the_latest_known_time(url, clock):
    store = await open_store(url, wall=clock)
    key = await store.first_key()
    room, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions())
    session = await store.sessions.start(room, SESSION, 1000)
    await join(store, session, "ann", 1500)
    await store.sessions.log(SESSION, "ann", "mic", True, 1700)
    await store.idempotency.claim(key.project_id, "POST /v2/rooms", "k", "f")
    await store.close()

    store = await open_store(url, wall=clock)
    assert await store.recover() == 1
    ended = await store.sessions.find(room.project_id, SESSION)
    assert (ended.status, ended.end, ended.end_reason) == ("ended", 1700, "NODE_STOPPED")
    ann = await store.sessions.participant(room.project_id, SESSION, "ann")
    assert ann.timelog == [{"start": 1500, "end": 1700}] and not ann.is_active
    assert await store.idempotency.claim(key.project_id, "POST /v2/rooms", "k", "f") is None
    assert await store.recover() == 0
    await store.close()


async def test_text_that_a_database_cannot_keep_is_cleaned(store, room):
    session = await store.sessions.start(room, SESSION, 1000)
    await join(store, session, "ann", 1000, name="A\x00n\ud800n", meta_data={"k\x00": "\ud800"})
    ann = await store.sessions.participant(room.project_id, SESSION, "ann")
    assert ann.name == "A\ufffdn\ufffdn"


def test_logs_are_bounded():
    entries: list = []
    for at in range(LOG_ENTRIES + 20):
        entries = close_log(open_log(entries, at), at)
    assert len(entries) == LOG_ENTRIES and entries[-1]["start"] == LOG_ENTRIES + 19
    assert close_log([], 5) == []


async def test_old_sessions_are_forgotten_with_their_people(store, room):
    for number in range(3):
        session = await store.sessions.start(room, f"{number:024x}", 1000 * number)
        await join(store, session, "ann", 1000 * number)
    await store.sessions.end(f"{0:024x}", 500, "ROOM_CLOSE")
    await store.sessions.end(f"{1:024x}", 1500, "ROOM_CLOSE")
    assert await store.sessions.forget(1000) == 1
    assert [s.start for s in (await store.sessions.list(room.project_id)).rows] == [2000, 1000]
    assert (await store.sessions.participants(room.project_id, f"{0:024x}")).total == 0
    assert (await store.sessions.participants(room.project_id, f"{1:024x}")).total == 1
