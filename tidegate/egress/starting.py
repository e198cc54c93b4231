"""What has to be looked at and made before a job begins: may it, with which pipeline, from which row."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from media.errors import PeerError
from sfu.compose.messages import CompositionSpec
from sfu.meeting.participant import Mode
from sfu.meeting.refusals import Refusal
from sfu.meeting.room import Room
from tidegate.egress import names, scenes
from tidegate.egress.broadcasts import BroadcastJob
from tidegate.egress.jobs import JobBook
from tidegate.egress.plane import Plane
from tidegate.egress.recordings import RecordingJob, composition_spec, track_spec
from tidegate.egress.requests import BroadcastRequest, Chosen, RecordingRequest
from tidegate.egress.run import Run, RunSpec, Spawn
from tidegate.egress.seat import Choice
from tidegate.events.log import NewEvent
from tidegate.storage import DiskFull
from tidegate.store import Broadcast, Recording
from tidegate.store.media_models import RUNNING_STATES, STARTING
from tidegate.workers import budget

MAX_COMPOSITE = 3  # participants of a composite recording that names none, as the reference
SHORTEST_HOLD = 0.1  # seconds: a room that nothing holds would not end if nobody ever came
MIN_SOURCES = 4  # people that a composition is admitted for at least: they come while it runs
DISK_FULL = "the disk is almost full"


class Starter:
    """Runs and rows of new jobs. Every refusal comes before anything is begun."""

    def __init__(
        self,
        plane: Plane,
        book: JobBook,
        *,
        max_restarts: int,
        has_room: Callable[[], bool],
        mine: Callable[[str], None],
        spawn: Spawn,
    ) -> None:
        """`has_room`: whether the disk has; `mine` is told the inner id of each recorder that joins; `spawn` owns tasks."""
        self._has_room = has_room
        self._plane = plane
        self._book = book
        self._max_restarts = max_restarts
        self._mine = mine
        self._spawn = spawn

    def room(self, room_id: str) -> Room | None:
        """The live one."""
        return self._plane.server.conference.rooms.get(room_id)

    # May it?

    def check_disk(self) -> None:
        if not self._has_room():
            raise DiskFull(f"{DISK_FULL}: nothing new is recorded until there is room")

    def check_recording(self, request: RecordingRequest) -> None:
        """One of a kind at a time, and somebody to record."""
        same = [
            job
            for job in self._book.of_room(request.room_id)
            if isinstance(job, RecordingJob)
            and job.state in RUNNING_STATES  # where its file goes meanwhile, perhaps for hours, is no concern of the next one
            and (job.row.kind, job.row.participant_id, job.row.track_kind)
            == (request.kind, request.participant_id, request.track_kind)
        ]
        if same and not (request.several and request.kind in ("room", "composite")):
            raise Refusal.PREV_RECORDING_PROCESSING("such a recording runs already, or is just ending")
        if request.kind in ("participant", "track"):
            room = self.room(request.room_id)
            person = room.participants.get(request.participant_id or "") if room is not None else None
            if person is None or person.hidden:
                raise Refusal.REMOVE_PARTICIPANT_FAILED("there is no such participant in the room now")

    def check_broadcast(self, request: BroadcastRequest) -> None:
        jobs = self._book.of_room(request.room_id)
        running = any(isinstance(job, BroadcastJob) and job.state in RUNNING_STATES for job in jobs)
        if running and not request.several:
            raise Refusal.PREV_LIVESTREAM_PROCESSING("a livestream of this room runs already: end it first")

    def name_participants(self, request: RecordingRequest) -> RecordingRequest:
        """A composite recording that names nobody takes those who are there to be seen."""
        if request.kind != "composite" or request.participants:
            return request
        room = self.room(request.room_id)
        there = room.participants.values() if room is not None else ()
        people = [person for person in there if not person.hidden and person.mode is Mode.SEND_AND_RECV]
        if not people:
            raise Refusal.START_RECORDING_FAILED("nobody is in the room: name the participants to record")
        return replace(request, participants=tuple(Chosen(p.participant_id) for p in people[:MAX_COMPOSITE]))

    # Pipelines

    def recording_run(self, request: RecordingRequest, job_id: str) -> Run:
        plane = self._plane
        choose: Choice | None = None
        if request.kind in ("room", "composite"):
            assert request.composition is not None
            if request.kind == "composite":
                choose = scenes.chosen_sources(request.participants)
            spec = composition_spec(plane, request.composition, job_id, file_format=request.file_format)
            return self._run(spec, f"{request.kind}-recording", request.room_id, choose, webm=request.file_format == "webm")
        choose = scenes.one_participant(request.participant_id or "", request.track_kind)
        tracks = track_spec(plane, request, job_id)
        what = RunSpec(
            tracks,
            f"{request.kind}-recording",
            budget.track_file_cost(),
            request.room_id,
            self._session_of(request.room_id),
            choose,
            mine=self._mine,
        )
        return Run(plane, what, max_restarts=self._max_restarts, spawn=self._spawn)

    def broadcast_run(self, request: BroadcastRequest, job_id: str, job: BroadcastJob) -> Run:
        file_format = "mp4" if request.record else None
        spec = composition_spec(self._plane, request.composition, job_id, file_format=file_format, flv=True)
        return self._run(spec, "broadcast", request.room_id, None, on_flv=job.receive_flv, on_begin=job.begin_flv)

    def _run(
        self,
        spec: CompositionSpec,
        kind: str,
        room_id: str,
        choose: Choice | None,
        *,
        webm: bool = False,
        on_flv: Callable[[bytes], None] | None = None,
        on_begin: Callable[[], None] | None = None,
    ) -> Run:
        room = self.room(room_id)
        present = sum(1 for p in room.participants.values() if not p.hidden) if room is not None else 0
        cost = budget.composition_cost(
            spec.width, spec.height, spec.fps, max(MIN_SOURCES, present), spec.mode, webm=webm
        )
        hold = max(self._plane.compose.empty_timeout, SHORTEST_HOLD)
        session_id = self._session_of(room_id)
        what = RunSpec(spec, kind, cost, room_id, session_id, choose, hold, on_flv=on_flv, on_begin=on_begin, mine=self._mine)
        return Run(self._plane, what, max_restarts=self._max_restarts, spawn=self._spawn)

    def _session_of(self, room_id: str) -> str | None:
        room = self.room(room_id)
        return room.session_id if room is not None and room.ended is None else None

    async def begin(self, run: Run, images: Mapping[str, bytes], refusal: Refusal) -> None:
        """Start the worker and take the seat. What is raised leaves nothing behind."""
        self._book.add_run(run)
        try:
            await asyncio.to_thread(scenes.write_pictures, [self._plane.directory(run.what.spec.id)], images)
            await run.start()
        except OSError as error:
            await self._give_up(run)
            raise disk_refusal(error, refusal) from None
        except BaseException:
            await self._give_up(run)
            raise

    async def _give_up(self, run: Run) -> None:
        self._book.drop_run(run)
        await self._plane.forget(run.what.spec.id)

    def take_back(self, run: Run) -> None:
        """It has begun, but nobody will know of it: the row could not be written."""
        run.stop()

        async def clean() -> None:
            await asyncio.shield(run.finished)
            await self._plane.forget(run.what.spec.id)

        self._spawn(clean(), f"what is left of {run.what.spec.id}")

    # Rows

    async def add_recording(self, request: RecordingRequest, run: Run, job_id: str) -> Recording:
        """The row, with the event that tells of it."""
        plane, room = self._plane, self.room(request.room_id)
        person = room.participants.get(request.participant_id or "") if room is not None else None
        values: dict[str, Any] = {
            "id": job_id,
            "project_id": request.project_id,
            "kind": request.kind,
            "room_id": request.room_id,
            "custom_room_id": request.custom_room_id,
            "session_id": run.session_id,
            "participant_id": request.participant_id,
            "participant_name": person.display_name if person is not None else None,
            "track_kind": request.track_kind,
            "config": request.composition.config if request.composition is not None else {},
            "file_format": request.file_format,
            "webhook_url": request.webhook_url,
            "directory": request.directory,
            "upload_url": request.upload_url,
            "meta_data": request.meta_data,
            "state": STARTING,
        }
        draft = Recording(**values)
        told = NewEvent(
            names.recording_event(draft, "starting"),
            request.project_id,
            request.room_id,
            run.session_id,
            names.recording_data(draft),
            subject=job_id,
            webhook_url=request.webhook_url,
        )
        await plane.flush()
        return await plane.events.write(told, change=lambda tx: plane.store.recordings.add(tx, **values))

    async def add_broadcast(self, job: BroadcastJob, request: BroadcastRequest, run: Run) -> Broadcast:
        plane = self._plane
        values: dict[str, Any] = {
            "id": job.id,
            "project_id": request.project_id,
            "room_id": request.room_id,
            "custom_room_id": request.custom_room_id,
            "session_id": run.session_id,
            "config": request.composition.config,
            "outputs": job.outputs(),
            "webhook_url": request.webhook_url,
            "recording_id": plane.new_id() if request.record else None,
            "state": STARTING,
        }
        told = NewEvent(
            "livestream-starting",
            request.project_id,
            request.room_id,
            run.session_id,
            names.broadcast_data(Broadcast(**values)),
            subject=job.id,
            webhook_url=request.webhook_url,
        )
        await plane.flush()
        return await plane.events.write(told, change=lambda tx: plane.store.broadcasts.add(tx, **values))


def disk_refusal(error: OSError, refusal: Refusal) -> PeerError:
    """What a caller is told when something of theirs cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(DISK_FULL)
    return refusal(f"the disk refuses: {error.strerror}")


def recording_of(request: BroadcastRequest) -> RecordingRequest:
    """The recording that a broadcast makes alongside."""
    return RecordingRequest(
        request.project_id,
        request.room_id,
        "room",
        "mp4",
        custom_room_id=request.custom_room_id,
        composition=request.composition,
        several=True,
        webhook_url=request.webhook_url,
    )
