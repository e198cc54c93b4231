"""The egress: commands on what leaves a meeting, and what follows from a meeting's events.

`tidegate/http/context.py` has the commands as a Protocol; HTTP, signalling and autoStartConfig call the same ones. A job's own
life is in recordings.py, broadcasts.py and merges.py, what comes before it in starting.py.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from media.errors import PeerError
from sfu.compose.messages import CompositionSpec
from sfu.listener import ListenerEvent
from sfu.meeting.events import ParticipantLeft, RoomEnded, RoomEvent, RoomStarted
from sfu.meeting.refusals import Refusal
from tidegate.egress import recovery, scenes
from tidegate.egress.broadcasts import BroadcastJob
from tidegate.egress.chronicle import Chronicle
from tidegate.egress.jobs import JobBook
from tidegate.egress.merges import Merges
from tidegate.egress.plane import Plane
from tidegate.egress.recordings import RecordingJob
from tidegate.egress.requests import (
    BroadcastRequest,
    BroadcastTarget,
    CompositionPatch,
    MergeRequest,
    RecordingRequest,
)
from tidegate.egress.run import Run
from tidegate.egress.starting import DISK_FULL, Starter, disk_refusal, recording_of
from tidegate.events.recovery import tell_ends
from tidegate.store import Broadcast, Recording, Session, Transcoding
from tidegate.store.media_models import LIVE, RECORDING, STARTING, STOPPING

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5  # seconds between looks at who still works, while the node ends
TEND_EVERY = 1.0  # seconds between writes of timelines
TOO_LONG = "it reached the longest time that this server records (compose.max_hours)"

AutoStart = Callable[[str], Awaitable[RecordingRequest | None]]
"""room_id -> the recording that the room's autoStartConfig asks for."""


