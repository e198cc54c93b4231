"""A media server without media: the real Room behind the interface of Conference, and a client of the WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from sfu.conference import ConnectionChanged
from sfu.config import SfuConfig
from sfu.io.signalling import SignallingServer
from sfu.io.signalling_config import SignallingConfig
from sfu.io.signalling_ports import Admission
from sfu.meeting.events import RoomEnded, SubscriptionUnwanted, SubscriptionWanted
from sfu.meeting.participant import CloseReason, JoinRequest, Participant
from sfu.meeting.permissions import Grants
from sfu.meeting.refusals import Refusal
from sfu.meeting.room import Room
from sfu.peer import OfferedTrack, SubscribeOffer
from tests.support.meeting import WALL, seeded_bytes

PATIENCE = 10.0  # seconds; only a failing test waits so long


class FakeConference:
    """Descriptions are words: an offer "bad" is refused; each published track starts when it is bound."""

    def __init__(self, config: SfuConfig) -> None:
        self.config = config
        self.rooms: dict[str, Room] = {}
        self.random_bytes = seeded_bytes()
        self.events: deque[Any] = deque()
        self.offered: dict[str, tuple[Participant, int, list[OfferedTrack]]] = {}

    def join(self, request: JoinRequest, *, now: float) -> Participant:
        room = self.rooms.get(request.room_id)
        if room is None or room.ended is not None:
            room = Room(
                self.config,
                request.room_id,
                request.session_id or "session",
                random_bytes=self.random_bytes,
                wall_clock=WALL,
                now=now,
            )
        participant = room.join(request, now=now)
        self.rooms[request.room_id] = room
        self.offered[participant.inner_id] = (participant, 0, [])
        return participant

    def room_of(self, participant: Participant) -> Room:
        if participant.room_id not in self.rooms:
            raise Refusal.NOT_JOINED("gone")
        return self.rooms[participant.room_id]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        command = {"remove_by": "remove"}.get(name, name)
        return lambda participant, *args, **more: getattr(self.room_of(participant), command)(participant, *args, **more)

    def end_room(self, room_id: str, reason: CloseReason, *, now: float) -> bool:
        self.rooms[room_id].end(reason, now=now)
        return True

    def publish(self, participant: Participant, sdp: str, bindings: list[tuple[str, str]], *, now: float) -> str:
        if sdp == "bad":
            raise Refusal.INVALID_SDP("not one we can use")
        if sdp == "bug":
            raise ZeroDivisionError
        for _, track_id in bindings:
            self.room_of(participant).bind(participant, track_id, codec="opus", now=now)
            self.room_of(participant).start_track(participant, track_id, now=now)
        self.events.append(
            ConnectionChanged(
                participant.room_id, participant.participant_id, participant.inner_id, "s", "publish", True, 0.1
            )
        )
        return "answer to " + sdp

    def subscribe_answer(self, participant: Participant, sdp: str, serial: int, *, now: float) -> bool:
        return serial == self.offered[participant.inner_id][1]

    def restart_subscribe(self, participant: Participant, *, now: float) -> None:
        self.offer(participant.inner_id)

    def offer(self, inner_id: str) -> None:
        participant, serial, tracks = self.offered[inner_id]
        self.offered[inner_id] = (participant, serial + 1, tracks)
        self.events.append(
            SubscribeOffer(
                participant.room_id, participant.participant_id, inner_id, "connection", serial + 1, "offer", tuple(tracks)
            )
        )

    def next_event(self) -> Any:
        for room_id, room in list(self.rooms.items()):
            while (event := room.next_event()) is not None:
                self.events.append(event)
                if isinstance(event, SubscriptionWanted):
                    tracks = self.offered[event.subscriber_inner_id][2]
                    tracks.append(OfferedTrack(str(len(tracks)), event.track, event.publisher_id))
                    self.offer(event.subscriber_inner_id)
                elif isinstance(event, SubscriptionUnwanted):
                    tracks = self.offered[event.subscriber_inner_id][2]
                    tracks[:] = [one for one in tracks if one.track.track_id != event.track_id]
                elif isinstance(event, RoomEnded):
                    del self.rooms[room_id]
        return self.events.popleft() if self.events else None


class FakeMediaServer:
    """`skew` moves its clock."""

    def __init__(self, conference: Any) -> None:
        self.conference = conference
        self.skew = 0.0
        self.listeners: list[Callable[[Any], None]] = []
        self.heard: list[Any] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time() + self.skew

    def add_listener(self, listener: Callable[[Any], None]) -> None:
        self.listeners.append(listener)

    def remove_listener(self, listener: Callable[[Any], None]) -> None:
        self.listeners.remove(listener)

    def pump(self) -> None:
        while (event := self.conference.next_event()) is not None:
            self.heard.append(event)
            for listener in self.listeners:
                listener(event)

    def let_pass(self, seconds: float) -> None:
        """Time passes in the rooms, at once."""
        self.skew += seconds
        for room in list(self.conference.rooms.values()):
            room.handle_timer(now=self.now())
        self.pump()


class Client:
    """One socket. Answers and events come apart, in their order."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.next_id = 0
        self.events: deque[dict[str, Any]] = deque()
        self.joined: dict[str, Any] = {}

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        message = await asyncio.wait_for(self.ws.receive(), PATIENCE)
        return json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else None

    async def send(self, method: str, **params: Any) -> int:
        self.next_id += 1
        await self.ws.send_json({"id": self.next_id, "method": method, "params": params})
        return self.next_id

    async def answer(self, request_id: int | None) -> dict[str, Any]:
        while True:
            message = await self.receive()
            assert message is not None, f"closed with {self.ws.close_code}"
            if "event" in message:
                self.events.append(message)
                continue
            assert message["id"] == request_id
            return message

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        """The result; AssertionError for an error."""
        message = await self.answer(await self.send(method, **params))
        assert "result" in message, message
        return message["result"]

    async def refused(self, method: str, **params: Any) -> int:
        message = await self.answer(await self.send(method, **params))
        assert set(message) == {"id", "error"} and set(message["error"]) == {"code", "name", "message"}
        return message["error"]["code"]

    async def event(self, name: str) -> dict[str, Any]:
        """The data of the next event, which has this name."""
        message = self.events.popleft() if self.events else await self.receive()
        assert message is not None, f"closed with {self.ws.close_code}"
        assert message.get("event") == name, message
        return message["data"]

    async def skip_to(self, name: str) -> dict[str, Any]:
        """The data of the next event of this name."""
        while True:
            message = self.events.popleft() if self.events else await self.receive()
            assert message is not None, f"closed with {self.ws.close_code}"
            if message.get("event") == name:
                return message["data"]

    async def end(self) -> int | None:
        """The code with which the server closes; nothing else may come before."""
        assert not self.events, self.events
        message = await self.receive()
        assert message is None, message
        return self.ws.close_code

    async def quiet(self) -> None:
        """Everything that was to come has come, and it was nothing."""
        await self.request("ping")
        await self.request("ping")  # events take a turn of the loop or two more than answers
        assert not self.events, self.events

    def drop(self) -> None:
        """The network is gone: no close frame."""
        self.ws._response.connection.transport.abort()  # type: ignore[union-attr]


