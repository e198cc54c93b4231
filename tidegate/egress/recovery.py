"""What a node that was killed left behind: recordings are made whole and listed, broadcasts are told to have ended."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.egress import manifest, names
from tidegate.egress.plane import Plane
from tidegate.egress.recordings import RecordingJob
from tidegate.egress.run import MadeFile, Outcome
from tidegate.egress.states import move
from tidegate.events.log import NewEvent
from tidegate.store import Broadcast, Recording, Session, Transcoding
from tidegate.store.media_models import PROCESSING, STOPPED

if TYPE_CHECKING:
    from tidegate.egress.service import Egress

log = logging.getLogger(__name__)

STOPPED_BY_NODE = "the server ended meanwhile; the file holds what was recorded until then"


@dataclass(frozen=True, slots=True)
class LeftOver:
    """Oldest first. `folders` of jobs, whether or not a row knows them."""

    broadcasts: list[Broadcast]
    recordings: list[Recording]
    transcodings: list[Transcoding]
    sessions: list[Session]
    folders: list[str]


async def look(plane: Plane) -> LeftOver:
    """What there is before this node has anything of its own."""
    store = plane.store
    return LeftOver(
        await store.broadcasts.left_over(),
        await store.recordings.left_over(),
        await store.transcodings.left_over(),
        await store.events.untold_ends(),
        await asyncio.to_thread(_folders, plane.work_dir),
    )


async def finish_left_over(egress: Egress, left: LeftOver) -> None:
    """Every row that had not ended, and the ends of their sessions. None holds up the others; a session's end is told last,
    as always, and waits no longer than always for files that cannot be stored."""
    plane = egress.plane
    for broadcast in left.broadcasts:
        try:
            await _end_broadcast(plane, broadcast)
        except Exception:
            log.exception("broadcast %s, which the server left when it ended, cannot be ended", broadcast.id)
    folders = {recording.id: await _folder_of(plane, recording) for recording in left.recordings}
    for recording in left.recordings:
        job = RecordingJob(plane, recording, None, None, folder=folders[recording.id])
        egress.go_on(job, _finish_recording(job))
    for transcoding in left.transcodings:
        egress.merges.resume(transcoding)
    for session in left.sessions:
        egress.book.when_free(session.id, lambda session=session: egress.tell_end(session))
    known = {folder.name for folder in folders.values()} | {row.id for row in left.transcodings}
    for name in left.folders:
        if name not in known:  # its node was killed before it had a row, or after its row's last word
            await plane.forget(name)


def _folders(work_dir: Path) -> list[str]:
    """Blocking."""
    return [path.name for path in work_dir.iterdir() if path.is_dir()] if work_dir.is_dir() else []


async def _end_broadcast(plane: Plane, row: Broadcast) -> None:
    error = "the server ended meanwhile"
    outputs = [{**output, "state": "stopped"} for output in row.outputs]
    row.outputs = outputs
    told = NewEvent(
        "livestream-stopped", row.project_id, row.room_id, row.session_id, names.broadcast_data(row, error=error),
        subject=row.id, webhook_url=row.webhook_url,
    )  # fmt: skip
    end = plane.wall_ms()
    await plane.persist(
        told,
        change=lambda tx: move(
            tx, plane.store.broadcasts, row.id, STOPPED, outputs=outputs, error=error, end=row.end or end
        ),
    )


async def _finish_recording(job: RecordingJob) -> None:
    plane, row = job.plane, job.row
    files = await asyncio.to_thread(manifest.load, job.folder)
    if row.state != PROCESSING:
        error = STOPPED_BY_NODE if files is None else row.error
        await job.process(end=row.end or plane.wall_ms(), error=error)
    if files is None:
        found: list[MadeFile] = []
        for attempt in await asyncio.to_thread(_attempts, job.folder):
            found += (MadeFile(attempt / info.name, info) for info in await plane.finalize(row.id, attempt))
        files = tuple(found)
    if job.row.error == STOPPED_BY_NODE:
        await job.process(gaps=_with_last_gap(job.row, files))
    error = job.row.error if files or job.row.error != STOPPED_BY_NODE else None
    await job.finish(Outcome(files, (), error), _at_once)


async def _at_once() -> None:
    """Broadcasts have been told of already."""


async def _folder_of(plane: Plane, row: Recording) -> Path:
    """A recording made alongside a broadcast lies in the broadcast's folder."""
    own = plane.directory(row.id)
    if await asyncio.to_thread(own.is_dir):
        return own
    broadcast = await plane.store.broadcasts.with_recording(row.id)
    return own if broadcast is None else plane.directory(broadcast.id)


def _attempts(folder: Path) -> list[Path]:
    """The folders of the workers' attempts, in order. Blocking."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.is_dir() and path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def _with_last_gap(row: Recording, files: tuple[MadeFile, ...]) -> list[dict[str, int]]:
    """From the last fragment to when we noticed: what happened then is not on the file. Twice is the same as once."""
    ends = [int((made.info.start + made.info.duration) * 1000) for made in files if made.info.start]
    begin, end = max(ends, default=row.start or row.created_at), row.end or 0
    earlier = [gap for gap in row.gaps if gap["end"] != end]
    return [*earlier, {"start": begin, "end": end}] if end > begin else earlier
