"""A pipeline of a room from start to end: its worker, its seat, and what is done when the worker dies.

What it is for (a recording, a broadcast) is its owner's matter: here it has a spec, files and an outcome.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
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
    SceneChanged,
    Started,
    TrackFileSpec,
    Warned,
)
from sfu.listener import ListenerEvent, ListenerFailed
from sfu.meeting.events import ParticipantLeft, RoomEnding, RoomEvent
from sfu.meeting.refusals import Refusal
from tidegate.egress.plane import OPENINGS, Plane
from tidegate.egress.scenes import patched
from tidegate.egress.seat import Choice, Seat
from tidegate.workers.budget import WorkersBusy
from tidegate.workers.handle import Exit, Worker
from tidegate.workers.restart import RestartPolicy

log = logging.getLogger(__name__)

MANY_LEFT_OUT = 0.1  # of a composition's pictures; fewer are hardly seen
GONE = "the media worker ended too often; what was recorded until then is kept"

Spawn = Callable[[Coroutine[Any, Any, Any], str], "asyncio.Task[Any]"]
"""Makes a task that somebody owns: whose failure is logged, and which ends when the node does."""


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
    began: float | None = None  # Unix time of the first frame


@dataclass(slots=True)
class RunSpec:
    """`spec.directory` is the job's folder; each attempt gets one in it."""

    spec: CompositionSpec | TrackFileSpec
    kind: str
    cost: float
    room_id: str
    session_id: str | None = None
    """The session that it was asked for in; None: whichever it opens."""
    choose: Choice | None = None
    hold_seconds: float = 0.0
    restarts: bool = True
    on_flv: Callable[[bytes], None] | None = None
    on_begin: Callable[[], None] | None = None
    """Told before each attempt's worker starts."""
    mine: Callable[[str], None] = field(default=lambda inner_id: None)


