"""What a node that was killed left behind: recordings are made whole and listed, broadcasts are told to have ended."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidegate.egress import names
from tidegate.egress.recordings import RecordingJob
from tidegate.egress.run import MadeFile, Outcome
from tidegate.events.log import NewEvent
from tidegate.events.recovery import tell_ends
from tidegate.store import Broadcast, Recording
from tidegate.store.media_models import PROCESSING, RUNNING_STATES, STOPPED

if TYPE_CHECKING:
    from tidegate.egress.service import Egress

log = logging.getLogger(__name__)

STOPPED_BY_NODE = "the server ended meanwhile; the file holds what was recorded until then"


async def finish_left_over(egress: Egress) -> None:
    """Every row that had not ended, in the order of time, and the ends of their sessions. One that fails is logged and does not hold up the others."""
    plane = egress.plane
    untold = await plane.store.events.untold_ends()
    for broadcast in await plane.store.broadcasts.left_over():
        if broadcast.id not in egress.book.broadcasts:
            await _end_broadcast(egress, broadcast)
    for recording in await plane.store.recordings.left_over():
        if recording.id in egress.book.recordings:
            continue
        try:
            await _finish_recording(egress, recording)
        except Exception:
            log.exception("recording %s, which the server left when it ended, cannot be finished", recording.id)
    for transcoding in await plane.store.transcodings.left_over():
        egress.merges.resume(transcoding)
    await tell_ends(plane.events, untold)  # last, as at the end of any session


async def _end_broadcast(egress: Egress, row: Broadcast) -> None:
    plane = egress.plane
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
        change=lambda tx: plane.store.broadcasts.update(
            tx, row.id, state=STOPPED, outputs=outputs, error=error, end=row.end or end
        ),
    )


async def _finish_recording(egress: Egress, row: Recording) -> None:
    plane = egress.plane
    was_running = row.state in RUNNING_STATES
    folder = await _folder_of(egress, row)
    files: list[MadeFile] = []
    for attempt in await asyncio.to_thread(_attempts, folder):
        files += (MadeFile(attempt / info.name, info) for info in await plane.finalize(row.id, attempt))
    changes: dict[str, Any] = {"state": PROCESSING}
    if was_running:
        changes["gaps"] = [*row.gaps, *_gap(row, files, plane.wall_ms())]
        changes["end"] = plane.wall_ms()
    row = await plane.persist(change=lambda tx: plane.store.recordings.update(tx, row.id, **changes))
    job = RecordingJob(plane, row, None, None, folder=folder)
    error = (STOPPED_BY_NODE if was_running else row.error) if files else None
    await job.finish(Outcome(tuple(files), (), error), lambda: asyncio.sleep(0))


async def _folder_of(egress: Egress, row: Recording) -> Path:
    """A recording made alongside a broadcast lies in the broadcast's folder."""
    plane = egress.plane
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


def _gap(row: Recording, files: list[MadeFile], now_ms: int) -> list[dict[str, int]]:
    """From the last fragment to when we noticed: what happened then is not on the file."""
    ends = [int((made.info.start + made.info.duration) * 1000) for made in files if made.info.start]
    begin = max(ends, default=row.start or row.created_at)
    return [{"start": begin, "end": now_ms}] if now_ms > begin else []
