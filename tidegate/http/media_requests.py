"""From checked bodies to what the egress is asked for: one way for REST, signalling and autoStartConfig."""

from __future__ import annotations

from typing import Any

from tidegate.egress.requests import BroadcastRequest, BroadcastTarget, Composition, RecordingRequest
from tidegate.http import composition_models as composition
from tidegate.http import recording_models as models
from tidegate.store import Room
from tidegate.store.media_models import ROOM


def recording_request(room: Room, body: models.StartRecording) -> RecordingRequest:
    """Of a room, as POST /v2/recordings/start has it."""
    return composed_request(room, body, ROOM, composition.compose(body.config))


def composed_request(
    room: Room, body: models.StartRecording | models.StartComposite, kind: Any, made: Composition, **more: Any
) -> RecordingRequest:
    return RecordingRequest(
        project_id=room.project_id,
        room_id=room.room_id,
        custom_room_id=room.custom_room_id,
        kind=kind,
        file_format=body.file_format,
        composition=made,
        several=bool((room.multi_composition or {}).get("recording")),
        webhook_url=body.webhook_url,
        directory=body.directory,
        upload_url=body.upload_url,
        **more,
    )


def broadcast_request(room: Room, body: models.StartBroadcast) -> BroadcastRequest:
    """As POST /v2/livestreams/start has it."""
    return BroadcastRequest(
        project_id=room.project_id,
        room_id=room.room_id,
        custom_room_id=room.custom_room_id,
        targets=tuple(BroadcastTarget(target.url, target.stream_key) for target in body.outputs),
        composition=composition.compose(body.config),
        record=body.config is not None and body.config.recording.enabled,
        several=bool((room.multi_composition or {}).get("rtmp")),
        webhook_url=body.webhook_url,
    )


def automatic_request(room: Room) -> RecordingRequest | None:
    """The recording that a session in the room begins with, by its autoStartConfig. A disabled room begins nothing."""
    wanted = (room.auto_start_config or {}).get("recording")
    if wanted is None or room.disabled:
        return None
    return RecordingRequest(
        project_id=room.project_id,
        room_id=room.room_id,
        custom_room_id=room.custom_room_id,
        kind=ROOM,
        file_format="mp4",
        composition=composition.compose_kept(wanted.get("config")),
        directory=wanted.get("awsDirPath") or wanted.get("bucketDirPath") or "",
    )
