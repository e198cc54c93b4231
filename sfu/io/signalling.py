"""The WebSocket of docs/signalling.md: sockets become participants, requests commands, events messages.

The rules are the room's, the media the conference's. Here: who speaks on which socket, and how sockets begin and end.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import WSMsgType, web

from media.errors import PeerError
from sfu.io import signalling_messages as messages
from sfu.io.signalling_commands import COMMANDS
from sfu.io.signalling_config import SignallingConfig
from sfu.io.signalling_connection import MESSAGE_UNIT_BYTES, Connection, SignallingStats
from sfu.io.signalling_egress import EgressDesk
from sfu.io.signalling_events import notices
from sfu.io.signalling_join import join_request, origin_allowed, welcome
from sfu.io.signalling_messages import InvalidMessage, JoinParams, OpenParams, Request
from sfu.io.signalling_outbox import Channel, Outbox
from sfu.io.signalling_ports import Admission, Authorize, Egress, MediaServerPort
from sfu.meeting.checks import check_participant_id
from sfu.meeting.events import ParticipantLeft, RoomEnding
from sfu.meeting.participant import CloseReason, Participant, ParticipantState
from sfu.meeting.refusals import Refusal

log = logging.getLogger(__name__)

PROTOCOL = "tidegate.1"
REQUEST_TYPES = (WSMsgType.TEXT, WSMsgType.BINARY)
GOODBYE_CODES = (0, 1000, 1001, 1005)  # a close frame of these means "I have left"; 0 and 1005: without a code


class SignallingServer:
    """`handle` is the route's handler. Listens to `server`'s events from `start` (or entering) to `close`."""

    def __init__(
        self,
        server: MediaServerPort,
        authorize: Authorize,
        config: SignallingConfig | None = None,
        *,
        resume_window: float = 15.0,
        ice_servers: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
        own_origin: Callable[[web.Request], str] = lambda request: str(request.url.origin()),
        client_address: Callable[[web.Request], str] = lambda request: request.remote or "?",
        egress: Egress | None = None,
    ) -> None:
        self.stats = SignallingStats()
        self._server = server
        self._authorize = authorize
        self._config = config if config is not None else SignallingConfig()
        self._resume_window = resume_window
        self._ice_servers = ice_servers  # asked at each join: TURN credentials expire
        self._own_origin = own_origin  # its pages may use every key
        self._client_address = client_address
        self._desk = EgressDesk(egress, server.pump)
        self._outbox = Outbox(self._config.max_room_backlog)
        self._connections: set[Connection] = set()
        self._unjoined: Counter[str] = Counter()  # by address
        self._resumable: dict[str, tuple[Participant, str]] = {}  # resume token -> stay, and the room as it was asked for
        self._tokens: dict[str, str] = {}  # inner_id -> resume token
        self._draining = False
        self._empty = asyncio.Event()

    async def __aenter__(self) -> SignallingServer:
        self._server.add_listener(self._on_event)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain(0)
        await self._desk.close()
        self._server.remove_listener(self._on_event)
        self._outbox.close()

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def drain(self, grace: float) -> None:
        """Tells everybody in every room that the server shuts down, and waits for the sockets to close, at most `grace` s."""
        self._draining = True
        for room_id in list(self._server.conference.rooms):
            self._server.conference.end_room(room_id, CloseReason.SERVER_SHUTDOWN, now=self._server.now())
        self._server.pump()
        for connection in list(self._connections):
            if connection.participant is None:
                connection.fail(Refusal.SERVER_BUSY("the server shuts down"))
        self._empty.clear()
        if self._connections and grace > 0:
            try:
                async with asyncio.timeout(grace):
                    await self._empty.wait()
            except TimeoutError:
                pass
        for connection in list(self._connections):
            connection.abort()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One socket, from its upgrade to its end."""
        address = self._client_address(request)
        if not self._has_place(address):
            self.stats.refused += 1
            return web.json_response(
                {"code": Refusal.SERVER_BUSY.value, "name": "SERVER_BUSY", "message": "try again later"},
                status=503,
                headers={"Retry-After": "5"},
            )
        config = self._config
        ws = web.WebSocketResponse(
            protocols=(PROTOCOL,),
            heartbeat=config.ping_interval,
            timeout=config.close_timeout,
            autoping=False,  # pings are messages, and counted
            compress=False,  # a compressed bomb costs more than the bytes saved
            max_msg_size=config.max_message_bytes * 2,  # above ours, so that we can say what was wrong
        )
        await ws.prepare(request)
        transport = request.transport
        if transport is None:
            return ws  # gone already
        connection = Connection(
            ws,
            transport,
            config,
            self.stats,
            peer=address,
            origin=request.headers.get("Origin"),
            own_origin=self._own_origin(request),
            now=self._server.now(),
        )
        await self._serve(connection)
        return ws

    def _has_place(self, address: str) -> bool:
        config = self._config
        return not (
            self._draining
            or self.connections >= config.max_sockets
            or self._unjoined.total() >= config.max_unjoined
            or self._unjoined[address] >= config.max_unjoined_per_address
        )

    def _forget_unjoined(self, connection: Connection) -> None:
        self._unjoined[connection.peer] -= 1
        if not self._unjoined[connection.peer]:
            del self._unjoined[connection.peer]

    async def _serve(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._unjoined[connection.peer] += 1
        self.stats.opened += 1
        deadline = asyncio.get_running_loop().call_later(self._config.join_timeout, self._on_join_timeout, connection)
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read(connection))
                await connection.write()
                if connection.finishing:  # perhaps while a token is looked at
                    reader.cancel()
                await asyncio.wait([reader])
                await connection.close()
        finally:
            deadline.cancel()
            self._connections.discard(connection)
            self.stats.closed += 1
            if connection.participant is None:
                self._forget_unjoined(connection)
            self._depart(connection)
            if not self._connections:
                self._empty.set()

    async def _read(self, connection: Connection) -> None:
        """Until the client ends the socket, or this task is cancelled."""
        try:
            await self._read_messages(connection)
        finally:
            connection.receive_end()

    async def _read_messages(self, connection: Connection) -> None:
        while True:
            message = await connection.ws.receive()
            if message.type is WSMsgType.CLOSE:
                # noted at once: from here on the connection may be lost and this task be cancelled
                connection.said_goodbye = message.data in GOODBYE_CODES
                return
            if message.type is WSMsgType.PONG or (connection.ending and message.type in REQUEST_TYPES):
                continue
            if message.type is WSMsgType.PING:
                await self._on_ping(connection, message.data)
                continue
            if message.type not in REQUEST_TYPES:
                return
            await self._on_message(connection, message.data)
            participant = connection.participant
            if participant is not None and (channel := self._outbox.channels.get(participant.room_id)) is not None:
                await self._outbox.wait_for_room(channel)

    async def _on_ping(self, connection: Connection, data: bytes) -> None:
        if connection.bucket.take(now=self._server.now()):
            await connection.ws.pong(data)
        else:
            self.stats.too_much += 1
            connection.fail(Refusal.TOO_MUCH("pings come too fast"))

    async def _on_message(self, connection: Connection, text: str | bytes) -> None:
        """One message; whatever it is, it is answered once."""
        self.stats.messages_in += 1
        request_id = None
        try:
            size = len(text if isinstance(text, bytes) else text.encode())
            if not connection.bucket.take(1 + size // MESSAGE_UNIT_BYTES, now=self._server.now()):
                raise _TooMuch("messages come too fast")
            if size > self._config.max_message_bytes:
                raise _TooMuch(f"a message has at most {self._config.max_message_bytes} bytes")
            if isinstance(text, bytes):
                raise InvalidMessage(None, "messages are text")
            request = messages.parse_request(text)
            request_id = request.id
            await self._carry_out(connection, request)
        except InvalidMessage as error:
            self.stats.errors += 1
            connection.send(messages.error_answer(error.id, error.error))
        except PeerError as error:
            self.stats.errors += 1
            connection.send(messages.error_answer(request_id, error))
        except _TooMuch as error:
            self.stats.too_much += 1
            connection.fail(Refusal.TOO_MUCH(str(error)))
        except Exception:
            reference = uuid.uuid4().hex[:12]
            log.exception("signalling request failed, reference %s, peer %s", reference, connection.peer)
            connection.fail(Refusal.INTERNAL(f"internal error, request id {reference}"), request_id)
        finally:
            self._server.pump()

    async def _carry_out(self, connection: Connection, request: Request) -> None:
        """The answer is queued before what follows from the command is told: events come after it."""
        if isinstance(request.params, JoinParams):
            await self._join(connection, request.id, request.params)
            return
        if request.method == "ping":
            connection.send(messages.answer(request.id, {"time": round(time.time() * 1000)}))
            return
        participant = connection.participant
        if participant is None:
            raise Refusal.NOT_JOINED("join first")
        if isinstance(request.params, OpenParams):
            self._desk.begin(connection, participant, request.id, request.method, request.params.root)
            return
        command = COMMANDS[request.method]
        result = command(self._server.conference, participant, request.params, self._server.now())
        connection.send(messages.answer(request.id, result))

    # Beginning

    async def _join(self, connection: Connection, request_id: int, params: JoinParams) -> None:
        if connection.participant is not None:
            raise Refusal.ALREADY_JOINED("this socket has joined already")
        participant = self._find_resumable(params)
        resumed = participant is not None
        now = self._server.now()
        if participant is not None:
            self._server.conference.resume(participant, now=now)
            self.stats.resumed += 1
        else:
            admission = await self._admit(connection, params)
            if connection.ending:
                return  # it ended while its token was looked at
            participant = self._server.conference.join(join_request(params, admission), now=self._server.now())
            self._resumable[participant.resume_token] = (participant, params.room_id)
            self._tokens[participant.inner_id] = participant.resume_token
            self.stats.joined += 1
        self._attach(connection, participant)
        log.info(
            "%s %s room %s participant %s",
            connection.peer,
            "resumed" if resumed else "joined",
            participant.room_id,
            participant.participant_id,
        )
        room = self._server.conference.rooms[participant.room_id]
        result = welcome(
            room,
            participant,
            resumed=resumed,
            resume_window=self._resume_window,
            ice_servers=[dict(entry) for entry in self._ice_servers()],
        )
        connection.send(messages.answer(request_id, result))

    async def _admit(self, connection: Connection, params: JoinParams) -> Admission:
        if self._draining:
            raise Refusal.SERVER_BUSY("the server shuts down")
        if params.participant_id is not None:
            check_participant_id(params.participant_id)
        try:
            async with asyncio.timeout(self._config.join_timeout):
                admission = await self._authorize(params.token, params.room_id, params.participant_id)
        except TimeoutError:
            raise Refusal.SERVER_BUSY("the token could not be looked up in time") from None
        if not origin_allowed(connection.origin, admission.allowed_origins, connection.own_origin):
            raise Refusal.UNAUTHORIZED_REQUEST("this key does not allow pages of this origin")
        if self._draining:
            raise Refusal.SERVER_BUSY("the server shuts down")
        return admission

    def _find_resumable(self, params: JoinParams) -> Participant | None:
        """The stay that a resume token continues. The token alone is proof: the JWT may have expired meanwhile."""
        if params.resume_token is None:
            return None
        participant, asked_room = self._resumable.get(params.resume_token, (None, ""))
        if participant is None or participant.state is ParticipantState.LEFT:
            return None
        if params.room_id not in (asked_room, participant.room_id):
            return None
        if params.participant_id not in (None, participant.participant_id):
            return None
        return participant

    def _attach(self, connection: Connection, participant: Participant) -> None:
        channel = self._outbox.channel(participant.room_id)
        former = channel.connections.get(participant.inner_id)
        if former is not None:
            # The client came back before the loss of its old socket was noticed.
            former.participant = None
            self._unjoined[former.peer] += 1
            former.abort()
        connection.participant = participant
        self._forget_unjoined(connection)
        channel.add(participant, connection)

    # Ending

    def _depart(self, connection: Connection) -> None:
        """The socket has ended: its participant has left, or is waited for."""
        participant = connection.participant
        if participant is None:
            return
        connection.participant = None
        self._detach_channel(participant)
        if participant.state is not ParticipantState.LEFT:
            now = self._server.now()
            if connection.said_goodbye:
                self._server.conference.leave(participant, CloseReason.MANUAL_LEAVE_CALLED, now=now)
            else:
                self._server.conference.detach(participant, now=now)
            self._server.pump()
        log.info("%s ended, participant %s, %s", connection.peer, participant.participant_id, participant.state.value)

    def _detach_channel(self, participant: Participant) -> None:
        channel = self._outbox.channels.get(participant.room_id)
        if channel is not None:
            channel.discard(participant.participant_id, participant.inner_id)
            self._outbox.drop_if_empty(participant.room_id)

    def _on_join_timeout(self, connection: Connection) -> None:
        if connection.participant is None:
            connection.fail(Refusal.INVALID_TOKEN(f"no join within {self._config.join_timeout:g} s"))

    # Events

    def _on_event(self, event: Any) -> None:
        channel = self._outbox.channels.get(getattr(event, "room_id", ""))
        if channel is not None:
            self._tell(channel, event)
        if isinstance(event, ParticipantLeft):
            self._forget(event)

    def _tell(self, channel: Channel, event: Any) -> None:
        if isinstance(event, RoomEnding):
            channel.ending = True
        for notice in notices(event):
            if notice.to_others:
                if not channel.ending:
                    self._outbox.broadcast(channel, notice.data, skip=channel.connection_of(notice.participant_id))
            elif (subject := channel.connections.get(notice.inner_id)) is not None:
                self._outbox.tell(channel, subject, notice.data, close_code=notice.close_code)

    def _forget(self, event: ParticipantLeft) -> None:
        """Nothing is broadcast to who has left, and nobody resumes it; its socket ends by the notice it was sent."""
        token = self._tokens.pop(event.inner_id, None)
        if token is not None:
            del self._resumable[token]
        channel = self._outbox.channels.get(event.room_id)
        if channel is not None:
            channel.discard(event.participant_id, event.inner_id)
            self._outbox.drop_if_empty(event.room_id)


class _TooMuch(Exception):
    """A limit was passed that costs the socket."""