class Run:
    """`start`, then `stop`; `started` is done with the Unix time of media time zero, `finished` with the outcome."""

    def __init__(self, plane: Plane, what: RunSpec, *, max_restarts: int, spawn: Spawn) -> None:
        self.what = what
        self.progress: Progress | None = None
        self.restarts = 0
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[float] = loop.create_future()
        self.finished: asyncio.Future[Outcome] = loop.create_future()
        self._plane = plane
        self._policy = RestartPolicy(max_restarts if what.restarts else 0)
        self._spawn = spawn
        self._attempts: list[_Attempt] = []
        self._error: str | None = None
        self._stopping = asyncio.Event()
        self._abandoned = False

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def session_id(self) -> str | None:
        """Of the room it sits in, or is to sit in."""
        seat = self._attempts[0].seat if self._attempts else None
        return (seat.session_id if seat is not None else None) or self.what.session_id

    @property
    def directories(self) -> list[Path]:
        """The job's folder and the present worker's: where pictures have to be."""
        return [Path(self.what.spec.directory), self._attempts[-1].directory]

    async def start(self) -> None:
        """PeerError (no room for another worker, no such room) leaves nothing behind."""
        await self._attempt(restarted=False)

    def stop(self) -> None:
        """Ask for an orderly end. Again is harmless."""
        self._stopping.set()
        worker = self._attempts[-1].worker if self._attempts else None
        if worker is not None:
            worker.stop()

    def abandon(self) -> None:
        """The node ends: what becomes of the worker from now on is the next start's matter."""
        self._abandoned = True

    def handle(self, event: RoomEvent | ListenerEvent) -> None:
        """Without its seat it ends: the room has ended, or an operator put the recorder out."""
        attempt = self._attempts[-1] if self._attempts else None
        if attempt is None or attempt.seat is None or attempt.seat.inner_id is None:
            return
        match event:
            case ListenerFailed(inner_id=attempt.seat.inner_id):
                log.error("pipeline %s gets no media any more: %s", self.what.spec.id, event.reason)
                attempt.seat.close()
                if attempt.worker is not None:
                    attempt.worker.kill("crashed", "media could not be handed to the worker")
            case RoomEnding(session_id=attempt.seat.session_id):
                self.stop()  # before those who leave are told: the last picture has them
            case ParticipantLeft(inner_id=attempt.seat.inner_id):
                self.stop()
        attempt.seat.handle(event)

    def change_scene(self, changes: Mapping[str, Any]) -> None:
        """How the picture of a composition looks from now on, in this attempt and those to come: fields of Look."""
        assert isinstance(self.what.spec, CompositionSpec)
        scene = patched(self.what.spec.scene, changes)
        self.what.spec = replace(self.what.spec, scene=scene)
        worker = self._attempts[-1].worker
        if worker is not None:
            worker.send(SceneChanged(scene))

    async def _attempt(self, *, restarted: bool) -> bool:
        """False: there is no point in it any more."""
        plane, what = self._plane, self.what
        attempt = _Attempt(Path(what.spec.directory) / str(len(self._attempts) + 1))
        await asyncio.to_thread(_make_folder, Path(what.spec.directory), attempt.directory)
        if restarted and self.is_stopping:
            return False
        if not self._may_join():
            raise Refusal.INVALID_MEETING_ID("the meeting has just ended")
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
        except BaseException:
            self._attempts.remove(attempt)  # its worker's end is nobody's
            attempt.seat.close()
            worker.kill()
            raise
        if self.is_stopping:
            worker.stop()
        return True

    def _may_join(self) -> bool:
        """Joining a room that has ended would open it again, as another session."""
        room = self._plane.server.conference.rooms.get(self.what.room_id)
        return self.session_id is None or (
            room is not None and room.ended is None and room.session_id == self.session_id
        )

    def _on_report(self, attempt: _Attempt, report: Any) -> None:
        match report:
            case Started():
                attempt.began = report.at
                self._note_opening(attempt, "", report.at)
                if not self.started.done():
                    self.started.set_result(report.at)
            case FileOpened():
                attempt.began = attempt.began or report.at
                self._note_opening(attempt, report.name, report.at)
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

    def _note_opening(self, attempt: _Attempt, name: str, at: float) -> None:
        """For whoever finds the file without its worker, perhaps after a restart of the node."""
        path = attempt.directory / OPENINGS
        self._spawn(asyncio.to_thread(_append, path, {"name": name, "at": at}), f"opening of {self.what.spec.id}")

    def _on_exit(self, attempt: _Attempt, exit: Exit) -> None:
        if attempt not in self._attempts or self._abandoned:
            return
        delay = None
        if exit.reason not in ("done", "failed"):
            self._error = exit.text
            if not self.is_stopping:
                delay = self._policy.next_delay(self._plane.server.now())
                self._error = GONE if delay is None and self.restarts else exit.text
        self._spawn(self._finish() if delay is None else self._begin_again(delay), f"pipeline {self.what.spec.id}")

    async def _begin_again(self, delay: float | None) -> None:
        """The room's recorder stays until the next one sits: it may hold the room open."""
        former = self._attempts[-1]
        while delay is not None:
            log.warning("pipeline %s begins again in %.1f s", self.what.spec.id, delay)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            self.restarts += 1
            delay = None
            try:
                if await self._attempt(restarted=True):
                    if former.seat is not None:
                        former.seat.close()
                    self._error = None
                    return
            except WorkersBusy as error:
                self._error = error.reason
                delay = self._policy.next_delay(self._plane.server.now())
            except PeerError as error:
                self._error = error.reason
            except OSError as error:
                self._error = f"the disk refuses: {error.strerror}"
            except Exception:
                log.exception("pipeline %s cannot begin again", self.what.spec.id)
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
        self.finished.set_result(Outcome(tuple(files), tuple(self._gaps()), self._error or self._left_out()))

    def _left_out(self) -> str | None:
        """What the picture suffered from a machine that was too slow for it, if that can be seen."""
        progress = self.progress
        due = progress.frames + progress.dropped if progress is not None else 0
        if progress is None or progress.dropped <= MANY_LEFT_OUT * due:
            return None
        log.warning("pipeline %s left out %d of %d pictures", self.what.spec.id, progress.dropped, due)
        return f"the server was too busy: {progress.dropped} of {due} pictures were left out"

    def _gaps(self) -> list[tuple[float, float]]:
        """From the end of what is on a file to the first frame of the next file."""
        found: list[tuple[float, float]] = []
        end: float | None = None
        for attempt in self._attempts:
            if attempt.began is None:
                continue
            end = attempt.began if end is None else end
            if not attempt.files:
                continue
            if attempt.began > end:
                found.append((end, attempt.began))
            end = max(info.start + info.duration for info in attempt.files)
        return found


def _append(path: Path, fact: dict[str, Any]) -> None:
    """Blocking."""
    with suppress(OSError), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(fact) + "\n")


def _make_folder(job: Path, attempt: Path) -> None:
    """Blocking."""
    attempt.mkdir(parents=True, exist_ok=True)
    _share_pictures(job, attempt)


def _share_pictures(job: Path, attempt: Path) -> None:
    """Pictures that a scene names lie in the job's folder; each attempt finds them in its own. Blocking."""
    for path in job.iterdir():
        if path.is_file() and path.suffix in (".png", ".jpg", ".jpeg", ".webp"):
            target = attempt / path.name
            if not target.exists():
                target.hardlink_to(path)
