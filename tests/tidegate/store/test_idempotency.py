from __future__ import annotations

import asyncio

SCOPE = "POST /v2/rooms"


async def test_a_key_is_claimed_once(store):
    project = (await store.first_key()).project_id
    claims = await asyncio.gather(*(store.idempotency.claim(project, SCOPE, "k", "f") for _ in range(6)))
    assert claims.count(None) == 1
    await store.idempotency.answer(project, SCOPE, "k", 200, {"a": 1})
    known = await store.idempotency.claim(project, SCOPE, "k", "other")
    assert (known.fingerprint, known.status, known.answer) == ("f", 200, {"a": 1})


async def test_projects_and_routes_do_not_share_keys(store):
    project = (await store.first_key()).project_id
    other = (await store.projects.create("other")).id
    for owner, scope in ((project, SCOPE), (other, SCOPE), (project, "POST /v2/else")):
        assert await store.idempotency.claim(owner, scope, "k", "f") is None


async def test_a_released_or_old_key_can_be_used_again(store, clock):
    project = (await store.first_key()).project_id
    assert await store.idempotency.claim(project, SCOPE, "k", "f") is None
    await store.idempotency.release(project, SCOPE, "k")
    assert await store.idempotency.claim(project, SCOPE, "k", "f") is None
    clock.wall += 100
    await store.idempotency.forget(int(clock.wall * 1000))
    assert await store.idempotency.claim(project, SCOPE, "k", "f") is None
