"""Finished files made into another one: a queue of the store's rows, each worked off by a worker when there is room for it.

    pending -> processing -> completed        or failed, or cancelled
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

from media.errors import PeerError
from sfu.compose.messages import Failed, FileInfo, MergeInput, MergeSpec
from sfu.meeting.refusals import Refusal
from tidegate.egress import delivery, names
from tidegate.egress.plane import BUSY_PAUSE, Plane
from tidegate.egress.requests import MergeRequest
from tidegate.egress.run import MadeFile
from tidegate.egress.states import NotNow, move
from tidegate.events.log import NewEvent
from tidegate.storage import StorageError
from tidegate.store import Transcoding
from tidegate.store.media_models import CANCELLED, COMPLETED, ENDED_STATES, FAILED, PENDING, PROCESSING
from tidegate.workers import budget
from tidegate.workers.budget import WorkersBusy
from tidegate.workers.handle import Exit, Worker

log = logging.getLogger(__name__)

TASKS: dict[str, Literal["grid", "concat", "stereo"]] = {
    "composite-merge": "grid",
    "meeting-recording-merge": "concat",
    "stereo-merge": "stereo",
}


class _Unfit(Exception):
    """The words say what is wrong with the inputs, or what the worker said."""


class Merges:
    """`start` and `cancel` for callers; `resume` for what a node left when it ended."""

    def __init__(self, plane: Plane, do: Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]) -> None:
        self._plane = plane
        self._do = do
        self._running: dict[str, asyncio.Task[Any]] = {}

    @property
    def count(self) -> int:
        """Those that have not ended."""
        return len(self._running)

    async def start(self, request: MergeRequest) -> Transcoding:
        plane = self._plane
        inputs = [
            {"recordingId": part.recording_id, "name": part.name, "channel": part.channel} for part in request.parts
        ]
        values: dict[str, Any] = {
            "id": plane.new_id(),
            "project_id": request.project_id,
            "task": request.task,
            "room_id": request.room_id,
            "custom_room_id": request.custom_room_id,
            "session_id": request.session_id,
            "inputs": inputs,
            "file_format": request.file_format,
            "webhook_url": request.webhook_url,
            "directory": request.directory,
            "upload_url": request.upload_url,
            "state": PENDING,
        }
        told = self._event(Transcoding(**values), "started")
        row = await plane.events.write(told, change=lambda tx: plane.store.transcodings.add(tx, **values))
        self.resume(row)
        return row

    def resume(self, row: Transcoding) -> None:
        """Work on a row that has not ended."""
        task = self._do(self._life(row), f"merge {row.id}")
        self._running[row.id] = task
        task.add_done_callback(lambda _: self._running.pop(row.id, None))

    async def cancel(self, row_id: str) -> Transcoding:
        """Its files are not made, or thrown away. PeerError when it has ended."""
        task = self._running.get(row_id)
        if task is None:
            raise Refusal.STOP_RECORDING_FAILED("this transcoding has ended already")
        task.cancel()
        await asyncio.wait([task])
        row = await self._plane.store.transcodings.get(row_id)
        if row is None or row.state in ENDED_STATES:
            raise Refusal.STOP_RECORDING_FAILED("this transcoding has ended already")
        try:
            row = await self._write(row, CANCELLED, "cancelled", end=self._plane.wall_ms(), upload_url=None)
        except NotNow:  # its last word was being written
            raise Refusal.STOP_RECORDING_FAILED("this transcoding has ended already") from None
        await self._plane.forget(row_id)
        return row

    async def _life(self, row: Transcoding) -> None:
        plane = self._plane
        transcodings = plane.store.transcodings
        start = plane.wall_ms()
        row = await plane.persist(change=lambda tx: move(tx, transcodings, row.id, PROCESSING, start=start))
        directory = plane.directory(row.id)
        try:
            inputs = await self._fetch(row, directory)
            info = await self._merge(row, directory, inputs)
            files, refused = await delivery.deliver(plane, row, (MadeFile(directory / info.name, info),))
            if not files:
                raise _Unfit(refused or delivery.LOST)
        except (_Unfit, OSError) as error:
            words = str(error) if isinstance(error, _Unfit) else f"the disk refuses: {error.strerror}"
            await self._write(row, FAILED, "failed", {"error": words}, error=words, end=plane.wall_ms(), upload_url=None)
        else:
            signer = await plane.links.signer(row.project_id)
            path = files[0].get("path")
            url = signer.url(plane.public_url, row.id, files[0]["name"]) if path is not None else None
            data = {"filePath": path, "fileUrl": url}
            await self._write(
                row, COMPLETED, "completed", data, files=files, error=refused, end=plane.wall_ms(), upload_url=None
            )
        await plane.forget(row.id)

    async def _fetch(self, row: Transcoding, directory: Path) -> tuple[MergeInput, ...]:
        """The inputs on this disk, and where each begins: speech of one session keeps its place in time."""
        plane = self._plane
        await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
        found: list[tuple[Path, int, int]] = []
        for number, part in enumerate(row.inputs):
            recording = await plane.store.recordings.find(row.project_id, part["recordingId"])
            file = next((f for f in recording.files if f["name"] == part["name"]), None) if recording is not None else None
            if file is None or not file.get("path"):
                raise _Unfit(f"the file {part['name']} of recording {part['recordingId']} is not there any more")
            local = plane.storage.local_path(file["path"])
            if local is None:
                local = directory / f"input-{number}{Path(file['name']).suffix}"
                try:
                    await plane.storage.fetch(file["path"], local)
                except (StorageError, FileNotFoundError) as error:
                    raise _Unfit(f"the file {part['name']} cannot be read: {error}") from None
            found.append((local, int(file.get("start") or 0), part.get("channel", 0)))
        if not found:
            raise _Unfit("there is nothing to merge")
        origin = min(start for _, start, _ in found)
        if TASKS[row.task] == "concat":  # one after the other, whatever lay between them
            return tuple(MergeInput(str(path)) for path, _, _ in found)
        return tuple(MergeInput(str(path), (start - origin) / 1000, channel) for path, start, channel in found)

    async def _merge(self, row: Transcoding, directory: Path, inputs: tuple[MergeInput, ...]) -> FileInfo:
        task = TASKS[row.task]
        spec = MergeSpec(row.id, str(directory), task, inputs, file_format=row.file_format)  # type: ignore[arg-type]
        reports: list[Any] = []
        worker = await self._worker(spec, budget.merge_cost(task), reports)
        try:
            exit: Exit = await worker.wait()
        except asyncio.CancelledError:
            worker.kill("killed", "it was cancelled")
            raise
        files = [file for report in reports for file in getattr(report, "files", ())]
        words = next((report.text for report in reports if isinstance(report, Failed)), exit.text)
        if exit.reason != "done" or not files:
            raise _Unfit(words or "nothing came out of it")
        return files[0]

    async def _worker(self, spec: MergeSpec, cost: float, reports: list[Any]) -> Worker:
        while True:
            try:
                return await self._plane.supervisor.start(
                    spec, kind="merge", cost=cost, on_report=reports.append, on_exit=lambda exit: None
                )
            except WorkersBusy:
                await asyncio.sleep(BUSY_PAUSE)
            except PeerError as error:
                raise _Unfit(error.reason) from None

    async def _write(
        self, row: Transcoding, state: str, event: str, data: dict[str, Any] | None = None, **changes: Any
    ) -> Transcoding:
        store = self._plane.store.transcodings
        told = self._event(row, event, status=state, **(data or {}))
        row = await self._plane.persist(told, change=lambda tx: move(tx, store, row.id, state, **changes))
        log.info("merge %s is %s%s", row.id, state, f": {row.error}" if row.error else "")
        return row

    @staticmethod
    def _event(row: Transcoding, what: str, **data: Any) -> NewEvent:
        return NewEvent(
            f"transcoding-{what}",
            row.project_id,
            row.room_id,
            row.session_id,
            names.transcoding_data(row, **data),
            subject=row.id,
            webhook_url=row.webhook_url,
        )
