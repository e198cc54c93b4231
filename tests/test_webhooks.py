"""Webhooks of a whole server that is killed between writing an event and delivering it, and of one that is drained."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.app_server import API_KEY, API_SECRET, ENV, TIDEGATE
from tests.support.serving import RunningServer, start_server
from tests.support.signalling import Client
from tests.support.webhook_receiver import WebhookReceiver, running_receiver
from tidegate.auth import sign_token

pytestmark = pytest.mark.slow


@contextmanager
def start(directory: Path) -> Iterator[RunningServer]:
    with start_server(TIDEGATE, directory, env=ENV | {"TIDEGATE_OUTGOING_ALLOW": "127.0.0.0/8"}) as server:
        yield server


def make_token() -> str:
    claims = {"permissions": ["allow_join", "allow_mod"]}
    return sign_token(API_KEY, API_SECRET, claims, now_wall=time.time(), seconds=600)


async def ask(server: RunningServer, method: str, path: str, **more: Any) -> Any:
    headers = {"Authorization": make_token(), "Accept": "application/json"}
    async with aiohttp.ClientSession(server.url, headers=headers) as http, http.request(method, path, **more) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def learn_keys(server: RunningServer, receiver: WebhookReceiver) -> None:
    """As an app server does: from the API."""
    receiver.public_key = (await ask(server, "GET", "/v2/public/rsa-public-key"))["publicKey"]
    receiver.secret = (await ask(server, "GET", "/v2/webhooks/secret"))["secret"]


async def kill(server: RunningServer) -> None:
    server.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(server.process.wait)


async def meet(server: RunningServer, room_id: str, name: str = "ada") -> None:
    """Somebody comes and goes."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.url}/v2/signal", autoclose=False) as ws:
        client = Client(ws)
        await client.request("join", token=make_token(), roomId=room_id, participantId=name, displayName=name.title())
        await client.request("leave")


async def test_what_a_killed_server_had_not_delivered_arrives_after_its_next_start(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        webhook = {"endPoint": f"http://127.0.0.1:{port}/hook", "events": ["session-*", "participant-*"]}
        with start(tmp_path) as server:
            room_id = (await ask(server, "POST", "/v2/rooms", json={"webhook": webhook}))["roomId"]
            await meet(server, room_id)
            async with asyncio.timeout(30):
                while True:  # everything is in the log, and the first has been tried in vain
                    log = (await ask(server, "GET", "/v2/webhooks/deliveries"))["data"][::-1]
                    if len(log) >= 3 and log[0]["lastAttempt"]:
                        break
                    await asyncio.sleep(0.05)
            assert log[0]["lastAttempt"]["error"] == "no connection: Connection refused"
            await kill(server)
    async with running_receiver(port) as receiver:
        with start(tmp_path) as server:
            await learn_keys(server, receiver)
            ended = await receiver.wait_for("session-ended")
            assert receiver.types == ["session-started", "participant-joined", "participant-left", "session-ended"]
            assert receiver.forged == [] and ended.data["meetingId"] == room_id
            assert receiver.seen[0].id == log[0]["id"], "the same webhook-id before and after"
            events = (await ask(server, "GET", "/v2/events", params={"roomId": room_id}))["data"]
            assert [event["id"] for event in events if event["webhookType"] in receiver.types] == [one.json["id"] for one in receiver.seen]


async def test_what_was_being_sent_when_the_server_was_killed_is_sent_again(tmp_path: Path):
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with running_receiver() as receiver:
        receiver.script.append(hang)
        with start(tmp_path) as server:
            await learn_keys(server, receiver)
            await ask(server, "POST", "/v2/webhooks", json={"endPoint": "https://elsewhere.example/", "events": ["nothing"]})
            room = {"webhook": {"endPoint": receiver.url, "events": ["room-*"]}}
            await ask(server, "POST", "/v2/rooms", json=room)
            await receiver.wait_for("room-created")
            await kill(server)
        with start(tmp_path) as server:
            again = await receiver.wait_for("room-created", count=2)
            assert again.id == receiver.seen[0].id and receiver.forged == []
            async with asyncio.timeout(30):
                while True:
                    if (await ask(server, "GET", "/v2/webhooks/deliveries"))["data"][0]["state"] == "delivered":
                        break
                    await asyncio.sleep(0.05)


async def test_the_end_of_a_server_is_told_before_it_is_gone(tmp_path: Path):
    async with running_receiver() as receiver:
        with start(tmp_path) as server:
            await learn_keys(server, receiver)
            room = {"webhook": {"endPoint": receiver.url, "events": ["session-*"]}}
            room_id = (await ask(server, "POST", "/v2/rooms", json=room))["roomId"]
            async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.url}/v2/signal", autoclose=False) as ws:
                await Client(ws).request("join", token=make_token(), roomId=room_id, participantId="ada")
                ending = asyncio.create_task(asyncio.to_thread(server.stop))
                ended = await receiver.wait_for("session-ended")
                assert await ending == 0
    assert ended.data["reason"]["name"] == "SERVER_SHUTDOWN"


async def test_a_session_that_was_cut_off_is_told_to_have_ended(tmp_path: Path):
    async with running_receiver() as receiver:
        with start(tmp_path) as server:
            await learn_keys(server, receiver)
            room = {"webhook": {"endPoint": receiver.url, "events": ["session-*"]}}
            room_id = (await ask(server, "POST", "/v2/rooms", json=room))["roomId"]
            async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.url}/v2/signal", autoclose=False) as ws:
                await Client(ws).request("join", token=make_token(), roomId=room_id, participantId="ada")
                await receiver.wait_for("session-started")
                await kill(server)
        with start(tmp_path) as server:
            ended = await receiver.wait_for("session-ended")
            assert ended.data["reason"]["name"] == "NODE_STOPPED" and ended.data["end"] >= ended.data["start"]
        with start(tmp_path) as server:
            events = (await ask(server, "GET", "/v2/events", params={"roomId": room_id, "type": "session-*"}))["data"]
            assert [event["webhookType"] for event in events] == ["session-started", "session-ended"], "told once"