class Stage:
    """A running signalling server, and clients of it."""

    def __init__(self, server: Any, signalling: SignallingServer, base: TestServer) -> None:
        self.server = server
        self.signalling = signalling
        self.base = base
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    @property
    def rooms(self) -> dict[str, Room]:
        return self.server.conference.rooms

    async def connect(self, **more: Any) -> Client:
        return Client(await self.session.ws_connect(self.base.make_url("/v2/signal"), autoping=True, **more))

    async def join(self, participant_id: str | None = None, *, token: str = "full", room: str = "room", **more: Any) -> Client:
        client = await self.connect()
        params = {"token": token, "roomId": room, **more}
        if participant_id is not None:
            params["participantId"] = participant_id
        client.joined = await client.request("join", **params)
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Turns of the loop until it holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0)


TOKENS: dict[str, Admission] = {
    "full": Admission("room", Grants.full()),
    "guest": Admission("room", Grants.from_wire({"moderate": False, "end": False}, Grants.full())),
    "listener": Admission("room", Grants(join=True, subscribe=True)),
    "hidden": Admission("room", Grants(join=True, subscribe=True, hidden=True)),
    "ann": Admission("room", Grants.full(), participant_id="ann"),
    "small": Admission("room", Grants.full(), max_participants=1),
    "page": Admission("room", Grants.full(), allowed_origins=("https://App.example/",)),
}


async def authorize(token: str, room_id: str, participant_id: str | None) -> Admission:
    """Tokens by name; `room` has the custom id `custom`, every other id is a room of its own."""
    admission = TOKENS.get(token)
    if admission is None:
        raise Refusal.INVALID_TOKEN("no such token")
    if room_id == "nowhere":
        raise Refusal.INVALID_MEETING_ID("no such room")
    chosen = admission.participant_id if admission.participant_id is not None else participant_id
    room = "room" if room_id == "custom" else room_id
    return Admission(room, admission.grants, chosen, "project", None, admission.max_participants, admission.allowed_origins)


@asynccontextmanager
async def stage(
    config: SignallingConfig | None = None, *, sfu: SfuConfig | None = None, server: Any = None, **more: Any
) -> AsyncIterator[Stage]:
    if server is None:
        server = FakeMediaServer(FakeConference(sfu or SfuConfig()))
    more.setdefault("authorize", authorize)
    async with SignallingServer(server, config=config, **more) as signalling:
        app = web.Application()
        app.router.add_get("/v2/signal", signalling.handle)
        base = TestServer(app)
        await base.start_server()
        found = Stage(server, signalling, base)
        try:
            yield found
        finally:
            await found.session.close()
            await signalling.drain(0)
            await base.close()
