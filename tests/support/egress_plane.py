"""An egress with a real conference, store and event log, and workers that do what the test says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from media.clock import WallClock
from sfu.compose.messages import Done, FileInfo, FinalizeSpec, Started
from sfu.conference import Conference
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.meeting.participant import JoinRequest, Participant
from sfu.meeting.permissions import Grants
from tidegate.config.egress import BroadcastConfig, ComposeConfig, RecordingConfig
from tidegate.config.model import OutgoingConfig
from tidegate.egress.plane import Plane
from tidegate.egress.requests import Composition, RecordingRequest
from tidegate.egress.service import Egress
from tidegate.events.bus import EventBus
from tidegate.events.log import EventLog
from tidegate.outgoing import OutgoingGuard
from tidegate.storage.disk import DiskStorage
from tidegate.storage.links import Links
from tidegate.store import Recording, Store, open_store
from tidegate.workers.handle import Exit

ROOM = "room-1"
WALL = 1_700_000_000.0
PATIENCE = 10.0


class Server:
    """The part of MediaServer that the egress uses."""

    def __init__(self) -> None:
        context = DtlsContext(Certificate.generate(wall=0.0))
        clock = WallClock(wall=WALL, now=0.0)
        self.conference = Conference(SfuConfig(), context, random_bytes=os.urandom, wall_clock=clock)
        self.listeners: list[Callable[[Any], None]] = []
        self.time = 1.0

    def now(self) -> float:
        return self.time

    def pump(self) -> None:
        while (event := self.conference.next_event()) is not None:
            for listener in self.listeners:
                listener(event)

    def join(self, name: str, **more: Any) -> Participant:
        who = self.conference.join(JoinRequest(ROOM, name, name.title(), Grants.full(), **more), now=self.time)
        self.pump()
        return who


class Worker:
    """`report` and `end` are what its process would say."""

    def __init__(self, spec: Any, calls: dict[str, Any]) -> None:
        self.spec = spec
        self.link = SimpleNamespace(send_rtp=lambda data: None, send_rtcp=lambda data: None)
        self.told: list[Any] = []
        self.stopped = self.killed = False
        self._calls = calls
        self._ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()

    def send(self, control: Any) -> None:
        self.told.append(control)

    def stop(self) -> None:
        self.stopped = True

    def kill(self, reason: Any = "killed", text: str = "") -> None:
        self.killed = True
        asyncio.get_running_loop().call_soon(self.end, reason, text)

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    def report(self, *reports: Any) -> None:
        for report in reports:
            self._calls["on_report"](report)

    def end(self, reason: Any = "done", text: str = "") -> None:
        if not self._ended.done():
            self._ended.set_result(Exit(reason, 0, text))
            self._calls["on_exit"](Exit(reason, 0, text))

    def write(self, content: bytes = b"fragments", name: str = "recording.mp4") -> Path:
        path = Path(self.spec.directory) / name
        path.write_bytes(content)
        return path

    def finish(self, *, start: float = WALL, duration: float = 10.0) -> None:
        """As after Stop: the file is whole."""
        path = self.write()
        self.report(Done((FileInfo(path.name, start, duration, path.stat().st_size, 1280, 720),)))
        self.end()


class Supervisor:
    """`refusals` are raised by the next starts. Finalisers find what lies there, unless `finalize` says otherwise."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.finalizers: list[Worker] = []
        self.refusals: list[Exception] = []
        self.finalize: Callable[[Worker], None] = whole
        self._started = asyncio.Event()

    async def start(self, spec: Any, **calls: Any) -> Any:
        if isinstance(spec, FinalizeSpec):
            worker = Worker(spec, calls)
            self.finalizers.append(worker)
            asyncio.get_running_loop().call_soon(self.finalize, worker)
            return worker
        if self.refusals:
            raise self.refusals.pop(0)
        worker = Worker(spec, calls)
        self.workers.append(worker)
        self._started.set()
        return worker

    async def worker(self, number: int) -> Worker:
        """The number-th that was started."""
        async with asyncio.timeout(PATIENCE):
            while len(self.workers) <= number:
                self._started.clear()
                await self._started.wait()
        return self.workers[number]


def whole(worker: Worker) -> None:
    """A finaliser that finds everything playable, 4 s long."""
    sizes = {name: (Path(worker.spec.directory) / name).stat().st_size for name in worker.spec.names}
    worker.report(Done(tuple(FileInfo(name, 0.0, 4.0, size) for name, size in sizes.items())))
    worker.end()


class Scene:
    """Everything of one node; `again` makes the next node on the same folder."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.server = Server()
        self.supervisor = Supervisor()
        self.has_room = True
        self.events = EventLog(store, EventBus())
        self.plane = Plane(
            server=self.server,  # type: ignore[arg-type]
            supervisor=self.supervisor,  # type: ignore[arg-type]
            store=store,
            events=self.events,
            storage=DiskStorage(folder / "storage"),
            links=Links(store.settings, random_bytes=os.urandom, wall=lambda: WALL, hours=1),
            guard=OutgoingGuard(OutgoingConfig(allow=("127.0.0.0/8",))),
            compose=ComposeConfig(),
            recording=RecordingConfig(),
            broadcast=BroadcastConfig(),
            work_dir=folder / "egress",
            wall=lambda: WALL + self.server.time,
            random_bytes=os.urandom,
            public_url="http://node.example",
        )
        self.egress = Egress(self.plane, max_restarts=2, has_room=lambda: self.has_room)
        self.server.listeners.append(self.egress.listen)
        self.project_id = ""

    async def open(self) -> Scene:
        self.project_id = (await self.store.first_key()).project_id
        await self.egress.look_back()
        return self

    def request(self, kind: Any = "room", **more: Any) -> RecordingRequest:
        if kind in ("room", "composite"):
            more.setdefault("composition", Composition())
        return RecordingRequest(self.project_id, ROOM, kind, "mp4", **more)

    async def recording(self, **more: Any) -> tuple[Recording, Worker]:
        """Somebody in the room, and a recording that has begun."""
        if ROOM not in self.server.conference.rooms:
            self.server.join("ada")
        row = await self.egress.start_recording(self.request(**more))
        worker = self.supervisor.workers[-1]
        worker.report(Started(WALL))
        await self.until(row.id, "recording")
        return row, worker

    async def until(self, row_id: str, *states: str) -> Recording:
        async with asyncio.timeout(PATIENCE):
            while True:
                row = await self.store.recordings.get(row_id)
                if row is not None and row.state in states:
                    return row
                await asyncio.sleep(0.01)

    async def ended(self, row_id: str) -> Recording:
        """Its last word is written, and its folder gone."""
        row = await self.until(row_id, "stopped", "failed")
        await eventually(lambda: row_id not in self.egress.book.recordings)
        return row

    async def told(self) -> list[str]:
        """Types of all events so far."""
        return [event.type for event in await self.store.events.after(self.project_id, 0, limit=1000)]


async def eventually(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if what():
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Callable[[], Any]]:
    """Call what it gives for a node; again for the next one, after the first was killed: its tasks are simply gone."""
    store = await open_store(f"sqlite+aiosqlite:///{folder / 'store.db'}", wall=lambda: WALL)
    scenes: list[Scene] = []

    async def begin() -> Scene:
        if scenes:
            await scenes[-1].egress.close()
            await scenes[-1].events.close()
        scenes.append(await Scene(store, folder).open())
        return scenes[-1]

    try:
        yield begin
    finally:
        for scene in scenes[-1:]:
            await scene.egress.close()
            await scene.events.close()
        await store.close()
