"""Which jobs run in which session: what the room is told of them, and when a session that has ended may be told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from sfu.io.udp import MediaServer
from sfu.meeting.events import ParticipantLeft
from sfu.meeting.participant import CloseReason
from sfu.meeting.refusals import Refusal
from sfu.meeting.room import Room
from tidegate.egress import names
from tidegate.egress.broadcasts import BroadcastJob
from tidegate.egress.recordings import RecordingJob
from tidegate.egress.run import Run
from tidegate.store.media_models import FAILED, LIVE, PROCESSING, RECORDING, STARTING, STOPPED, STOPPING

GATE_PATIENCE = 900.0  # seconds that `session-ended` waits for files that cannot be stored; then it is told without them

# The states of the reference, which has one for a room: the earliest in this order that any job is in.
RECORDING_STATUS = {RECORDING: "STARTED", STARTING: "STARTING", STOPPING: "STOPPING"}
LIVESTREAM_STATUS = {LIVE: "STARTED", STARTING: "STARTING", STOPPING: "STOPPING"}

FAILURES = {"recording": Refusal.RECORDING_FAILED, "livestream": Refusal.LIVESTREAM_FAILED}


class JobBook:
    """Running jobs. A job is put in before anybody is told of it and taken out after its last event."""

    def __init__(self, server: MediaServer) -> None:
        self._server = server
        self.recordings: dict[str, RecordingJob] = {}
        self.broadcasts: dict[str, BroadcastJob] = {}
        self.runs: dict[Run, None] = {}
        """Pipelines that want to hear of their rooms: from before their seats are taken."""
        self._starting: set[Run] = set()  # of them, those whose jobs are not in the book yet
        self._waiting: dict[str, list[Callable[[], None]]] = {}  # by session
        self._one_ended = asyncio.Event()

    def of_room(self, room_id: str) -> list[RecordingJob | BroadcastJob]:
        return [job for job in self._all() if job.row.room_id == room_id]

    def of_session(self, session_id: str) -> list[RecordingJob | BroadcastJob]:
        return [job for job in self._all() if job.session_id == session_id]

    def ending_with(self, event: ParticipantLeft) -> list[RecordingJob]:
        """What is recorded of this participant alone. Nothing when the meeting has ended, which ends all in order; nor when
        they were put out by taking their own place."""
        room = self._server.conference.rooms.get(event.room_id)
        if room is None or room.ended is not None or event.reason is CloseReason.DUPLICATE_PARTICIPANT:
            return []
        jobs = [job for job in self.recordings.values() if job.row.kind in ("participant", "track")]
        return [job for job in jobs if (job.session_id, job.row.participant_id) == (event.session_id, event.participant_id)]

    def _all(self) -> Iterable[RecordingJob | BroadcastJob]:
        return (*self.broadcasts.values(), *self.recordings.values())

    def add_run(self, run: Run) -> None:
        """Its job follows (`begun`), or it comes to nothing (`drop_run`)."""
        self.runs[run] = None
        self._starting.add(run)
        run.finished.add_done_callback(lambda _: self.runs.pop(run, None))

    def begun(self, run: Run) -> None:
        """Its jobs are in the book."""
        self._starting.discard(run)
        self._free_if_last(run.session_id)

    def drop_run(self, run: Run) -> None:
        """It did not come to a job."""
        self.runs.pop(run, None)
        self.begun(run)

    def remove(self, job: RecordingJob | BroadcastJob) -> None:
        """Its last event is written."""
        book: dict[str, Any] = self.recordings if isinstance(job, RecordingJob) else self.broadcasts
        book.pop(job.id, None)
        self._one_ended.set()
        self._free_if_last(job.session_id)

    def close(self) -> None:
        """The node ends: sessions whose jobs are not over are told of by the next start."""
        self._waiting.clear()

    def _free_if_last(self, session_id: str | None) -> None:
        if session_id is not None and not self.holds(session_id):
            self._free(session_id)

    # SessionGate

    def holds(self, session_id: str) -> bool:
        return any(one.session_id == session_id for one in (*self._starting, *self._all()))

    def when_free(self, session_id: str, callback: Callable[[], None]) -> None:
        if not self.holds(session_id):
            callback()
            return
        self._waiting.setdefault(session_id, []).append(callback)
        asyncio.get_running_loop().call_later(GATE_PATIENCE, self._free, session_id)

    def _free(self, session_id: str) -> None:
        for callback in self._waiting.pop(session_id, ()):
            callback()

    async def broadcasts_over(self, session_id: str | None) -> None:
        """Wait for the last events of a session's broadcasts that are ending: a meeting's end is told in order."""
        while any(job.session_id == session_id and job.state == STOPPING for job in self.broadcasts.values()):
            self._one_ended.clear()
            await self._one_ended.wait()

    # What everybody in the room sees

    def tell_room(self, room_id: str) -> None:
        """Set the room's states as they are now. What still ends of an earlier session is nothing to those in it."""
        room = self._server.conference.rooms.get(room_id)
        if room is None:
            return
        jobs = self.of_session(room.session_id)
        recordings = [job for job in jobs if isinstance(job, RecordingJob)]
        broadcasts = [job for job in jobs if isinstance(job, BroadcastJob)]
        self._tell(room, "recording", recordings, RECORDING_STATUS, _recording_wire)
        self._tell(room, "livestream", broadcasts, LIVESTREAM_STATUS, _broadcast_wire)

    def _tell(self, room: Room, name: str, jobs: list[Any], statuses: dict[str, str], wire: Callable[[Any], Any]) -> None:
        shown = [job for job in jobs if job.state not in (STOPPED, FAILED, PROCESSING)]
        states = {job.state for job in shown}
        status = next((word for state, word in statuses.items() if state in states), "STOPPED")
        if status == "STOPPED" and name not in room.state.values:
            return
        value: dict[str, Any] = {"status": f"{name.upper()}_{status}", f"{name}s": [wire(job) for job in shown]}
        failed = [job for job in jobs if job.state == FAILED and job.row.error]
        if failed:  # told once: the job leaves the book right after
            refusal = FAILURES[name]
            value["error"] = {"code": refusal.value, "name": refusal.name, "message": failed[-1].row.error}
        self._server.conference.set_room_state(room.room_id, name, value, now=self._server.now())
        self._server.pump()


def _recording_wire(job: RecordingJob) -> dict[str, Any]:
    row = job.row
    return {"id": row.id, "kind": row.kind, "status": row.state, "participantId": row.participant_id}


def _broadcast_wire(job: BroadcastJob) -> dict[str, Any]:
    return {"id": job.id, "status": job.state, "outputs": names.outputs_wire(job.outputs())}
