from __future__ import annotations

import asyncio

import pytest

from media.ids import ROOM_ID
from tidegate.store import RoomOptions


@pytest.fixture
async def key(store):
    return await store.first_key()


async def test_a_room_is_found_by_each_of_its_names(store, key):
    room, made = await store.rooms.create(key.project_id, key.api_key, RoomOptions(custom_room_id="standup"))
    assert made and ROOM_ID.match(room.room_id) and len(room.id) == 24
    for name in (room.id, room.room_id, "standup"):
        assert (await store.rooms.find(key.project_id, name)).id == room.id
    assert (await store.rooms.find_live(room.room_id)).id == room.id
    assert await store.rooms.find(key.project_id, "nothing") is None


async def test_a_room_of_another_project_is_not_found(store, key):
    room, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions(custom_room_id="standup"))
    other = (await store.projects.create("other")).id
    for name in (room.id, room.room_id, "standup"):
        assert await store.rooms.find(other, name) is None
    assert await store.rooms.set_disabled(other, room.room_id, True) is None
    assert (await store.rooms.list(other)).total == 0


async def test_the_same_custom_name_gives_the_same_room(store, key):
    first, made_first = await store.rooms.create(key.project_id, key.api_key, RoomOptions(custom_room_id="a"))
    again, made_again = await store.rooms.create(key.project_id, key.api_key, RoomOptions(custom_room_id="a"))
    assert (made_first, made_again, again.id) == (True, False, first.id)
    other = await store.projects.create("other")
    foreign, made = await store.rooms.create(other.id, "k", RoomOptions(custom_room_id="a"))
    assert made and foreign.id != first.id


async def test_creations_at_the_same_time_give_one_room(store, key):
    options = RoomOptions(custom_room_id="race")
    made = await asyncio.gather(*(store.rooms.create(key.project_id, key.api_key, options) for _ in range(8)))
    assert len({room.id for room, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1


async def test_a_taken_room_code_is_not_given_twice(store, key):
    first, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions())
    taken = first.room_id.replace("-", "")
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
    script = [bytes(alphabet.index(c) for c in taken) * 2]
    real = store.rooms.random_bytes
    store.rooms.random_bytes = lambda n: script.pop() if n == 24 and script else real(n)
    second, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions())
    assert not script and second.room_id != first.room_id


async def test_options_are_kept(store, key):
    options = RoomOptions(
        webhook={"endPoint": "https://a.example/hook", "events": ["session*"]},
        auto_close_config={"type": "session-end-and-deactivate", "duration": 5},
        auto_start_config={"recording": {}},
        multi_composition={"recording": True},
        allowed_participant_ids=["ann"],
    )
    room, _ = await store.rooms.create(key.project_id, key.api_key, options)
    found = await store.rooms.find(key.project_id, room.id)
    assert (found.webhook, found.auto_close_config) == (options.webhook, options.auto_close_config)
    assert (found.auto_start_config, found.multi_composition) == ({"recording": {}}, {"recording": True})
    assert found.allowed_participant_ids == ["ann"]
    plain, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions())
    assert plain.auto_close_config == {"type": "session-ends", "duration": 480}
    assert plain.webhook is None and plain.allowed_participant_ids is None


async def test_lists_are_newest_first_and_paged(store, key, clock):
    rooms = []
    for number in range(5):
        clock.wall += 1
        rooms.append((await store.rooms.create(key.project_id, key.api_key, RoomOptions(f"room{number}")))[0].room_id)
    page = await store.rooms.list(key.project_id, page=2, per_page=2)
    assert [room.room_id for room in page.rows] == [rooms[2], rooms[1]]
    assert (page.number, page.size, page.total, page.last) == (2, 2, 5, 3)
    assert (await store.rooms.list(key.project_id, page=9)).rows == []
    assert [r.room_id for r in (await store.rooms.list(key.project_id, query="room3")).rows] == [rooms[3]]
    assert (await store.rooms.list(key.project_id, query="room3", only="room4")).total == 0


async def test_disable_and_enable(store, key, clock):
    room, _ = await store.rooms.create(key.project_id, key.api_key, RoomOptions())
    clock.wall += 5
    changed = await store.rooms.set_disabled(key.project_id, room.room_id, True)
    assert changed.disabled and changed.updated_at == room.created_at + 5000
    assert not (await store.rooms.set_disabled(key.project_id, room.room_id, False)).disabled
