"""What the example app servers answer, and that they are as small as they are said to be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import jwt
import pytest
from yarl import URL

from tests.support.app_server import API_KEY, API_SECRET, KINDS, app_server_command, start_app_server, start_tidegate
from tests.support.serving import RunningServer

pytestmark = pytest.mark.slow

MAX_LINES = 40


@pytest.fixture(scope="module")
def tidegate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_tidegate(tmp_path_factory.mktemp("tidegate")) as server:
        yield server


@pytest.fixture(scope="module", params=KINDS)
def app_server(request, tidegate, tmp_path_factory) -> Iterator[RunningServer]:
    with start_app_server(request.param, tmp_path_factory.mktemp("app"), tidegate.url) as server:
        yield server


@pytest.fixture
async def http(app_server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(app_server.url) as session:
        yield session


@pytest.mark.parametrize("kind", KINDS)
def test_an_app_server_is_small(kind):
    assert len(Path(app_server_command(kind)[-1]).read_text().splitlines()) <= MAX_LINES


async def test_its_token_is_for_both_the_api_and_meetings(tidegate, http):
    async with http.get("/get-token") as answer:
        assert answer.content_type == "application/json"
        body = await answer.json()
    claims = jwt.decode(body["token"], API_SECRET, algorithms=["HS256"])
    assert (claims["apikey"], claims["version"], claims["permissions"]) == (API_KEY, 2, ["allow_join", "allow_mod"])
    assert claims["exp"] - claims["iat"] == 7200
    assert body["url"] == tidegate.url


async def test_a_meeting_it_made_is_valid_and_no_other_is(http):
    async with http.post("/create-meeting") as answer:
        assert answer.status == 200
        room = await answer.json()
    async with http.post(f"/validate-meeting/{room['roomId']}") as answer:
        assert (answer.status, await answer.json()) == (200, room)
    async with http.post("/validate-meeting/none") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, 4003)


@pytest.mark.parametrize("path", ["/validate-meeting/%2e%2e", "/validate-meeting/%2e%2e%2fsessions", "/validate-meeting/"])
async def test_no_id_leads_it_elsewhere_in_the_api(http, path):
    async with http.post(URL(path, encoded=True)) as answer:
        assert answer.status in (404, 405)
        assert "data" not in await answer.text()


@pytest.mark.parametrize("path", ["/%2e%2e/app-server-node/server.mjs", "/server.py", "/app.js/../../README.md"])
async def test_it_serves_the_page_and_nothing_else(http, path):
    async with http.get("/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
    async with http.get("/app.js") as answer:
        assert answer.status == 200 and answer.content_type.endswith("/javascript")
    async with http.get(URL(path, encoded=True)) as answer:
        assert answer.status in (403, 404)


@pytest.mark.parametrize("kind", KINDS)
async def test_without_tidegate_it_says_so_and_lives(kind, tmp_path):
    nowhere = "http://127.0.0.1:9"  # the discard port: nobody listens
    with start_app_server(kind, tmp_path, nowhere) as server:
        async with aiohttp.ClientSession(server.url) as http:
            async with http.post("/create-meeting") as answer:
                assert answer.status in (500, 502)
            async with http.get("/get-token") as answer:
                assert answer.status == 200
