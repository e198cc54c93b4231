"""A stand-in for the egress: rows as the real one writes them, no pipelines. `finish` does what time would."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.errors import PeerError
from rtmp.url import parse_target
from tidegate.egress.requests import (
    BroadcastRequest,
    BroadcastTarget,
    CompositionPatch,
    MergeRequest,
    RecordingRequest,
)
from tidegate.storage import Storage
from tidegate.store import Broadcast, Recording, Store, Transcoding


@dataclass
class FakeEgress:
    """`calls` is what was asked; `refusal` is raised by the next start."""

    store: Store
    storage: Storage
    folder: Path
    calls: list[tuple[str, Any]] = field(default_factory=list)
    refusal: Exception | None = None

    async def start_recording(self, request: RecordingRequest) -> Recording:
        self.calls.append(("start_recording", request))
        if self.refusal is not None:
            raise self.refusal
        running = await self.store.recordings.running(
            request.project_id, request.room_id, kind=request.kind, participant_id=request.participant_id
        )
        if running and not request.several and request.kind == "room":
            raise PeerError(4018, "PREV_RECORDING_PROCESSING", "the room is being recorded")
        session = await self.store.sessions.ongoing(request.project_id, request.room_id)
        async with self.store.recordings.transaction() as tx:
            return await self.store.recordings.add(
                tx,
                project_id=request.project_id,
                kind=request.kind,
                room_id=request.room_id,
                custom_room_id=request.custom_room_id,
                session_id=session.id if session else None,
                participant_id=request.participant_id,
                participant_name=request.participant_id and request.participant_id.title(),
                track_kind=request.track_kind,
                config=request.composition.config if request.composition else {},
                file_format=request.file_format,
                meta_data=request.meta_data,
                webhook_url=request.webhook_url,
                directory=request.directory,
                upload_url=request.upload_url,
            )

    async def stop_recording(self, recording_id: str) -> Recording:
        self.calls.append(("stop_recording", recording_id))
        return await self._set(self.store.recordings, recording_id, state="stopping")

    async def start_broadcast(self, request: BroadcastRequest) -> Broadcast:
        self.calls.append(("start_broadcast", request))
        if self.refusal is not None:
            raise self.refusal
        outputs = [self._output(number, target) for number, target in enumerate(request.targets)]
        async with self.store.broadcasts.transaction() as tx:
            return await self.store.broadcasts.add(
                tx,
                project_id=request.project_id,
                room_id=request.room_id,
                custom_room_id=request.custom_room_id,
                config=request.composition.config,
                outputs=outputs,
                webhook_url=request.webhook_url,
            )

    def _output(self, number: int, target: BroadcastTarget) -> dict[str, Any]:
        shown = parse_target(target.url, target.stream_key).shown_url
        return {"id": f"out{number}", "url": shown, "state": "connecting", "error": None, "retries": 0}

    async def stop_broadcast(self, broadcast_id: str) -> Broadcast:
        self.calls.append(("stop_broadcast", broadcast_id))
        return await self._set(self.store.broadcasts, broadcast_id, state="stopping")

    async def add_output(self, broadcast_id: str, target: BroadcastTarget) -> Broadcast:
        self.calls.append(("add_output", (broadcast_id, target)))
        row = await self.store.broadcasts.get(broadcast_id)
        outputs = [*row.outputs, self._output(len(row.outputs), target)]
        return await self._set(self.store.broadcasts, broadcast_id, outputs=outputs)

    async def remove_output(self, broadcast_id: str, output_id: str) -> Broadcast:
        self.calls.append(("remove_output", (broadcast_id, output_id)))
        row = await self.store.broadcasts.get(broadcast_id)
        outputs = [entry for entry in row.outputs if entry["id"] != output_id]
        return await self._set(self.store.broadcasts, broadcast_id, outputs=outputs)

    async def update_composition(self, row_id: str, patch: CompositionPatch) -> Recording | Broadcast:
        self.calls.append(("update_composition", (row_id, patch)))
        ledger = self.store.recordings if await self.store.recordings.get(row_id) else self.store.broadcasts
        row = await ledger.get(row_id)
        return await self._set(ledger, row_id, config=row.config | patch.config)

    async def start_merge(self, request: MergeRequest) -> Transcoding:
        self.calls.append(("start_merge", request))
        inputs = [{"recordingId": p.recording_id, "name": p.name, "channel": p.channel} for p in request.parts]
        async with self.store.transcodings.transaction() as tx:
            return await self.store.transcodings.add(
                tx,
                project_id=request.project_id,
                task=request.task,
                inputs=inputs,
                file_format=request.file_format,
                room_id=request.room_id,
                custom_room_id=request.custom_room_id,
                session_id=request.session_id,
                webhook_url=request.webhook_url,
                upload_url=request.upload_url,
            )

    async def cancel_merge(self, transcoding_id: str) -> Transcoding:
        self.calls.append(("cancel_merge", transcoding_id))
        return await self._set(self.store.transcodings, transcoding_id, state="cancelled")

    async def _set(self, ledger: Any, row_id: str, **changes: Any) -> Any:
        async with ledger.transaction() as tx:
            return await ledger.update(tx, row_id, **changes)

    async def finish(self, recording_id: str, content: bytes, *, name: str = "recording.mp4", timeline: bytes = b"") -> Recording:
        """The recording has ended, its file is whole and stored."""
        row = await self.store.recordings.get(recording_id)
        now, paths = self.store.recordings.now_ms(), {}
        for file_name, data in ((name, content), ("timeline.json", timeline)):
            if data:
                local = self.folder / f"{recording_id}.{file_name}"
                local.write_bytes(data)
                paths[file_name] = (await self.storage.put_file(local, f"{row.room_id}/{recording_id}/{file_name}")).path
        entry = {
            "name": name, "path": paths[name], "size": len(content), "duration": 12.3456, "width": 1280, "height": 720,
            "kind": "audio-video", "start": now - 12_346,
        }  # fmt: skip
        return await self._set(
            self.store.recordings, recording_id, state="stopped", start=now - 12_346, end=now, files=[entry],
            timeline=paths.get("timeline.json"),
        )  # fmt: skip
