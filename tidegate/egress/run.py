"""A pipeline of a room from start to end: its worker, its seat, and what is done when the worker dies.

What it is for (a recording, a broadcast) is its owner's matter: here it has a spec, files and an outcome.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from media.errors import PeerError
from sfu.compose.messages import (
    CompositionSpec,
    Done,
    Failed,
    FileFailed,
    FileInfo,
    FileOpened,
    PicturesWanted,
    Progress,
    Scene,
    SceneChanged,
    Started,
    TrackFileSpec,
    Warned,
)
from sfu.listener import ListenerEvent
from sfu.meeting.events import RoomEvent
from tidegate.egress.plane import Plane
from tidegate.egress.seat import Choice, Seat
from tidegate.workers.handle import Exit, Worker
from tidegate.workers.restart import RestartPolicy

log = logging.getLogger(__name__)

GONE = "the media worker ended too often; what was recorded until then is kept"


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that is whole, and where it is."""

    path: Path
    info: FileInfo


@dataclass(frozen=True, slots=True)
class Outcome:
    """`gaps` are Unix seconds in which nothing was recorded. `error`: words for people."""

    files: tuple[MadeFile, ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    error: str | None = None


@dataclass(slots=True)
class _Attempt:
    directory: Path
    worker: Worker | None = None
    seat: Seat | None = None
    files: tuple[FileInfo, ...] | None = None  # None: it has not told, they are to be found
    began: float | None = None
    ended: float | None = None


@dataclass(slots=True)
class RunSpec:
    """`spec.directory` is the job's folder; each attempt gets one in it."""

    spec: CompositionSpec | TrackFileSpec
    kind: str
    cost: float
    room_id: str
    choose: Choice | None = None
    hold_seconds: float = 0.0
    restarts: bool = True
    on_flv: Callable[[bytes], None] | None = None
    on_begin: Callable[[], None] | None = None
    """Told before each attempt's worker starts."""
    mine: Callable[[str], None] = field(default=lambda inner_id: None)


class Run:
    """`start`, then `stop`; `started` is done with the Unix time of media time zero, `finished` with the outcome."""

    def __init__(self, plane: Plane, what: RunSpec, *, max_restarts: int) -> None:
        self.what = what
        self.progress: Progress | None = None
        self.is_stopping = False
        self.restarts = 0
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[float] = loop.create_future()
        self.finished: asyncio.Future[Outcome] = loop.create_future()
        self._plane = plane
        self._policy = RestartPolicy(max_restarts if what.restarts else 0)
        self._attempts: list[_Attempt] = []
        self._error: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> str:
        seat = self._attempts[0].seat
        assert seat is not None
        return seat.session_id

    @property
    def directories(self) -> list[Path]:
        """The job's folder and the present worker's: where pictures have to be."""
        return [Path(self.what.spec.directory), self._attempts[-1].directory]

    @property
    def state(self) -> str:
        if self.finished.done():
            return "ended"
        return "stopping" if self.is_stopping else "running" if self.started.done() else "starting"

    async def start(self) -> None:
        """PeerError (no room for another worker, no such room) leaves nothing behind."""
        await self._attempt(restarted=False)

    def stop(self) -> None:
        """Ask for an orderly end. Again is harmless."""
        self.is_stopping = True
        worker = self._attempts[-1].worker
        if worker is not None:
            worker.stop()

    def handle(self, event: RoomEvent | ListenerEvent) -> None:
        seat = self._attempts[-1].seat if self._attempts else None
        if seat is not None:
            seat.handle(event)

    def set_scene(self, scene: Scene) -> None:
        """How the picture looks from now on, in this attempt and those to come."""
        self.what.spec = replace(self.what.spec, scene=scene)
        worker = self._attempts[-1].worker
        if worker is not None:
            worker.send(SceneChanged(scene))

    async def _attempt(self, *, restarted: bool) -> None:
        plane, what = self._plane, self.what
        number = len(self._attempts) + 1
        attempt = _Attempt(Path(what.spec.directory) / str(number))
        await asyncio.to_thread(attempt.directory.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(_share_pictures, Path(what.spec.directory), attempt.directory)
        if what.on_begin is not None:
            what.on_begin()
        worker = await plane.supervisor.start(
            replace(what.spec, directory=str(attempt.directory)),
            kind=what.kind,
            cost=what.cost,
            on_report=lambda report: self._on_report(attempt, report),
            on_exit=lambda exit: self._on_exit(attempt, exit),
            on_rtcp=lambda data: attempt.seat.receive_rtcp(data) if attempt.seat is not None else None,
            on_flv=what.on_flv,
            restarted=restarted,
        )
        attempt.worker = worker
        attempt.seat = Seat(plane.server, worker, choose=what.choose, hold_seconds=what.hold_seconds)
        self._attempts.append(attempt)
        try:
            attempt.seat.open(what.room_id, mine=what.mine)
        except PeerError:
            if not restarted:
                self._attempts.pop()
            worker.kill()
            raise
        if self.is_stopping:
            worker.stop()

    def _on_report(self, attempt: _Attempt, report: Any) -> None:
        match report:
            case Started():
                attempt.began = report.at
                if not self.started.done():
                    self.started.set_result(report.at)
            case FileOpened():
                attempt.began = attempt.began or report.at
            case Progress():
                self.progress = report
            case PicturesWanted():
                if attempt.seat is not None:
                    attempt.seat.show_only(report.track_ids)
            case FileFailed():
                self._error = report.text
                log.error("pipeline %s: %s cannot be written: %s", self.what.spec.id, report.name, report.text)
            case Warned():
                log.warning("pipeline %s: %s", self.what.spec.id, report.text)
            case Done():
                attempt.files = report.files
            case Failed():
                attempt.files = report.files or None
                self._error = report.text

    def _on_exit(self, attempt: _Attempt, exit: Exit) -> None:
        attempt.ended = self._plane.wall()
        if attempt not in self._attempts:
            return  # it never got its seat: start() has told
        before = self._attempts[-2] if len(self._attempts) > 1 and self._attempts[-1] is attempt else None
        if before is not None and before.seat is not None:
            before.seat.close()
        delay = None
        if exit.reason not in ("done", "failed"):
            self._error = exit.text
            delay = None if self.is_stopping else self._policy.next_delay(self._plane.server.now())
        self._task = asyncio.get_running_loop().create_task(
            self._finish() if delay is None else self._begin_again(attempt, delay), name=f"pipeline {self.what.spec.id}"
        )

    async def _begin_again(self, attempt: _Attempt, delay: float) -> None:
        """The room's recorder stays until the next one sits: it may hold the room open."""
        log.warning("pipeline %s begins again in %.1f s", self.what.spec.id, delay)
        await asyncio.sleep(delay)
        self.restarts += 1
        try:
            if not self.is_stopping:
                await self._attempt(restarted=True)
                if attempt.seat is not None:
                    attempt.seat.close()
                self._error = None
                return
        except PeerError as error:
            self._error = error.reason
        except OSError as error:
            self._error = f"the disk refuses: {error.strerror}"
        await self._finish()

    async def _finish(self) -> None:
        for attempt in self._attempts:
            if attempt.seat is not None:
                attempt.seat.close()
        files: list[MadeFile] = []
        for attempt in self._attempts:
            if attempt.files is None:
                attempt.files = await self._plane.finalize(self.what.spec.id, attempt.directory)
            files += (MadeFile(attempt.directory / info.name, info) for info in attempt.files)
        if not self.started.done():
            self.started.cancel()
        self.finished.set_result(Outcome(tuple(files), tuple(self._gaps()), self._error))

    def _gaps(self) -> list[tuple[float, float]]:
        """From the end of what an attempt wrote to the beginning of the next one's first frame."""
        found = []
        for earlier, later in zip(self._attempts, self._attempts[1:], strict=False):
            written = [info.start + info.duration for info in earlier.files or ()]
            begin = max(written) if written else earlier.began or earlier.ended
            if begin is not None and later.began is not None and later.began > begin:
                found.append((begin, later.began))
        return found


def _share_pictures(job: Path, attempt: Path) -> None:
    """Pictures that a scene names lie in the job's folder; each attempt finds them in its own. Blocking."""
    for path in job.iterdir():
        if path.is_file() and path.suffix in (".png", ".jpg", ".jpeg", ".webp"):
            target = attempt / path.name
            if not target.exists():
                target.hardlink_to(path)
