"""`tidegate events` against a server: what is kept, and what happens, over a connection that breaks off."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext

import pytest
from aiohttp import web

from tests.support.api import Api, running_api
from tidegate.cli import events as command
from tidegate.events.log import NewEvent


@pytest.fixture
async def api(tmp_path):
    async with running_api(tmp_path) as api:
        yield api


async def write(api: Api, count: int) -> None:
    for number in range(count):
        await api.context.events.write(NewEvent("a", api.key.project_id, None, None, {"n": number}))


async def test_what_is_kept_is_printed_page_after_page(api, capsys):
    await write(api, 250)
    url = str(api.client.make_url("/v2/events"))
    await asyncio.to_thread(command._print_kept, url, {}, 10, api.token())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == [str(number) for number in range(11, 251)]
    assert lines[0]["event"] == "a" and lines[0]["data"]["data"] == {"n": 10}


async def test_a_connection_that_is_lost_is_made_again_after_the_last_event(capsys, monkeypatch):
    """The reader says where it was: by the header, as the standard has it."""
    asked: list[str | None] = []

    class Enough(Exception):
        pass

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        number = len(asked)
        await response.write(f'id: {number * 7}\nevent: a\ndata: {{"n": {number}}}\n\n'.encode())
        return response

    def sleep(seconds: float) -> None:
        if len(asked) == 3:
            raise Enough

    monkeypatch.setattr(command.time, "sleep", sleep)
    app = web.Application()
    app.router.add_get("/v2/events", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with pytest.raises(Enough):
            await asyncio.to_thread(command._follow, f"http://127.0.0.1:{runner.addresses[0][1]}/v2/events", "token")
    finally:
        await runner.cleanup()
    assert asked == [None, "7", "14"]
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["7", "14", "21"]


async def test_a_reader_that_was_told_its_place_before_any_event_goes_on_from_there(api, capsys, monkeypatch):
    await write(api, 3)
    url = str(api.client.make_url("/v2/events"))
    places = []

    class Enough(Exception):
        pass

    def open_and_lose(request, **more):
        places.append(request.get_header("Last-event-id"))
        if len(places) == 2:
            raise Enough
        return closing_after_greeting(request, **more)

    def closing_after_greeting(request, **more):
        answer = urlopen(request, **more)
        greeting = [answer.readline() for _ in range(3)]
        answer.close()
        return nullcontext(greeting)

    urlopen = command.urlopen
    monkeypatch.setattr(command, "urlopen", open_and_lose)
    monkeypatch.setattr(command.time, "sleep", lambda seconds: None)
    with pytest.raises(Enough):
        await asyncio.to_thread(command._follow, url, api.token())
    assert places == [None, "3"]
    assert capsys.readouterr().out == "", "a place is no event"