def _to_its_end(command: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A command goes on when its caller goes away (an HTTP client that hangs up): nothing is left half-made."""

    @functools.wraps(command)
    async def carry_out(self: Egress, *arguments: Any) -> Any:
        task = asyncio.get_running_loop().create_task(command(self, *arguments), name=command.__name__)
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())  # seen, if the caller is not there to see it
        return await asyncio.shield(task)

    return carry_out


class Egress:
    """`listen` for the media shell, `run` for the application's task group, the rest for whoever commands."""

    def __init__(
        self, plane: Plane, *, max_restarts: int, auto_start: AutoStart | None = None, has_room: Callable[[], bool]
    ) -> None:
        self.plane = plane
        self.book = JobBook(plane.server)
        self.merges = Merges(plane, self._do)
        self._recorders: set[str] = set()  # inner ids of ours
        self.starter = Starter(
            plane, self.book, max_restarts=max_restarts, has_room=has_room, mine=self._recorders.add, spawn=self._do
        )
        self._auto_start = auto_start
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lives: set[asyncio.Task[Any]] = set()  # of jobs
        self._commands: set[asyncio.Task[Any]] = set()
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}  # by room: two starts at once must see each other
        self._draining = False
        self._left: recovery.LeftOver | None = None

    def is_recorder(self, inner_id: str) -> bool:
        """Whether a participant is one of ours, of whom nothing is kept."""
        return inner_id in self._recorders

    # The meeting plane's events

    def listen(self, event: object) -> None:
        if not isinstance(event, RoomEvent | ListenerEvent):
            return
        for run in tuple(self.book.runs):
            if run.what.room_id == event.room_id:
                run.handle(event)
        if isinstance(event, RoomEvent):
            for job in tuple(self.book.recordings.values()):
                if job.chronicle is not None and job.session_id == event.session_id:
                    job.chronicle.handle(event)
        if isinstance(event, ParticipantLeft):
            self._recorders.discard(event.inner_id)  # the last that is heard of it; the store's recorder has asked already
            for job in self.book.ending_with(event):
                self._do(job.stop(), "end of a participant's recording")
        elif isinstance(event, RoomEnded):
            self._do(self._end_session(event.session_id), "end of a session")
        elif isinstance(event, RoomStarted) and self._auto_start is not None:
            self._do(self._start_by_itself(event.room_id), "automatic start")

    async def _end_session(self, session_id: str) -> None:
        """Broadcasts are told of first, then recordings; each job tells by itself when it is over."""
        for job in self.book.of_session(session_id):
            try:
                await job.stop()  # their runs have heard of the end by themselves: nobody's last frames wait for another's
            except Exception:
                log.exception("the end of %s cannot be told", job.id)

    async def _start_by_itself(self, room_id: str) -> None:
        assert self._auto_start is not None
        request = await self._auto_start(room_id)
        if request is None or self.starter.room(room_id) is None:
            return
        try:
            await self.start_recording(request)
        except PeerError as error:
            log.warning("the recording of room %s does not start by itself: %s", room_id, error.reason)

    # Recordings

    @_to_its_end
    async def start_recording(self, request: RecordingRequest) -> Recording:
        async with self._turn(request.room_id):
            self.starter.check_disk()
            self.starter.check_recording(request)
            request = self.starter.name_participants(request)
            job_id = self.plane.new_id()
            run = self.starter.recording_run(request, job_id)
            images = request.composition.look.images if request.composition is not None else {}
            await self.starter.begin(run, images, Refusal.START_RECORDING_FAILED)
            return await self._add_recording(request, run, job_id, shares_run=False)

    async def _add_recording(self, request: RecordingRequest, run: Run, job_id: str, *, shares_run: bool) -> Recording:
        """The run has its seat: now the row, and its life."""
        try:
            row = await self.starter.add_recording(request, run, job_id)
        except BaseException:
            if shares_run:
                run.stop()
            else:
                self._take_back(run)
            raise
        chronicle = None
        if request.composition is not None:
            chronicle = Chronicle(self.plane.directory(run.what.spec.id), self.plane.wall)
            room = self.starter.room(row.room_id)
            if room is not None:
                chronicle.open(room, request.composition.look.layout)
        job = RecordingJob(self.plane, row, run, chronicle, shares_run=shares_run)
        self.book.recordings[row.id] = job
        if not shares_run:
            self.book.begun(run)
        self._begin(job, job.life(self._teller(row.room_id), lambda: self.book.broadcasts_over(row.session_id)))
        return row

    @_to_its_end
    async def stop_recording(self, recording_id: str) -> Recording:
        job = self.book.recordings.get(recording_id)
        if job is None or job.state not in (STARTING, RECORDING, STOPPING):
            raise Refusal.STOP_RECORDING_FAILED("this recording has ended already")
        if job.shares_run:
            raise Refusal.STOP_RECORDING_FAILED("it is made alongside a livestream and ends with it: end the livestream")
        row = await job.stop()
        self.book.tell_room(row.room_id)
        return row

    # Broadcasts

    @_to_its_end
    async def start_broadcast(self, request: BroadcastRequest) -> Broadcast:
        async with self._turn(request.room_id):
            if request.record:
                self.starter.check_disk()
            self.starter.check_broadcast(request)
            job = BroadcastJob(self.plane, self.plane.new_id())
            try:
                for target in request.targets:
                    job.check_target(target)
                run = job.run = self.starter.broadcast_run(request, job.id, job)
                await self.starter.begin(run, request.composition.look.images, Refusal.START_LIVESTREAM_FAILED)
            except BaseException:
                await job.abandon()
                raise
            try:
                for target in request.targets:
                    job.add_target(target)
                job.row = await self.starter.add_broadcast(job, request, run)
            except BaseException:
                self._take_back(run)
                await job.abandon()
                raise
            self.book.broadcasts[job.id] = job
            self._begin(job, job.life(self._teller(job.row.room_id)))
            try:
                if job.row.recording_id is not None:
                    await self._add_recording(recording_of(request), run, job.row.recording_id, shares_run=True)
            finally:
                self.book.begun(run)
            return job.row

    def _take_back(self, run: Run) -> None:
        self.book.drop_run(run)
        self.starter.take_back(run)

    @_to_its_end
    async def stop_broadcast(self, broadcast_id: str) -> Broadcast:
        row = await self._broadcast(broadcast_id, STARTING, LIVE, STOPPING).stop()
        self.book.tell_room(row.room_id)
        return row

    @_to_its_end
    async def add_output(self, broadcast_id: str, target: BroadcastTarget) -> Broadcast:
        job = self._broadcast(broadcast_id, STARTING, LIVE)
        job.add_target(target)
        return await job.note_outputs()

    @_to_its_end
    async def remove_output(self, broadcast_id: str, output_id: str) -> Broadcast:
        job = self._broadcast(broadcast_id, STARTING, LIVE)
        try:
            await job.remove_target(output_id)
        except KeyError:
            raise Refusal.UNKNOWN_TRACK("there is no such output") from None
        row = await job.note_outputs()
        self.book.tell_room(row.room_id)
        return row

    def _broadcast(self, broadcast_id: str, *states: str) -> BroadcastJob:
        job = self.book.broadcasts.get(broadcast_id)
        if job is None or job.state not in states:
            raise Refusal.STOP_LIVESTREAM_FAILED("this livestream has ended already")
        return job

    # How it looks

    @_to_its_end
    async def update_composition(self, row_id: str, patch: CompositionPatch) -> Recording | Broadcast:
        job = self.book.recordings.get(row_id) or self.book.broadcasts.get(row_id)
        if job is None or job.state not in (STARTING, RECORDING, LIVE):
            raise Refusal.INVALID_RECORDING_CONFIG("it has ended: its picture does not change any more")
        spec = job.run.what.spec
        if not isinstance(spec, CompositionSpec):
            raise Refusal.INVALID_RECORDING_CONFIG("it is recorded as it is published: there is no layout to change")
        images = patch.changes.get("images") or {}
        try:
            await asyncio.to_thread(scenes.write_pictures, job.run.directories, images)
        except OSError as error:
            raise disk_refusal(error, Refusal.INVALID_RECORDING_CONFIG) from None
        job.run.change_scene(patch.changes)
        if "layout" in patch.changes:
            for other in self.book.recordings.values():
                if other.run is job.run and other.chronicle is not None:
                    other.chronicle.layout(patch.changes["layout"])
        return await job.note_config(patch.config)

    # Merges

    @_to_its_end
    async def start_merge(self, request: MergeRequest) -> Transcoding:
        self._check_open()
        self.starter.check_disk()
        return await self.merges.start(request)

    @_to_its_end
    async def cancel_merge(self, transcoding_id: str) -> Transcoding:
        return await self.merges.cancel(transcoding_id)

    # Time, the disk, start and end of the node

    async def look_back(self) -> None:
        """See what the last node left, before anything of this one is there to be taken for it."""
        self._left = await recovery.look(self.plane)

    def go_on(self, job: RecordingJob, life: Coroutine[Any, Any, None]) -> None:
        """With a recording that the last node left."""
        self.book.recordings[job.id] = job
        self._own(job, life)

    def tell_end(self, session: Session) -> None:
        """Of one that ended with the last node."""
        self._do(tell_ends(self.plane.events, [session]), "end of a session")

    async def run(self) -> None:
        """Until cancelled: what a killed node left is finished, timelines are written."""
        if self._left is not None:
            self._do(recovery.finish_left_over(self, self._left), "recovery")
            self._left = None
        while True:
            await asyncio.sleep(TEND_EVERY)
            for job in tuple(self.book.recordings.values()):
                if job.chronicle is not None:
                    try:
                        await job.chronicle.flush()
                    except OSError as error:
                        log.warning("the timeline of %s cannot be written: %s", job.id, error.strerror)

    async def note_disk_low(self) -> None:
        """What is recorded is ended while there is room to do it well. Called as long as there is little."""
        for job in tuple(self.book.recordings.values()):
            if job.run is None or job.run.is_stopping:
                continue
            owner = next((b for b in self.book.broadcasts.values() if b.run is job.run), job)
            job.run.stop()
            self._do(owner.stop(DISK_FULL), f"end of {owner.id}")  # the database may be on the same disk

    async def drain(self, timeout: float) -> None:
        """The rooms have ended: wait until what hangs on them is whole. What is not then, or is merged, waits for the next start."""
        self._draining = True
        if self._commands:
            await asyncio.wait(self._commands, timeout=timeout)
        for run in tuple(self.book.runs):
            run.stop()  # of a start that was under way
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while (working := self._lives - self.plane.pausing) and loop.time() < end:
            await asyncio.wait(working, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
        for task in self._lives:
            log.warning("%s is not finished: the next start goes on with it", task.get_name())

    async def close(self) -> None:
        """Let go of what is left; the next start goes on with it."""
        self._draining = True
        self.book.close()
        for run in tuple(self.book.runs):
            run.abandon()
        while tasks := (*self._commands, *self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # Inside

    def _begin(self, job: RecordingJob | BroadcastJob, life: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.call_later(
            self.plane.compose.max_hours * 3600, lambda: self._do(job.stop(TOO_LONG), "longest recording")
        )
        self._own(job, life).add_done_callback(lambda _: limit.cancel())
        self.book.tell_room(job.row.room_id)
        if job.run is not None and job.run.is_stopping:
            self._do(job.stop(), f"end of {job.id}")  # the room ended before the row was written

    def _own(self, job: RecordingJob | BroadcastJob, life: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        task = self._do(self._live(job, life), f"life of {job.id}")
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)
        return task

    async def _live(self, job: RecordingJob | BroadcastJob, life: Coroutine[Any, Any, None]) -> None:
        try:
            await life
        finally:
            self.book.remove(job)
            self.book.tell_room(job.row.room_id)

    def _teller(self, room_id: str) -> Callable[[], None]:
        return lambda: self.book.tell_room(room_id)

    @asynccontextmanager
    async def _turn(self, room_id: str) -> AsyncIterator[None]:
        """Of a start in a room. SERVER_BUSY when the node ends."""
        lock, users = self._turns.get(room_id, (asyncio.Lock(), 0))
        self._turns[room_id] = lock, users + 1
        try:
            async with lock:
                self._check_open()
                yield
        finally:
            lock, users = self._turns.pop(room_id)
            if users > 1:
                self._turns[room_id] = lock, users - 1

    def _check_open(self) -> None:
        if self._draining:
            raise Refusal.SERVER_BUSY("the server shuts down")

    def _do(self, work: Coroutine[Any, Any, Any], what: str) -> asyncio.Task[Any]:
        """A task of ours; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)
