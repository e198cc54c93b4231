"""Rows of recordings, broadcasts and transcodings as the JSON that people see; `render` does the other rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from tidegate.http.render import iso, iso_or_none
from tidegate.storage.links import Signer
from tidegate.store import Broadcast, Recording, Transcoding
from tidegate.store.media_models import ENDED_STATES, Output, StoredFile

TIMELINE = "timeline.json"
NO_DELIVERIES = {"totalCount": 0, "successCount": 0, "data": []}


@dataclass(frozen=True, slots=True)
class Renderer:
    """For one answer: our public URL, the project's links, and how deliveries of the rows' webhooks went."""

    base: str
    signer: Signer
    deliveries: dict[str, dict[str, Any]]

    def recording(self, row: Recording) -> dict[str, Any]:
        answer = self._recorded(row)
        files = answer["files"]
        return answer | {
            "fileId": files[0]["id"] if files else None,
            "file": files[0] if files else None,
            "timelineUrl": self.signer.url(self.base, row.id, TIMELINE) if row.timeline and not row.is_cleared else None,
            "config": row.config,
        }

    def participant_recording(self, row: Recording) -> dict[str, Any]:
        return self._recorded(row) | {
            "participantId": row.participant_id,
            "participantName": row.participant_name,
            "kind": row.track_kind,
            "metadata": row.meta_data,
        }

    def _recorded(self, row: Recording) -> dict[str, Any]:
        return self._common(row) | {
            "status": row.state,
            "fileFormat": row.file_format,
            "files": self._files(row),
            "filesDeleted": row.is_cleared,
            "gaps": [{"start": iso(gap["start"]), "end": iso(gap["end"])} for gap in row.gaps],
        }

    def broadcast(self, row: Broadcast) -> dict[str, Any]:
        return self._common(row) | {
            "status": row.state,
            "outputs": [output(entry) for entry in row.outputs],
            "config": row.config,
            "recordingId": row.recording_id,
        }

    def transcoding(self, row: Transcoding) -> dict[str, Any]:
        files = self._files(row)
        return self._common(row) | {
            "task": row.task,
            "status": row.state,
            "fileFormat": row.file_format,
            "inputs": row.inputs,
            "files": files,
            "filesDeleted": row.is_cleared,
            "fileUrl": files[0]["fileUrl"] if files else None,
        }

    def _common(self, row: Recording | Broadcast | Transcoding) -> dict[str, Any]:
        links = {}
        if row.room_id is not None:
            links["get_room"] = f"{self.base}/v2/rooms/{row.room_id}"
        if row.session_id is not None:
            links["get_session"] = f"{self.base}/v2/sessions/{row.session_id}"
        return {
            "id": row.id,
            "userId": row.project_id,
            "roomId": row.room_id,
            "customRoomId": row.custom_room_id,
            "sessionId": row.session_id,
            "start": iso_or_none(row.start),
            "end": iso_or_none(row.end),
            "error": row.error,
            "webhook": self.deliveries.get(row.id, NO_DELIVERIES),
            "links": links,
            "createdAt": iso(row.created_at),
            "updatedAt": iso(row.updated_at),
        }

    def _files(self, row: Recording | Transcoding) -> list[dict[str, Any]]:
        is_whole = row.state in ENDED_STATES and not row.is_cleared
        return [self._file(row, entry, is_whole) for entry in row.files]

    def _file(self, row: Recording | Transcoding, entry: StoredFile, is_whole: bool) -> dict[str, Any]:
        width, height = entry.get("width"), entry.get("height")
        path = entry.get("path")
        url = self.signer.url(self.base, row.id, entry["name"]) if is_whole and path else None
        return {
            "id": file_id(row.id, entry["name"]),
            "name": entry["name"],
            "meta": {
                "resolution": {"width": width, "height": height} if width and height else None,
                "format": entry["name"].rpartition(".")[2],
                "duration": round(entry.get("duration", 0.0), 3),
            },
            "filePath": path,
            "fileUrl": url,
            "size": entry.get("size", 0),
            "type": "audio" if entry.get("kind") == "audio" else "video",
            "userStorage": bool(entry.get("uploaded")),
            "start": iso_or_none(entry.get("start") or None),  # 0: a merge has a time of its own
            "createdAt": iso(row.updated_at if row.end is None else row.end),
        }


def file_id(owner_id: str, name: str) -> str:
    """An id of the usual form for what has none of its own."""
    return hashlib.sha256(f"{owner_id}/{name}".encode()).hexdigest()[:24]


def output(entry: Output) -> dict[str, Any]:
    return {
        "id": entry["id"],
        "url": entry["url"],
        "status": entry["state"],
        "error": entry.get("error"),
        "bitrate": entry.get("bitrate"),
        "retries": entry.get("retries", 0),
    }
