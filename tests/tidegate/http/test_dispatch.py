"""What happens to a request before and after its handler: forms, limits, Idempotency-Key."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.support.api import running_api
from tidegate.config.model import LimitsConfig
from tidegate.http import answers

ROOMS = "/v2/rooms"


async def test_unknown_paths_and_methods(api):
    problem = await api.call("GET", "/v2/nothing", status=404)
    answers.Problem.model_validate(problem)
    assert problem["code"] == 404
    async with api.request("DELETE", ROOMS) as response:
        assert response.status == 405 and set(response.headers["Allow"].split(",")) >= {"GET", "POST"}
        assert response.content_type == "application/problem+json"


async def test_every_answer_has_a_request_id(api):
    async with api.request("GET", ROOMS) as response:
        assert len(response.headers["X-Request-Id"]) == 24
    async with api.request("GET", ROOMS, token=None, headers={"X-Request-Id": "my-request-7"}) as response:
        assert response.headers["X-Request-Id"] == "my-request-7"
        assert (await response.json(content_type=None))["requestId"] == "my-request-7"
    async with api.request("GET", ROOMS, headers={"X-Request-Id": "<script>alert(1)"}) as response:
        assert "<" not in response.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b"5", b'"x"', b"\xff", b'{"a":NaN}', b"[" * 50_000, b'{"customRoomId":"\\ud800"}', b'{"customRoomId":' + b"9" * 5000 + b"}"],
)  # fmt: skip
async def test_bodies_that_are_no_object(api, data):
    problem = await api.call("POST", ROOMS, data=data, headers={"Content-Type": "application/json"}, status=400)
    assert problem["name"] == "INVALID_REQUEST"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
async def test_other_content_types(api, kind):
    await api.call("POST", ROOMS, data=b"{}", headers={"Content-Type": kind}, status=415)
    await api.call("POST", ROOMS, data=b"{}", headers={"Content-Type": "application/json; charset=utf-8"})


async def test_a_body_that_is_too_large(tmp_path):
    async with running_api(tmp_path, limits=LimitsConfig(max_body_bytes=1000)) as api:
        problem = await api.call("POST", ROOMS, json={"customRoomId": "x" * 2000}, status=413)
        answers.Problem.model_validate(problem)


@pytest.mark.parametrize("name", ["%00", "a%00b", "%F0%9F%98%80%00"])
async def test_names_that_no_database_keeps_are_unknown(api, name):
    await api.call("GET", f"/v2/rooms/{name}", status=404)
    await api.call("GET", f"/v2/sessions/{'1' * 24}/participants/{name}", status=404)


async def test_a_bug_of_ours_is_a_problem_with_an_id(api, monkeypatch):
    async def broken(*args, **more):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(api.store.rooms, "list", broken)
    problem = await api.call("GET", ROOMS, status=500)
    answers.Problem.model_validate(problem)
    assert (problem["code"], problem["name"]) == (5000, "INTERNAL")
    assert problem["requestId"] in problem["message"] and "secret" not in str(problem)


# Limits


async def test_the_limit_of_a_key(tmp_path):
    limits = LimitsConfig(requests_per_second=0.5, request_burst=3)
    async with running_api(tmp_path, limits=limits) as api:
        for _ in range(3):
            await api.call("GET", ROOMS)
        async with api.request("GET", ROOMS) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "2")
            assert response.content_type == "application/problem+json"
        await api.call("GET", ROOMS, token=api.token(await api.other_key()))
        api.now.time += 2
        await api.call("GET", ROOMS)


async def test_the_limit_of_an_address_counts_bad_tokens_too(tmp_path):
    limits = LimitsConfig(address_requests_per_second=1, address_request_burst=2)
    async with running_api(tmp_path, limits=limits) as api:
        await api.call("GET", ROOMS, token="bad", status=401)
        await api.call("GET", "/console/session", token=None)
        await api.call("GET", ROOMS, status=429)
        await api.call("GET", ROOMS, headers={"Test-Address": "10.0.0.9"})


# Idempotency-Key


async def test_the_same_key_gives_the_same_answer(api):
    headers = {"Idempotency-Key": "once"}
    first = await api.call("POST", ROOMS, json={}, headers=headers)
    async with api.request("POST", ROOMS, json={}, headers=headers) as response:
        assert response.headers["Idempotency-Replayed"] == "true"
        assert await response.json() == first
    assert (await api.call("GET", ROOMS))["pageInfo"]["total"] == 1
    assert (await api.call("POST", ROOMS, json={}))["id"] != first["id"]


async def test_the_same_key_with_another_body_is_a_mistake(api):
    headers = {"Idempotency-Key": "once"}
    await api.call("POST", ROOMS, json={}, headers=headers)
    await api.call("POST", ROOMS, json={"customRoomId": "b"}, headers=headers, status=422)
    await api.call("POST", ROOMS, token=api.token(await api.other_key()), json={"customRoomId": "b"}, headers=headers)


async def test_a_key_in_progress_is_a_conflict(api, monkeypatch):
    begun, go = asyncio.Event(), asyncio.Event()
    create = api.store.rooms.create

    async def slow(*args, **more):
        begun.set()
        await go.wait()
        return await create(*args, **more)

    monkeypatch.setattr(api.store.rooms, "create", slow)
    headers = {"Idempotency-Key": "once"}
    first = asyncio.create_task(api.call("POST", ROOMS, json={}, headers=headers))
    await begun.wait()
    await api.call("POST", ROOMS, json={}, headers=headers, status=409)
    go.set()
    assert (await first)["roomId"]


async def test_a_caller_who_goes_away_finds_the_answer_later(api, monkeypatch):
    begun, go, made = asyncio.Event(), asyncio.Event(), asyncio.Event()
    create, answer = api.store.rooms.create, api.store.idempotency.answer

    async def slow(*args, **more):
        begun.set()
        await go.wait()
        return await create(*args, **more)

    async def keep(*args):
        await answer(*args)
        made.set()

    monkeypatch.setattr(api.store.rooms, "create", slow)
    monkeypatch.setattr(api.store.idempotency, "answer", keep)
    headers = {"Idempotency-Key": "once"}
    first = asyncio.create_task(api.call("POST", ROOMS, json={}, headers=headers))
    await begun.wait()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    go.set()
    await asyncio.wait_for(made.wait(), 10)
    async with api.request("POST", ROOMS, json={}, headers=headers) as response:
        assert response.headers["Idempotency-Replayed"] == "true"
    assert (await api.call("GET", ROOMS))["pageInfo"]["total"] == 1


async def test_what_failed_may_be_tried_again(api):
    headers, body = {"Idempotency-Key": "once"}, {"roomId": "later"}
    await api.call("POST", "/v2/rooms/deactivate", json=body, headers=headers, status=404)
    await api.room("later")
    await api.call("POST", "/v2/rooms/deactivate", json=body, headers=headers)
    await api.call("POST", ROOMS, json={"customRoomId": 5}, headers={"Idempotency-Key": "two"}, status=400)
    await api.call("POST", ROOMS, json={}, headers={"Idempotency-Key": "two"})


@pytest.mark.parametrize("key", ["x" * 256, ""])
async def test_keys_of_a_bad_form(api, key):
    await api.call("POST", ROOMS, json={}, headers={"Idempotency-Key": key}, status=400)
