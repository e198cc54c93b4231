from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError


async def test_the_first_start_makes_one_key(store):
    key = await store.first_key()
    assert len(key.secret) == 64 and not key.disabled
    assert (await store.keys.find(key.api_key)).secret == key.secret
    assert (await store.first_key()).id == key.id


async def test_a_given_key_exists_afterwards_with_that_secret(store):
    first = await store.first_key()
    given = await store.first_key("mykey", "s" * 32)
    assert (given.api_key, given.secret, given.project_id) == ("mykey", "s" * 32, first.project_id)
    again = await store.first_key("mykey", "t" * 32)
    assert (again.id, again.secret) == (given.id, "t" * 32)


async def test_disable_rotate_and_origins(store):
    key = await store.first_key()
    assert (await store.keys.set_disabled(key.project_id, key.api_key, True)).disabled
    assert (await store.keys.find(key.api_key)).disabled
    assert not (await store.keys.set_disabled(key.project_id, key.api_key, False)).disabled
    assert (await store.keys.rotate(key.project_id, key.api_key)).secret != key.secret
    changed = await store.keys.set_allowed_origins(key.project_id, key.api_key, ("https://a.example",))
    assert changed.allowed_origins == ["https://a.example"]


async def test_keys_of_another_project_cannot_be_reached(store):
    key = await store.first_key()
    other = await store.projects.create("other")
    assert await store.keys.set_disabled(other.id, key.api_key, True) is None
    assert await store.keys.rotate(other.id, key.api_key) is None
    assert not (await store.keys.find(key.api_key)).disabled
    assert await store.keys.list(other.id) == []


async def test_keys_are_listed_newest_first(store, clock):
    first = await store.first_key()
    clock.wall += 1
    second = await store.keys.create(first.project_id)
    assert [key.api_key for key in await store.keys.list(first.project_id)] == [second.api_key, first.api_key]


async def test_settings_belong_to_a_project(store):
    one = (await store.first_key()).project_id
    other = (await store.projects.create("other")).id
    await store.settings.set(one, "colour", {"r": 1})
    await store.settings.set(one, "colour", {"r": 2})
    assert await store.settings.get(one, "colour") == {"r": 2}
    assert await store.settings.get(other, "colour", "none") == "none"
    assert (await store.projects.find(other)).name == "other"


async def test_an_error_of_the_database_tells_no_secret(store):
    key = await store.first_key()
    with pytest.raises(IntegrityError) as caught:
        await store.keys.create(key.project_id, api_key=key.api_key, secret="geheim" * 6)
    assert "geheim" not in str(caught.value)
