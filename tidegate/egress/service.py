"""The egress: commands on what leaves a meeting, and what follows from a meeting's events.

`tidegate/http/context.py` has the commands as a Protocol; HTTP, signalling and autoStartConfig call the same ones. A job's own
life is in recordings.py, broadcasts.py and merges.py, what comes before it in starting.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from media.errors import PeerError
from sfu.listener import ListenerEvent
from sfu.meeting.events import ParticipantLeft, RoomEnded, RoomEvent, RoomStarted
from sfu.meeting.participant import CloseReason
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
from tidegate.egress.starting import DISK_FULL, Starter, recording_of
from tidegate.store import Broadcast, Recording, Transcoding
from tidegate.store.media_models import LIVE, RECORDING, STARTING, STOPPING

log = logging.getLogger(__name__)

TEND_EVERY = 1.0  # seconds between writes of timelines
TOO_LONG = "it reached the longest time that this server records (compose.max_hours)"

AutoStart = Callable[[str], Awaitable[RecordingRequest | None]]
"""room_id -> the recording that the room's autoStartConfig asks for."""


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
            plane, self.book, max_restarts=max_restarts, has_room=has_room, mine=self._recorders.add
        )
        self._auto_start = auto_start
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lives: set[asyncio.Task[Any]] = set()  # of jobs
        self._starting: dict[str, asyncio.Lock] = {}  # by room: two starts at once must see each other

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
            self._end_with(event)
        elif isinstance(event, RoomEnded):
            self._do(self._end_session(event.session_id), "end of a session")
        elif isinstance(event, RoomStarted) and self._auto_start is not None:
            self._do(self._start_by_itself(event.room_id), "automatic start")

    def _end_with(self, event: ParticipantLeft) -> None:
        """What is recorded of one participant ends when they leave. Who takes their own place is still there."""
        room = self.starter.room(event.room_id)
        if room is None or room.ended is not None or event.reason is CloseReason.DUPLICATE_PARTICIPANT:
            return
        for job in tuple(self.book.recordings.values()):
            row = job.row
            is_theirs = (row.session_id, row.participant_id) == (event.session_id, event.participant_id)
            if is_theirs and row.kind in ("participant", "track"):
                self._do(job.stop(), "end of a participant's recording")

    async def _end_session(self, session_id: str) -> None:
        """Broadcasts are told of first, then recordings; each job tells by itself when it is over."""
        jobs = self.book.of_session(session_id)
        for job in jobs:
            job.run.stop()  # all at once: nobody's last frames wait for another's
        for job in jobs:
            await job.stop()

    async def _start_by_itself(self, room_id: str) -> None:
        assert self._auto_start is not None
        request = await self._auto_start(room_id)
        if request is None or self.starter.room(room_id) is None or self.book.of_room(room_id):
            return
        try:
            await self.start_recording(request)
        except PeerError as error:
            log.warning("the recording of room %s does not start by itself: %s", room_id, error.reason)

    # Recordings

    async def start_recording(self, request: RecordingRequest) -> Recording:
        async with self._lock(request.room_id):
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
            run.stop()
            raise
        chronicle = None
        if request.composition is not None:
            chronicle = Chronicle(self.plane.directory(run.what.spec.id), self.plane.wall)
            room = self.starter.room(row.room_id)
            if room is not None:
                chronicle.open(room, request.composition.look.layout)
        job = RecordingJob(self.plane, row, run, chronicle, shares_run=shares_run)
        self.book.recordings[row.id] = job
        self._begin(job, job.life(self._teller(row.room_id), lambda: self.book.broadcasts_over(row.session_id)))
        return row

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

    async def start_broadcast(self, request: BroadcastRequest) -> Broadcast:
        async with self._lock(request.room_id):
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
                run.stop()
                await job.abandon()
                raise
            self.book.broadcasts[job.id] = job
            self._begin(job, job.life(self._teller(job.row.room_id)))
            if job.row.recording_id is not None:
                await self._add_recording(recording_of(request), run, job.row.recording_id, shares_run=True)
            return job.row

    async def stop_broadcast(self, broadcast_id: str) -> Broadcast:
        row = await self._broadcast(broadcast_id).stop()
        self.book.tell_room(row.room_id)
        return row

    async def add_output(self, broadcast_id: str, target: BroadcastTarget) -> Broadcast:
        job = self._broadcast(broadcast_id)
        job.add_target(target)
        return await job.note_outputs()

    async def remove_output(self, broadcast_id: str, output_id: str) -> Broadcast:
        job = self._broadcast(broadcast_id)
        try:
            await job.remove_target(output_id)
        except KeyError:
            raise Refusal.UNKNOWN_TRACK("there is no such output") from None
        row = await job.note_outputs()
        self.book.tell_room(row.room_id)
        return row

    def _broadcast(self, broadcast_id: str) -> BroadcastJob:
        job = self.book.broadcasts.get(broadcast_id)
        if job is None or job.state not in (STARTING, LIVE, STOPPING):
            raise Refusal.STOP_LIVESTREAM_FAILED("this livestream has ended already")
        return job

    # How it looks

    async def update_composition(self, row_id: str, patch: CompositionPatch) -> Recording | Broadcast:
        job = self.book.recordings.get(row_id) or self.book.broadcasts.get(row_id)
        if job is None or job.state not in (STARTING, RECORDING, LIVE):
            raise Refusal.INVALID_RECORDING_CONFIG("it has ended: its picture does not change any more")
        scene = getattr(job.run.what.spec, "scene", None)
        if scene is None:
            raise Refusal.INVALID_RECORDING_CONFIG("it is recorded as it is published: there is no layout to change")
        images = patch.changes.get("images") or {}
        await asyncio.to_thread(scenes.write_pictures, job.run.directories, images)
        job.run.set_scene(scenes.patched(scene, patch.changes))
        if "layout" in patch.changes:
            for other in self.book.recordings.values():
                if other.run is job.run and other.chronicle is not None:
                    other.chronicle.layout(patch.changes["layout"])
        return await job.note_config(patch.config)

    # Merges

    async def start_merge(self, request: MergeRequest) -> Transcoding:
        self.starter.check_disk()
        return await self.merges.start(request)

    async def cancel_merge(self, transcoding_id: str) -> Transcoding:
        return await self.merges.cancel(transcoding_id)

    # Time, the disk, start and end of the node

    async def run(self) -> None:
        """Until cancelled: what a killed node left is finished, timelines are written."""
        self._do(recovery.finish_left_over(self), "recovery")
        while True:
            await asyncio.sleep(TEND_EVERY)
            for job in tuple(self.book.recordings.values()):
                if job.chronicle is not None:
                    try:
                        await job.chronicle.flush()
                    except OSError as error:
                        log.warning("the timeline of %s cannot be written: %s", job.id, error.strerror)

    async def note_disk_low(self) -> None:
        """What is recorded is ended while there is room to do it well."""
        for job in tuple(self.book.recordings.values()):
            owner = next((b for b in self.book.broadcasts.values() if b.run is job.run), job)
            await owner.stop(DISK_FULL)

    async def drain(self, timeout: float) -> None:
        """The rooms have ended: wait until what hangs on them is whole. What is not then, or is merged, waits for the next start."""
        if self._lives:
            await asyncio.wait(self._lives, timeout=timeout)
        for task in self._lives:
            log.warning("%s is not finished: the next start goes on with it", task.get_name())

    async def close(self) -> None:
        """Let go of what is left; the next start goes on with it."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Inside

    def _begin(self, job: RecordingJob | BroadcastJob, life: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.call_later(
            self.plane.compose.max_hours * 3600, lambda: self._do(job.stop(TOO_LONG), "longest recording")
        )
        task = self._do(self._live(job, life, limit), f"life of {job.id}")
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)
        self.book.tell_room(job.row.room_id)

    async def _live(self, job: RecordingJob | BroadcastJob, life: Coroutine[Any, Any, None], limit: asyncio.TimerHandle) -> None:
        try:
            await life
        finally:
            limit.cancel()
            self.book.remove(job)
            self.book.tell_room(job.row.room_id)

    def _teller(self, room_id: str) -> Callable[[], None]:
        return lambda: self.book.tell_room(room_id)

    def _lock(self, room_id: str) -> asyncio.Lock:
        if len(self._starting) > 1000:
            self._starting = {name: lock for name, lock in self._starting.items() if lock.locked()}
        return self._starting.setdefault(room_id, asyncio.Lock())

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
