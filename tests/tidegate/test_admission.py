"""Who may enter a room."""

from __future__ import annotations

import pytest

from media.errors import PeerError
from tests.support.clock import Clock
from tidegate.admission import Doorkeeper
from tidegate.auth import authenticate, sign_token
from tidegate.store import RoomOptions, open_store

WALL = Clock()


@pytest.fixture
async def store(tmp_path):
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    yield store
    await store.close()


@pytest.fixture
async def key(store):
    return await store.first_key()


@pytest.fixture
async def room(store, key):
    return (await store.rooms.create(key.project_id, key.api_key, RoomOptions(custom_room_id="standup")))[0]


@pytest.fixture
def door(store):
    return Doorkeeper(store, WALL, leeway=5)


def token(key, **claims):
    return sign_token(key.api_key, key.secret, {"permissions": ["allow_join"], **claims}, now_wall=WALL(), seconds=60)


async def refusal(door, *args):
    with pytest.raises(PeerError) as caught:
        await door.authorize(*args)
    return caught.value.code


async def test_in_by_any_name_of_the_room(door, key, room):
    for name in (room.id, room.room_id, "standup"):
        admission = await door.authorize(token(key), name, None)
        assert (admission.room_id, admission.project_id) == (room.room_id, key.project_id)
        assert admission.participant_id is None and admission.grants.join


async def test_the_participant_is_the_tokens_or_the_callers(door, key, room):
    assert (await door.authorize(token(key), "standup", "bob")).participant_id == "bob"
    assert (await door.authorize(token(key, participantId="ann"), "standup", None)).participant_id == "ann"
    assert (await door.authorize(token(key, participantId="ann"), "standup", "ann")).participant_id == "ann"
    assert await refusal(door, token(key, participantId="ann"), "standup", "bob") == 4023
    for bad in ("a b", "x" * 65, "a\x00"):
        assert await refusal(door, token(key), "standup", bad) == 4004


async def test_refusals(door, store, key, room):
    assert await refusal(door, "nonsense", "standup", None) == 4002
    assert await refusal(door, token(key), "unknown", None) == 4003
    assert await refusal(door, token(key), "a\x00", None) == 4003
    assert await refusal(door, token(key, roles=["crawler"]), "standup", None) == 4024
    assert await refusal(door, token(key, roomId="other"), "standup", None) == 4022
    assert await refusal(door, token(key, roomId="other"), "unknown", None) == 4022
    assert await refusal(door, token(key, permissions=["ask_join"]), "standup", None) == 4025
    assert await refusal(door, token(key, permissions=["allow_mod"]), "unknown", None) == 4003
    await store.rooms.set_disabled(key.project_id, room.room_id, True)
    assert await refusal(door, token(key), "standup", None) == 4052


async def test_a_room_of_another_project_does_not_exist(door, store, room):
    other = await store.keys.create((await store.projects.create("other")).id)
    assert await refusal(door, token(other), room.room_id, None) == 4003


async def test_a_room_for_named_participants(door, store, key):
    options = RoomOptions(custom_room_id="board", allowed_participant_ids=["ann"])
    await store.rooms.create(key.project_id, key.api_key, options)
    assert (await door.authorize(token(key), "board", "ann")).participant_id == "ann"
    assert await refusal(door, token(key), "board", "bob") == 4023
    assert await refusal(door, token(key), "board", None) == 4023


async def test_who_owns_a_session(door, store, key, room):
    async def owns(participant_id, *, project_id=key.project_id, room_id=room.room_id, **claims):
        identity = await authenticate(store, token(key, **claims), WALL())
        return await door.owns(identity, project_id, room_id, participant_id)

    assert await owns("bob") and await owns("ann", participantId="ann")
    assert not await owns("bob", participantId="ann") and not await owns("bob", project_id="other")
    assert await owns("bob", roomId="standup") and await owns("bob", roomId=room.room_id)
    assert not await owns("bob", roomId="standup", room_id="aaaa-bbbb-cccc")
