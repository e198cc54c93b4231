"""Names and data of what the egress tells: webhooks, room states, paths in the storage."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from tidegate.egress.run import MadeFile
from tidegate.store import Broadcast, Recording, Transcoding
from tidegate.store.media_models import StoredFile

# Webhooks of room recordings have the reference's names. For the other kinds it has none: theirs begin with the kind, so that
# a receiver of `recording-*` is not told of other files than it used to be.
PREFIX_OF_KIND = {
    "room": "recording",
    "participant": "participant-recording",
    "track": "track-recording",
    "composite": "composite-recording",
}
_PLAIN = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._@-]{0,63}$")


def recording_event(row: Recording, what: str) -> str:
    """`recording-started`, `participant-recording-stopped`..."""
    return f"{PREFIX_OF_KIND[row.kind]}-{what}"


def recording_data(row: Recording, **more: Any) -> dict[str, Any]:
    """The reference's fields, then ours."""
    data: dict[str, Any] = {"meetingId": row.room_id, "sessionId": row.session_id, "id": row.id}
    if row.participant_id is not None:
        data["participantId"] = row.participant_id
    if row.track_kind is not None:
        data["kind"] = row.track_kind
    return data | more


def broadcast_data(row: Broadcast, **more: Any) -> dict[str, Any]:
    return {"meetingId": row.room_id, "sessionId": row.session_id, "id": row.id, "outputs": outputs_wire(row.outputs)} | more


def outputs_wire(outputs: list[Any]) -> list[dict[str, Any]]:
    """As REST shows them: without numbers, which are old when they arrive."""
    return [
        {"id": one["id"], "url": one["url"], "status": one["state"], "error": one.get("error")} for one in outputs
    ]


def transcoding_data(row: Transcoding, **more: Any) -> dict[str, Any]:
    return {"id": row.id, "task": row.task, "meetingId": row.room_id, "sessionId": row.session_id, "status": row.state} | more


def folder(row: Recording | Transcoding) -> str:
    """Where the files of a row go in the storage, as the reference has it: session, participant, kind of track."""
    parts: list[str | None] = [row.directory.strip("/") or None, row.session_id or row.id]
    if isinstance(row, Recording):
        parts += [row.participant_id and _folder_name(row.participant_id), row.track_kind]
    return "/".join(part for part in parts if part)


def _folder_name(participant_id: str) -> str:
    """The id as it is, if a file system takes it for a name; it may hold slashes, dots and anything visible."""
    return participant_id if _PLAIN.match(participant_id) else hashlib.sha256(participant_id.encode()).hexdigest()[:24]


def file_name(row_id: str, number: int, count: int, suffix: str) -> str:
    """Unique among the row's files; a single one has no number."""
    return f"{row_id}{suffix}" if count == 1 else f"{row_id}-{number}{suffix}"


def stored_file(name: str, path: str | None, size: int, made: MadeFile) -> StoredFile:
    """The row's entry of a file that is whole."""
    info = made.info
    return StoredFile(
        name=name,
        path=path,
        size=size,
        duration=round(info.duration, 3),
        width=info.width,
        height=info.height,
        kind=info.kind,
        start=int(info.start * 1000),
        trackId=info.track_id,
    )
