"""A recording from its start to its last webhook: rows and events in the order in which things happen.

    starting -> recording -> stopping -> processing -> stopped        or failed, from any of them
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from sfu.compose.messages import CompositionSpec, TrackFileSpec
from tidegate.egress import delivery, manifest, names, timeline
from tidegate.egress.chronicle import Chronicle
from tidegate.egress.plane import Plane
from tidegate.egress.requests import Composition, RecordingRequest
from tidegate.egress.run import Outcome, Run
from tidegate.egress.scenes import scene_of
from tidegate.egress.states import move
from tidegate.events.log import NewEvent
from tidegate.store import Recording
from tidegate.store.media_models import FAILED, PROCESSING, RECORDING, STARTING, STOPPED, STOPPING

log = logging.getLogger(__name__)

NOTHING = "nothing was recorded: no media came"


class RecordingJob:
    """One row. `life` is its task; what a node left when it ended has no `run` and only needs `finish`."""

    def __init__(
        self,
        plane: Plane,
        row: Recording,
        run: Run | None,
        chronicle: Chronicle | None,
        *,
        shares_run: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.plane = plane
        self.row = row
        self.run = run
        self.folder = folder or plane.directory(run.what.spec.id if run is not None else row.id)
        self.chronicle = chronicle
        self.shares_run = shares_run
        """Made alongside a broadcast, whose run it is."""
        self.reason: str | None = None
        """Why it was ended, where nobody asked for it: the disk, its length."""
        self._writing = asyncio.Lock()

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def session_id(self) -> str | None:
        return self.row.session_id

    @property
    def state(self) -> str:
        return self.row.state

    async def note_config(self, config: dict[str, Any]) -> Recording:
        """How the picture was asked to look from now on."""
        async with self._writing:
            recordings, changed = self.plane.store.recordings, {**self.row.config, **config}
            self.row = await self.plane.events.write(change=lambda tx: recordings.update(tx, self.id, config=changed))
        return self.row

    async def write(self, state: str, event: str, data: dict[str, Any] | None = None, **changes: Any) -> None:
        """A step: the row and the event that tells of it in one transaction."""
        row = self.row
        told = NewEvent(
            names.recording_event(row, event),
            row.project_id,
            row.room_id,
            row.session_id,
            names.recording_data(row, **(data or {})),
            subject=row.id,
            webhook_url=row.webhook_url,
        )
        recordings = self.plane.store.recordings
        self.row = await self.plane.persist(
            told, change=lambda tx: move(tx, recordings, row.id, state, **changes)
        )

    async def stop(self, reason: str | None = None) -> Recording:
        """Begin the end. Again is harmless."""
        if self.run is not None:
            self.run.stop()
        async with self._writing:
            if self.state in (STARTING, RECORDING):
                self.reason = reason
                more = {} if reason is None else {"reason": reason}
                await self.write(STOPPING, "stopping", more)
        return self.row

    async def life(self, tell: Any, before_end: Any) -> None:
        """Until everything is written. `tell()` makes the room know; `before_end()` waits for what has to be told first."""
        assert self.run is not None
        await self._begin(self.run)
        tell()
        outcome = await asyncio.shield(self.run.finished)  # the run's: who waits for it may be cancelled
        try:
            await asyncio.to_thread(manifest.save, self.folder, outcome.files)
        except OSError as error:
            log.error("the files of %s cannot be noted: %s", self.id, error.strerror)
        gaps = [{"start": int(begin * 1000), "end": int(until * 1000)} for begin, until in outcome.gaps]
        ends = [int((made.info.start + made.info.duration) * 1000) for made in outcome.files if made.info.start]
        end = max(ends, default=self.plane.wall_ms())
        await self.process(end=end, gaps=gaps, error=outcome.error or self.reason)
        tell()
        await self.finish(outcome, before_end)
        tell()

    async def process(self, **changes: Any) -> None:
        """Nothing is recorded any more; what there is becomes files. `error` is kept for a start that goes on from here."""
        async with self._writing:
            recordings = self.plane.store.recordings
            self.row = await self.plane.persist(change=lambda tx: move(tx, recordings, self.id, PROCESSING, **changes))

    async def _begin(self, run: Run) -> None:
        """Until media time zero, or the end without one."""
        await asyncio.wait([run.started, run.finished], return_when=asyncio.FIRST_COMPLETED)
        if not run.started.done() or run.started.cancelled():
            return
        at = run.started.result()
        if self.chronicle is not None:
            self.chronicle.begin(at)
        async with self._writing:
            start = int(at * 1000)
            if self.state == STARTING:
                await self.write(RECORDING, "started", start=start)
            elif self.state == STOPPING:  # told already; that it started meanwhile would be news of the past
                recordings = self.plane.store.recordings
                self.row = await self.plane.persist(change=lambda tx: recordings.update(tx, self.id, start=start))

    async def finish(self, outcome: Outcome, before_end: Any) -> None:
        """Files into the storage, then the last word."""
        plane = self.plane
        files, refused = await delivery.deliver(plane, self.row, outcome.files)
        kept = await self._keep_timeline() if files else None
        await before_end()
        error = outcome.error or self.reason or refused
        async with self._writing:
            changes = {"files": files, "timeline": kept, "upload_url": None}
            if not files:
                words = error or NOTHING
                await self.write(FAILED, "failed", {"error": words}, error=words, **changes)
            else:
                signer = await plane.links.signer(self.row.project_id)
                data: dict[str, Any] = {
                    "filePath": files[0].get("path"),
                    "fileUrl": self._url(signer, files[0]),
                    "files": [
                        {"filePath": f.get("path"), "fileUrl": self._url(signer, f), "duration": f.get("duration")}
                        for f in files
                    ],
                }
                if error is not None:
                    data["error"] = error
                await self.write(STOPPED, "stopped", data, error=error, **changes)
        await plane.forget(self.folder.name)
        level = logging.INFO if files else logging.WARNING
        log.log(level, "recording %s is %s: %d files%s", self.id, self.state, len(files), f" ({error})" if error else "")

    def _url(self, signer: Any, file: Any) -> str | None:
        return signer.url(self.plane.public_url, self.id, file["name"]) if file.get("path") is not None else None

    async def _keep_timeline(self) -> str | None:
        row = self.row
        about = {"recordingId": row.id, "meetingId": row.room_id, "sessionId": row.session_id}
        try:
            if self.chronicle is not None:
                await self.chronicle.flush()
            path: Path | None = await asyncio.to_thread(timeline.finish, self.folder, about)
        except OSError as error:
            log.error("the timeline of %s cannot be written: %s", row.id, error.strerror)
            return None
        finally:
            self.chronicle = None  # the job waits for its storage, perhaps for long: what happens now is not on its file
        if path is None:  # none was kept, or it is in the storage since before the node was killed
            return await delivery.find(self.plane, row, f"{row.id}.timeline.json") if self.run is None else None
        return (await delivery.put(self.plane, row, path, f"{row.id}.timeline.json")).path


def composition_spec(
    plane: Plane, composition: Composition, job_id: str, *, file_format: str | None, flv: bool = False
) -> CompositionSpec:
    """Of a room's or a composite recording, or a broadcast."""
    return CompositionSpec(
        job_id,
        str(plane.directory(job_id)),
        composition.width,
        composition.height,
        fps=composition.fps or plane.compose.fps,
        mode=composition.mode,
        scene=scene_of(composition.look),
        file_format="webm" if file_format == "webm" else "mp4" if file_format else None,
        flv=flv,
        encoder=plane.encoder(),
        playout_delay=plane.compose.playout_delay,
    )


def track_spec(plane: Plane, request: RecordingRequest, job_id: str) -> TrackFileSpec:
    """Of a participant's or a track's recording."""
    kind = request.track_kind
    return TrackFileSpec(
        job_id,
        str(plane.directory(job_id)),
        file_format=request.file_format,
        continuous=request.kind == "participant",
        video=kind in (None, "video", "screen_video"),
        audio=kind in (None, "audio", "screen_audio"),
    )
