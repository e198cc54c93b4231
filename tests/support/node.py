"""The whole application in this process, on free ports of loopback: every plane wired as `tidegate serve` does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer

from tests.support.api import read_json
from tidegate.auth import sign_token
from tidegate.config.model import Config, HttpConfig, OutgoingConfig, RtcConfig
from tidegate.registry import Node
from tidegate.store import ApiKey


@dataclass
class RunningNode:
    node: Node
    client: TestClient

    @property
    def url(self) -> str:
        return f"http://{self.client.host}:{self.client.port}"

    def token(self, key: ApiKey | None = None, **claims: Any) -> str:
        """Of the first key, or of `key`; may do everything unless `claims` say otherwise."""
        key = key or self.node.key
        claims = {"permissions": ["allow_join", "allow_mod"], **claims}
        return sign_token(key.api_key, key.secret, claims, now_wall=time.time(), seconds=600)

    async def other_key(self) -> ApiKey:
        """A key of another project."""
        store = self.node.store
        return await store.keys.create((await store.projects.create("other")).id)

    def request(self, method: str, path: str, *, token: str | None = "", **more: Any) -> Any:
        """`token`: "" makes a good one, None sends none."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = token or self.token()
        return self.client.request(method, path, headers=headers, **more)

    async def call(self, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
        async with self.request(method, path, **more) as response:
            body = await read_json(response)
            assert response.status == status, (response.status, body)
            return body

    @property
    def http(self) -> aiohttp.ClientSession:
        return self.client.session

    async def is_published(self, room_id: str, name: str) -> bool:
        """Whether microphone and camera of that participant are there."""
        room = self.node.media.conference.rooms.get(room_id)
        person = room.participants.get(name) if room is not None else None
        return person is not None and sum(track.published for track in person.tracks.values()) == 2

    async def room(self, custom_room_id: str = "standup") -> str:
        return (await self.call("POST", "/v2/rooms", json={"customRoomId": custom_room_id}))["roomId"]


@asynccontextmanager
async def running_node(
    folder: Path, *, host: str = "127.0.0.1", public_url: str = "", **more: Any
) -> AsyncIterator[RunningNode]:
    """`host`: what the configuration says; the test's own server is on loopback whatever that is. `more`: other tables.

    Requests to this machine are allowed (webhooks, RTMP), as an operator of a test would have it.
    """
    more.setdefault("outgoing", OutgoingConfig(allow=("127.0.0.0/8",)))
    http = HttpConfig(host=host, port=0, public_url=public_url)
    config = Config(data_dir=folder, http=http, rtc=RtcConfig(port=0), **more)
    async with Node(config) as node:
        tasks = asyncio.create_task(node.run_tasks())
        try:
            async with TestClient(TestServer(node.make_app())) as client:
                node.egress.plane.public_url = f"http://{client.host}:{client.port}"
                yield RunningNode(node, client)
                await node.drain(1.0)
        finally:
            tasks.cancel()
            with suppress(asyncio.CancelledError):
                await tasks
