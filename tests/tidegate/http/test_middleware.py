"""Other origins: who may read our answers from a page."""

from __future__ import annotations

import pytest
from aiohttp import web

from media.errors import PeerError
from tests.support.api import running_api

PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
}


@pytest.mark.parametrize("path", ["/v2/rooms", "/v1/livestreams", "/v2/whip", "/v2/sessions/end", "/sdk/tidegate.js", "/hls/x/index.m3u8"])
async def test_preflights_are_answered_for_every_open_path(api, path):
    async with api.request("OPTIONS", path, token=None, headers=PREFLIGHT) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        allowed = response.headers["Access-Control-Allow-Headers"].lower()
        assert all(name.strip() in allowed for name in PREFLIGHT["Access-Control-Request-Headers"].split(","))
        assert "Access-Control-Allow-Credentials" not in response.headers


async def test_answers_and_problems_can_be_read_from_any_origin(api):
    for token, status in (("", 200), ("bad", 401)):
        async with api.request("GET", "/v2/rooms", token=token, headers={"Origin": "https://app.example"}) as response:
            assert response.status == status and response.headers["Access-Control-Allow-Origin"] == "*"
            assert "X-Request-Id" in response.headers["Access-Control-Expose-Headers"]


async def test_a_key_with_allowed_origins_refuses_others(api):
    await api.store.keys.set_allowed_origins(api.key.project_id, api.key.api_key, ("https://app.example",))
    own = f"http://{api.client.host}:{api.client.port}"
    for origin, status in (("https://app.example", 200), (own, 200), (None, 200), ("https://evil.example", 403)):
        headers = {} if origin is None else {"Origin": origin}
        async with api.request("GET", "/v2/rooms", headers=headers) as response:
            assert response.status == status
            assert ("Access-Control-Allow-Origin" in response.headers) == (status == 200)


async def test_a_401_says_how_to_authenticate(api):
    async with api.request("GET", "/v2/rooms", token=None) as response:
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_answers_are_not_kept_by_caches(api):
    async with api.request("GET", "/v2/rooms") as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Server"] == "tidegate"


async def test_errors_of_raw_handlers_keep_their_words_and_headers(tmp_path):
    async def whip(request: web.Request) -> web.Response:
        raise web.HTTPUnsupportedMediaType(reason="send the offer as SDP", headers={"Accept-Post": "application/sdp"})

    async def whep(request: web.Request) -> web.Response:
        raise PeerError(4052, "MEETING_ID_DISABLED", "closed")

    async with running_api(tmp_path, raw_handlers={"whip": whip, "whep": whep}) as api:
        async with api.request("POST", "/v2/whip") as response:
            problem = await response.json(content_type=None)
            assert (response.status, response.headers["Accept-Post"]) == (415, "application/sdp")
            assert (problem["message"], response.headers["Content-Type"]) == ("send the offer as SDP", "application/problem+json")
        assert (await api.call("POST", "/v2/whep", status=402))["code"] == 4052


async def test_a_store_out_of_reach_is_a_problem_and_no_bare_text(tmp_path):
    async def lose_the_store(request):
        raise ConnectionRefusedError(111, "Connection refused")  # as asyncpg says it

    async with running_api(tmp_path, raw_handlers={"metrics": lose_the_store}) as api:
        problem = await api.call("GET", "/metrics", token=None, status=500)
        assert problem["name"] == "INTERNAL" and "refused" not in problem["message"]
