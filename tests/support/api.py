"""The HTTP interface without the media plane: a real store, a stand-in for meetings, tokens, a client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import rsa

from media.errors import PeerError
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants
from tests.support.clock import Clock
from tests.support.egress import FakeEgress
from tidegate.config.egress import WebhookConfig
from tidegate.config.model import AuthConfig, LimitsConfig
from tidegate.events.bus import EventBus
from tidegate.events.log import EventLog
from tidegate.events.sign import ProjectSecrets, RsaSigner
from tidegate.events.webhooks import Webhooks
from tidegate.http.context import HttpContext
from tidegate.http.routes import create_app
from tidegate.storage.disk import DiskStorage
from tidegate.storage.links import Links
from tidegate.store import ApiKey, Room, RoomOptions, Store, open_store

SPINS, TURNS = 200, 6000  # turns of the loop at once, then with pauses: half a minute

RSA = RsaSigner(rsa.generate_private_key(public_exponent=65537, key_size=2048))


@dataclass
class FakeMeetings:
    """Live rooms as plain dicts: room id -> participant id -> grants."""

    rooms: dict[str, dict[str, Grants]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def end_room(self, room_id: str, reason: CloseReason) -> bool:
        self.calls.append(("end", room_id, reason))
        return self.rooms.pop(room_id, None) is not None

    def remove(self, room_id: str, participant_id: str, reason: CloseReason) -> bool:
        self.calls.append(("remove", room_id, participant_id, reason))
        return self.rooms.get(room_id, {}).pop(participant_id, None) is not None

    def set_grants(self, room_id: str, participant_id: str, changes: dict[str, Any]) -> Grants:
        people = self.rooms.get(room_id, {})
        if participant_id not in people:
            raise PeerError(4066, "REMOVE_PARTICIPANT_FAILED", "no such participant")
        people[participant_id] = Grants.from_wire(changes, people[participant_id])
        return people[participant_id]


@dataclass
class Api:
    """One server with one project; `key` is its first key."""

    client: TestClient
    context: HttpContext
    store: Store
    meetings: FakeMeetings
    egress: FakeEgress
    bus: EventBus
    wall: Clock
    now: Clock
    key: ApiKey

    def token(self, key: ApiKey | None = None, *, signed: bool = True, **claims: Any) -> str:
        """A token of this project: may do everything, for two hours. A claim given as None is left out."""
        key = key or self.key
        payload = {
            "apikey": key.api_key,
            "permissions": ["allow_join", "allow_mod"],
            "version": 2,
            "iat": int(self.wall.time),
            "exp": int(self.wall.time) + 7200,
            **claims,
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, key.secret, "HS256") if signed else jwt.encode(payload, None, "none")

    async def call(
        self, method: str, path: str, *, token: str | None = "", status: int | None = 200, **more: Any
    ) -> Any:
        """A request, and its JSON. `token`: "" makes a good one, None sends none. `status` None: not looked at."""
        async with self.request(method, path, token=token, **more) as response:
            body = await read_json(response)
            assert status in (None, response.status), (response.status, body)
            return body

    def request(self, method: str, path: str, *, token: str | None = "", **more: Any) -> Any:
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = token or self.token()
        return self.client.request(method, path, headers=headers, **more)

    async def room(self, custom_room_id: str | None = None, key: ApiKey | None = None) -> Room:
        key = key or self.key
        options = RoomOptions(custom_room_id=custom_room_id)
        return (await self.store.rooms.create(key.project_id, key.api_key, options))[0]

    async def session(self, room: Room, *people: str, session_id: str = "5" * 24) -> str:
        """A running session, in the store and in the meeting plane."""
        at_ms = int(self.wall.time * 1000)
        session = await self.store.sessions.start(room, session_id, at_ms)
        self.meetings.rooms[room.room_id] = {}
        for number, name in enumerate(people):
            details = {"mode": "SEND_AND_RECV", "meta_data": None, "device_info": {}, "hidden": name == "ghost"}
            await self.store.sessions.joined(session, name, name=name.title(), at_ms=at_ms + number, **details)
            self.meetings.rooms[room.room_id][name] = Grants.full()
        return session_id

    async def other_key(self) -> ApiKey:
        """A key of another project."""
        return await self.store.keys.create((await self.store.projects.create("other")).id)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; fails when it never is. After the first turns other threads get theirs."""
    for turn in range(SPINS + TURNS):
        if condition():
            return
        await asyncio.sleep(0 if turn < SPINS else 0.005)
    raise AssertionError("it did not become so")


async def read_json(response: ClientResponse) -> Any:
    if response.content_type in ("application/json", "application/problem+json"):
        return await response.json(content_type=None)
    return await response.text()


@asynccontextmanager
async def running_api(
    folder: Path,
    *,
    limits: LimitsConfig | None = None,
    loopback: bool = True,
    dev: bool = False,
    public_url: str | None = None,
    raw_handlers: dict[str, Any] | None = None,
) -> AsyncIterator[Api]:
    wall, now = Clock(), Clock(1000.0)
    store = await open_store(f"sqlite+aiosqlite:///{folder / 'store.db'}", wall=wall)
    meetings, bus = FakeMeetings(), EventBus()
    events = EventLog(store, bus)
    egress = FakeEgress(store, DiskStorage(folder / "recordings"), folder)
    context = HttpContext(
        limits=limits or LimitsConfig(),
        auth=AuthConfig(),
        store=store,
        meetings=meetings,
        egress=egress,
        storage=egress.storage,
        links=Links(store.settings, random_bytes=os.urandom, wall=wall, hours=1),
        bus=bus,
        events=events,
        webhooks=Webhooks(store, RSA, ProjectSecrets(store.settings, os.urandom), WebhookConfig(), lambda: None),
        wall=wall,
        now=now,
        random_bytes=os.urandom,
        public_url=lambda request: public_url or f"{request.scheme}://{request.host}",
        client_address=lambda request: request.headers.get("Test-Address", "127.0.0.1"),
        ready=lambda: None,
        loopback=loopback,
        dev=dev,
        allowed_hosts=frozenset({"meet.example.org"}),
    )
    key = await store.first_key()
    app: web.Application = create_app(context, raw_handlers or {})
    hand_out = asyncio.create_task(bus.run())
    try:
        async with TestClient(TestServer(app)) as client:
            yield Api(client, context, store, meetings, egress, bus, wall, now, key)
            bus.close()
    finally:
        hand_out.cancel()
        with suppress(asyncio.CancelledError):
            await hand_out
        await store.close()
