"""The one place where planes are wired: store, meeting plane, signalling, WHIP, REST, events, pages, metrics.

`Node` is an async context manager: inside it everything runs but HTTP, which `app.py` opens last.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from media.clock import WallClock
from media.errors import ConfigError
from sfu.conference import Conference
from sfu.dtls import Certificate, DtlsContext
from sfu.ice.candidate import host_candidates
from sfu.io.addresses import local_addresses
from sfu.io.signalling import SignallingServer
from sfu.io.signalling_ports import Admission
from sfu.io.stun_query import query_public_address
from sfu.io.udp import MediaServer
from sfu.io.whip import WhipServer
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants
from sfu.meeting.refusals import Refusal
from tidegate import auth, keysfile, logs
from tidegate.admission import Doorkeeper
from tidegate.config.ice_servers import ice_servers
from tidegate.config.model import AUTO, Config, split_host_port
from tidegate.egress.metrics import EgressMetrics
from tidegate.egress.plane import Plane
from tidegate.egress.service import Egress
from tidegate.events import housekeeping
from tidegate.events.autoclose import AutoClose
from tidegate.events.bus import EventBus
from tidegate.events.deliver import Deliverer
from tidegate.events.log import EventLog
from tidegate.events.metrics import WebhookMetrics
from tidegate.events.recorder import Recorder
from tidegate.events.send import Sender
from tidegate.events.sign import ProjectSecrets, RsaSigner
from tidegate.events.webhooks import Webhooks
from tidegate.http import routes
from tidegate.http.console_guard import is_from_this_machine
from tidegate.http.context import HttpContext
from tidegate.http.dispatch import check_address
from tidegate.http.egress_commands import EgressCommands, auto_start
from tidegate.http.origin import RequestOrigin
from tidegate.observe import Metrics
from tidegate.outgoing import OutgoingGuard
from tidegate.pages import Pages, web_root
from tidegate.storage import make_storage, retention
from tidegate.storage.guard import DiskGuard
from tidegate.storage.links import Links
from tidegate.storage.metrics import DiskMetrics
from tidegate.store import ApiKey, Store, open_store
from tidegate.workers.metrics import WorkerMetrics
from tidegate.workers.supervisor import Supervisor

log = logging.getLogger(__name__)

LAST_WEBHOOKS = 1.0  # seconds for the webhooks of meetings that the server's end has ended; the next start sends the rest

STORING = 10.0  # seconds that finished files get to reach their storage when the node ends


class MeetingCommands:
    """The meeting plane as HTTP handlers see it (`tidegate.http.context.Meetings`): each command is followed by a pump."""

    def __init__(self, server: MediaServer) -> None:
        self._server = server

    def end_room(self, room_id: str, reason: CloseReason) -> bool:
        ended = self._server.conference.end_room(room_id, reason, now=self._server.now())
        self._server.pump()
        return ended

    def remove(self, room_id: str, participant_id: str, reason: CloseReason) -> bool:
        room = self._server.conference.rooms.get(room_id)
        if room is None or participant_id not in room.participants:
            return False
        participant = room.participants[participant_id]
        self._server.conference.leave(participant, reason, now=self._server.now())
        self._server.pump()
        return True

    def set_grants(self, room_id: str, participant_id: str, changes: dict[str, Any]) -> Grants:
        grants = self._server.conference.change_grants(room_id, participant_id, changes, now=self._server.now())
        self._server.pump()
        return grants


class Node:
    """Everything of one server, started in the order of dependency and ended in the opposite one."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.started_at = time.monotonic()
        self.draining = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Node:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        await self._open_store()
        await self._open_media()
        await self._open_events()
        await self._open_egress()
        await self._open_adapters()

    async def _open_store(self) -> None:
        config = self.config
        keysfile.make_data_dir(config.data_dir)
        self._stack.enter_context(keysfile.hold_data_dir(config.data_dir))
        self.store: Store = await open_store(config.store_url)
        self._stack.push_async_callback(self.store.close)
        self.key: ApiKey = await keysfile.prepare(config, self.store, os.urandom)
        logs.hide(self.key.secret)
        await self.store.recover()

    async def _open_media(self) -> None:
        config = self.config
        dtls_context = DtlsContext(Certificate.generate(wall=time.time()))
        clock = WallClock(wall=time.time(), now=time.monotonic())
        conference = Conference(config.sfu, dtls_context, random_bytes=os.urandom, wall_clock=clock)
        self.media = MediaServer(conference, port=config.rtc.port)
        try:
            await self._stack.enter_async_context(self.media)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise ConfigError("rtc.port", f"UDP port {config.rtc.port}: {error.strerror}; choose another by --rtc-port") from None
        self.addresses = await announced_addresses(config)
        conference.context.candidates = host_candidates(self.addresses, self.media.port)
        self.commands = MeetingCommands(self.media)

    async def _open_events(self) -> None:
        config = self.config
        self.guard = OutgoingGuard(config.outgoing)
        self.bus = EventBus()
        self.events = EventLog(self.store, self.bus, config.webhooks)
        self._stack.push_async_callback(self.events.close)
        self.rsa = await asyncio.to_thread(RsaSigner.load_or_create, config.data_dir)
        self.webhook_secrets = ProjectSecrets(self.store.settings, os.urandom)
        sender = Sender(self.guard, config.webhooks.timeout)
        self.deliverer = Deliverer(self.store, sender, self.rsa, self.webhook_secrets, config.webhooks, time.time)
        self.events.on_deliveries = self.deliverer.wake
        self.webhooks = Webhooks(
            self.store, self.rsa, self.webhook_secrets, config.webhooks, self.deliverer.wake
        )
        self.auto_close = AutoClose(self.store, self.commands, self.events, time.monotonic)
        self.recorder = Recorder(self.store, self.events, self.auto_close, time.time)

    async def _open_egress(self) -> None:
        config = self.config
        self.supervisor = await self._stack.enter_async_context(Supervisor(config.workers))
        self.storage = make_storage(config.storage, config.data_dir)
        self.links = Links(
            self.store.settings, random_bytes=os.urandom, wall=time.time, hours=config.recording.url_hours
        )
        work_dir = config.data_dir / "egress"
        plane = Plane(
            server=self.media,
            supervisor=self.supervisor,
            store=self.store,
            events=self.events,
            storage=self.storage,
            links=self.links,
            guard=self.guard,
            compose=config.compose,
            recording=config.recording,
            broadcast=config.broadcast,
            work_dir=work_dir,
            wall=time.time,
            random_bytes=os.urandom,
            public_url=config.http.public_url,
            flush=self.recorder.flush,
        )
        self.disk_guard = DiskGuard((work_dir, self.storage.root or config.data_dir), min_free_mb=config.recording.min_free_mb)
        self.egress = Egress(
            plane,
            max_restarts=config.workers.max_restarts,
            has_room=self.disk_guard.ok,
            auto_start=lambda room_id: auto_start(self.store, room_id),
        )
        self._stack.push_async_callback(self.egress.close)
        await self.egress.look_back()
        self.recorder.gate = self.egress.book
        self.recorder.is_ours = self.egress.is_recorder
        self.media.add_listener(self.recorder.listen)
        self.media.add_listener(self.egress.listen)

    async def _open_adapters(self) -> None:
        config = self.config
        self.origin = RequestOrigin(config.http)
        self.doorkeeper = Doorkeeper(self.store, time.time, leeway=config.auth.clock_leeway)
        self.signalling = await self._stack.enter_async_context(
            SignallingServer(
                self.media,
                self.doorkeeper.authorize,
                resume_window=config.sfu.resume_window,
                ice_servers=lambda: ice_servers(config.rtc, wall=time.time()),
                config=config.signalling,
                own_origin=self.origin.public_url,
                client_address=self.origin.client_address,
                egress=EgressCommands(self.store, self.egress),
            )
        )
        self.whip = WhipServer(
            self.media,
            self._authorize_request,
            self._owns,
            random_bytes=os.urandom,
            public_url=self.origin.public_url,
            ice_servers=lambda: ice_servers(config.rtc, wall=time.time()),
        )
        self._stack.callback(self.whip.close)
        more = (WorkerMetrics(self.supervisor), EgressMetrics(self.egress), WebhookMetrics(self.deliverer))
        disk = DiskMetrics(self.disk_guard)
        self.metrics = Metrics(self.media, self.signalling, self.recorder, self.bus, *more, disk)
        self.pages = Pages(web_root())

    def make_app(self) -> web.Application:
        config = self.config
        self.context = HttpContext(
            limits=config.limits,
            auth=config.auth,
            store=self.store,
            meetings=self.commands,
            storage=self.storage,
            links=self.links,
            egress=self.egress,
            bus=self.bus,
            events=self.events,
            webhooks=self.webhooks,
            wall=time.time,
            now=time.monotonic,
            random_bytes=os.urandom,
            public_url=self.origin.public_url,
            client_address=self.origin.client_address,
            ready=lambda: "the server shuts down" if self.draining else None,
            loopback=config.http.is_loopback,
            dev=config.dev,
            allowed_hosts=frozenset(name.lower() for name in config.http.allowed_hosts),
            flush=self.recorder.flush,
        )
        app = routes.create_app(self.context, self._raw_handlers())
        app.router.add_get("/", self.pages.start)
        app.router.add_get("/meeting/{roomId}", self.pages.meeting)
        app.router.add_get("/web/{path:.+}", self.pages.asset)
        app.router.add_get("/sdk/{path:.+}", self.pages.sdk)
        return app

    async def run_tasks(self) -> None:
        """Tasks that live as long as the node; cancelled from outside."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.bus.run(), name="event bus")
            group.create_task(self.recorder.run(), name="recorder")
            group.create_task(self.auto_close.run(), name="auto-close")
            group.create_task(self.deliverer.run(), name="webhooks")
            group.create_task(self.egress.run(), name="egress")
            group.create_task(self.disk_guard.run(self.egress.note_disk_low), name="disk guard")
            group.create_task(
                housekeeping.run(
                    self.store, self.config.limits, self.config.retention, self.config.webhooks, time.time
                ),
                name="housekeeping",
            )
            group.create_task(
                retention.run(self.store, self.storage, self.config.recording.keep_days, time.time), name="file retention"
            )

    async def drain(self, timeout: float) -> None:
        """Tell everybody, end every room, write what is to be written."""
        self.draining = True
        await self.signalling.drain(timeout)
        self.media.conference.close(now=self.media.now())
        self.media.pump()
        await self.egress.drain(self.config.workers.stop_timeout + STORING)
        await self.recorder.flush()
        await self.events.close()
        await self.deliverer.settle(LAST_WEBHOOKS)
        self.bus.close()

    def _raw_handlers(self) -> dict[str, routes.RawHandler]:
        """What reads its requests by itself; the names are those of `http/raw.py`."""
        return {
            "signal": self._signal,
            "whip": self.whip.whip,
            "whep": self.whip.whep,
            "whip-options": self.whip.options,
            "whip-session-options": self.whip.session_options,
            "whip-patch": self.whip.patch,
            "whip-delete": self.whip.delete,
            "metrics": self._metrics,
        }

    async def _signal(self, request: web.Request) -> web.StreamResponse:
        """Who calls is said on the socket; how often an address may is the same as everywhere."""
        check_address(self.context, request)
        return await self.signalling.handle(request)

    async def _authorize_request(self, request: web.Request, room_id: str, participant_id: str | None) -> Admission:
        identity = await routes.authenticate_request(request, None)
        return await self.doorkeeper.admit(identity, room_id, participant_id)

    async def _owns(self, request: web.Request, project_id: str | None, room_id: str, participant_id: str) -> bool:
        identity = await routes.authenticate_request(request, None)
        return await self.doorkeeper.owns(identity, project_id, room_id, participant_id)

    async def _metrics(self, request: web.Request) -> web.Response:
        """Open to this machine while HTTP is on loopback; else for tokens of the API that are for no one room or participant."""
        here = self.config.http.is_loopback and is_from_this_machine(request, self.origin.public_url(request))
        if not here:
            identity = await routes.authenticate_request(request, auth.REST)
            if identity.room_id is not None or identity.participant_id is not None:
                raise Refusal.UNAUTHORIZED_REQUEST("the token is for one room or participant, the measurements are of all")
        body, content_type = self.metrics.render()
        return web.Response(body=body, headers={"Content-Type": content_type})


async def announced_addresses(config: Config) -> tuple[str, ...]:
    """Addresses for our candidates: what the operator announces, else every interface's. ConfigError when "auto" fails."""
    announced = list(config.rtc.announce_ips)
    if AUTO in announced:
        host, port = split_host_port("rtc.stun_server", config.rtc.stun_server)
        try:
            announced[announced.index(AUTO)] = await query_public_address(host, port)
        except OSError as error:
            raise ConfigError("rtc.stun_server", f"{host}:{port} gave no address ({error}); announce one by --announce-ip") from None
    return tuple(dict.fromkeys(announced)) or local_addresses(loopback=config.http.is_loopback)
