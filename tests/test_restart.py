"""What the end of a server does to its meetings, and what the next start finds: SIGTERM, SIGKILL, the same data directory."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.app_page import join, open_app, receives_media, told
from tests.support.app_server import API_KEY, API_SECRET, start_app_server, start_tidegate
from tests.support.browser import chromium
from tests.support.serving import RunningServer
from tests.support.signalling import Client
from tidegate.auth import sign_token

pytestmark = pytest.mark.slow

ENDED_WITHIN = 5.0  # seconds after SIGTERM, with people in meetings
EMPTY_ENDED_WITHIN = 1.0
SHUTDOWN = {"code": 1012, "name": "SERVER_SHUTDOWN"}


def make_token() -> str:
    claims = {"permissions": ["allow_join", "allow_mod"]}
    return sign_token(API_KEY, API_SECRET, claims, now_wall=time.time(), seconds=600)


async def ask(server: RunningServer, method: str, path: str, **more: Any) -> Any:
    async with aiohttp.ClientSession(server.url, headers={"Authorization": make_token()}) as http:
        async with http.request(method, path, **more) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


@asynccontextmanager
async def joined(server: RunningServer, room_id: str, name: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.url}/v2/signal", autoclose=False) as ws:
        client = Client(ws)
        request = {"token": make_token(), "roomId": room_id, "participantId": name, "displayName": name.title()}
        client.joined = await client.request("join", **request)
        yield client


async def end(server: RunningServer) -> float:
    """SIGTERM; the seconds until it has ended, with 0 for its code."""
    began = time.monotonic()
    assert await asyncio.to_thread(server.stop) == 0, server.output
    assert "Traceback" not in server.output
    return time.monotonic() - began


async def the_session(server: RunningServer, room_id: str) -> dict[str, Any]:
    sessions = (await ask(server, "GET", "/v2/sessions", params={"roomId": room_id}))["data"]
    assert len(sessions) == 1
    return sessions[0]


async def test_rooms_outlive_the_server_and_are_joined_again(tmp_path: Path):
    with start_tidegate(tmp_path) as server:
        room = await ask(server, "POST", "/v2/rooms", json={"customRoomId": "standup"})
        closed = await ask(server, "POST", "/v2/rooms", json={})
        await ask(server, "POST", "/v2/rooms/deactivate", json={"roomId": closed["roomId"]})
        await end(server)
    with start_tidegate(tmp_path) as server:
        again = await ask(server, "GET", "/v2/rooms/standup")
        for where in (room, again):
            del where["links"]  # addresses of this start: it has another port
        assert again == room
        assert (await ask(server, "GET", f"/v2/rooms/{closed['roomId']}"))["disabled"] is True
        async with joined(server, "standup", "ada") as ada:
            assert ada.joined["roomId"] == room["roomId"]
        assert (await the_session(server, room["roomId"]))["id"] == ada.joined["sessionId"]


async def test_people_in_meetings_are_told_that_the_server_ends(tmp_path: Path):
    with start_tidegate(tmp_path) as server:
        room_id = (await ask(server, "POST", "/v2/rooms", json={}))["roomId"]
        async with joined(server, room_id, "ada") as ada, joined(server, room_id, "bob") as bob:
            ending = asyncio.create_task(end(server))
            for client in (ada, bob):
                assert (await client.skip_to("left"))["reason"] == SHUTDOWN
                assert await client.end() == 1000
                await client.ws.close()
            assert await ending < ENDED_WITHIN
    with start_tidegate(tmp_path) as server:
        session = await the_session(server, room_id)
        assert session["status"] == "ended"
        assert sorted(person["participantId"] for person in session["participants"]) == ["ada", "bob"]
        assert all(person["timelog"][-1]["end"] for person in session["participants"])


@pytest.mark.browser
async def test_pages_with_media_are_told_too(tmp_path: Path):
    with start_tidegate(tmp_path) as server, start_app_server("python", tmp_path, server.url) as app_server:
        async with chromium() as browser:
            ada, bob = [(await open_app(browser, app_server.url)).page for _ in range(2)]
            await join(ada, "Ada")
            await join(bob, "Bob", await ada.locator("#joined-id").text_content() or "")
            await receives_media(bob)
            took = await end(server)
            for page in (ada, bob):
                await told(page, "You are out: SERVER_SHUTDOWN")
            assert took < ENDED_WITHIN


async def test_who_does_not_answer_cannot_hold_the_server_up(tmp_path: Path):
    with start_tidegate(tmp_path) as server:
        room_id = (await ask(server, "POST", "/v2/rooms", json={}))["roomId"]
        async with joined(server, room_id, "ada") as ada:
            assert await end(server) < ENDED_WITHIN  # ada has read nothing, the close frame neither
            assert (await ada.skip_to("left"))["reason"] == SHUTDOWN


async def test_an_empty_server_ends_at_once(tmp_path: Path):
    with start_tidegate(tmp_path) as server:
        await end(server)
        took = re.search(r"ended after ([\d.]+) s", server.output)
        assert took and float(took[1]) < EMPTY_ENDED_WITHIN


async def test_a_session_that_was_cut_off_is_listed_as_ended_at_the_next_start(tmp_path: Path):
    with start_tidegate(tmp_path) as server:
        room_id = (await ask(server, "POST", "/v2/rooms", json={}))["roomId"]
        async with joined(server, room_id, "ada") as ada:
            before = await the_session(server, room_id)
            assert (before["status"], before["end"]) == ("ongoing", None)
            server.process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(server.process.wait)
    with start_tidegate(tmp_path) as server:
        after = await the_session(server, room_id)
        assert (after["id"], after["status"]) == (ada.joined["sessionId"], "ended")
        assert datetime.fromisoformat(before["start"]) <= datetime.fromisoformat(after["end"])
        (person,) = after["participants"]
        assert person["timelog"] == [{"start": person["timelog"][0]["start"], "end": after["end"]}]
        async with joined(server, room_id, "ada") as again:
            assert again.joined["sessionId"] != ada.joined["sessionId"]
            assert not again.joined["resumed"]
        sessions = (await ask(server, "GET", "/v2/sessions", params={"roomId": room_id}))["data"]
        assert [session["id"] for session in sessions] == [again.joined["sessionId"], after["id"]]  # newest first
