"""What every job of the egress works with, and the ids and folders it uses."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from media.ids import RandomBytes, document_id
from sfu.compose.messages import EncoderSpec, FileInfo, FinalizeSpec
from sfu.io.udp import MediaServer
from tidegate.config.egress import BroadcastConfig, ComposeConfig, RecordingConfig
from tidegate.events.log import EventLog, NewEvent
from tidegate.outgoing import OutgoingGuard
from tidegate.storage import Storage
from tidegate.storage.links import Links
from tidegate.store import Store
from tidegate.store.away import is_away
from tidegate.store.events import Change
from tidegate.workers import budget
from tidegate.workers.budget import WorkersBusy
from tidegate.workers.supervisor import Supervisor

log = logging.getLogger(__name__)

T = TypeVar("T")

STORE_PAUSE, LONGEST_STORE_PAUSE = 1.0, 30.0  # seconds between attempts to write what has happened
BUSY_PAUSE = 5.0  # seconds until a file that waits for a free worker asks again
FINALIZE_TRIES = 2  # a worker that dies of a file does so again; then the file stays in fragments, which play too
OPENINGS = "openings.jsonl"  # beside a worker's files: when each began, which the files do not say
MEDIA_SUFFIXES = (".mp4", ".webm", ".m4a", ".mp3")


async def _nothing() -> None:
    pass


@dataclass(slots=True)
class Plane:
    """`wall` is Unix seconds. `work_dir` holds a folder for each running job; what is finished leaves it for the storage."""

    server: MediaServer
    supervisor: Supervisor
    store: Store
    events: EventLog
    storage: Storage
    links: Links
    guard: OutgoingGuard
    compose: ComposeConfig
    recording: RecordingConfig
    broadcast: BroadcastConfig
    work_dir: Path
    wall: Callable[[], float]
    random_bytes: RandomBytes
    public_url: str = ""
    """Start of the links in webhooks, where no request says how this server is reached."""
    flush: Callable[[], Awaitable[None]] = _nothing
    """Waits until what the meeting plane told so far is in the store: a session's start is told before what begins in it."""
    bytes_recorded: int = field(default=0, init=False)
    pausing: set[asyncio.Task[Any] | None] = field(default_factory=set, init=False)
    """Tasks that are in `pause`."""

    def new_id(self) -> str:
        return document_id(self.random_bytes)

    def wall_ms(self) -> int:
        return int(self.wall() * 1000)

    def directory(self, job_id: str) -> Path:
        """The job's folder; not made yet."""
        return self.work_dir / job_id

    async def persist(self, *events: NewEvent, change: Change[T]) -> T:
        """`events.write` of what has happened, asked for or not: tried again while the database is away or its disk full."""
        pause = STORE_PAUSE
        while True:
            try:
                return await self.events.write(*events, change=change)
            except Exception as error:
                if not is_away(error):
                    raise
                log.error("what a job came to cannot be kept (%s); trying again in %.0f s", _words(error), pause)
            await self.pause(pause)
            pause = min(LONGEST_STORE_PAUSE, pause * 2)

    async def pause(self, seconds: float) -> None:
        """Between attempts at what the next start could go on with as well: a node that ends does not wait for it."""
        task = asyncio.current_task()
        self.pausing.add(task)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.pausing.discard(task)

    async def forget(self, job_id: str) -> None:
        """Everything of it is in the storage."""
        await asyncio.to_thread(shutil.rmtree, self.directory(job_id), ignore_errors=True)

    def encoder(self) -> EncoderSpec:
        compose = self.compose
        return EncoderSpec(
            video=compose.encoder,
            preset=compose.preset,
            video_bps=compose.video_kbps * 1000,
            audio_bps=compose.audio_kbps * 1000,
        )

    async def finalize(self, job_id: str, directory: Path) -> tuple[FileInfo, ...]:
        """Make whole what a dead worker left in `directory`. Waits for a free worker; empty when nothing can be read."""
        try:
            names, starts = await asyncio.to_thread(_look, directory)
        except OSError as error:
            log.error("what is left of %s cannot be read: %s", job_id, error.strerror)
            return ()
        if not names:
            return ()
        found: dict[str, FileInfo] = {}
        for _ in range(FINALIZE_TRIES):
            missing = tuple(name for name in names if name not in found)
            files, told = await self._finalize_once(FinalizeSpec(f"{job_id}-finalize", str(directory), missing))
            found |= {info.name: info for info in files}
            if told:
                break
        else:
            log.error("files of %s stay in fragments: media workers end while they make them whole", job_id)
            found |= {name: await asyncio.to_thread(_as_it_is, directory / name) for name in names if name not in found}
        began = [starts.get(name, starts.get("", 0.0)) for name in names]
        return tuple(replace(found[name], start=at) for name, at in zip(names, began, strict=True) if name in found)

    async def _finalize_once(self, spec: FinalizeSpec) -> tuple[list[FileInfo], bool]:
        """The files, and whether the worker said that these are all."""
        reports: list[FileInfo] = []
        while True:
            try:
                worker = await self.supervisor.start(
                    spec,
                    kind="finalize",
                    cost=budget.finalize_cost(),
                    on_report=lambda report: reports.extend(getattr(report, "files", ())),
                    on_exit=lambda exit: None,
                )
                break
            except WorkersBusy:
                await asyncio.sleep(BUSY_PAUSE)
        exit = await worker.wait()
        return reports, exit.reason in ("done", "failed")


def _look(directory: Path) -> tuple[tuple[str, ...], dict[str, float]]:
    """The media files, and when they began, as far as it was noted. Blocking."""
    starts: dict[str, float] = {}
    journal = directory / OPENINGS
    if journal.is_file():
        for line in journal.read_bytes().splitlines():
            try:
                fact = json.loads(line)
                starts.setdefault(fact["name"], float(fact["at"]))
            except (ValueError, KeyError, TypeError):
                continue  # the last line of a killed node
    return media_files(directory), starts


def _as_it_is(path: Path) -> FileInfo:
    """Blocking. How long it lasts nobody could say."""
    return FileInfo(path.name, 0.0, 0.0, path.stat().st_size)


def media_files(directory: Path) -> tuple[str, ...]:
    """Names of what a worker wrote. Blocking."""
    if not directory.is_dir():
        return ()
    found = (path for path in sorted(directory.iterdir()) if path.suffix in MEDIA_SUFFIXES and path.is_file())
    return tuple(path.name for path in found if path.stat().st_size > 0)


def _words(error: Exception) -> str:
    """Without the statement and its values, which SQLAlchemy's words have."""
    return str(getattr(error, "orig", None) or error)
