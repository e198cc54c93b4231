"""Rows as the JSON that people see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from tidegate.store import Page, Room, Session, SessionParticipant

Row = TypeVar("Row")


def iso(milliseconds: int) -> str:
    """2026-01-31T12:00:00.000Z"""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else iso(milliseconds)


def page(rows: Page[Row], render_row: Callable[[Row], Any]) -> dict[str, Any]:
    return {"pageInfo": page_info(rows), "data": [render_row(row) for row in rows.rows]}


def page_info(rows: Page[Any]) -> dict[str, int]:
    return {"currentPage": rows.number, "perPage": rows.size, "lastPage": rows.last, "total": rows.total}


def room(row: Room, base: str) -> dict[str, Any]:
    """`base` is our public URL."""
    return {
        "id": row.id,
        "roomId": row.room_id,
        "customRoomId": row.custom_room_id,
        "userId": row.project_id,
        "disabled": row.disabled,
        "webhook": row.webhook,
        "autoCloseConfig": row.auto_close_config,
        "autoStartConfig": row.auto_start_config,
        "multiComposition": row.multi_composition,
        "allowedParticipantIds": row.allowed_participant_ids,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
        "links": {
            "get_room": f"{base}/v2/rooms/{row.room_id}",
            "get_session": f"{base}/v2/sessions?roomId={row.room_id}",
        },
    }


def participant(row: SessionParticipant) -> dict[str, Any]:
    return {
        "participantId": row.participant_id,
        "name": row.name,
        "timelog": _log(row.timelog),
        "events": {name: _log(entries) for name, entries in row.events.items()},
        "initTime": iso(row.init_time),
        "mode": row.mode,
        "metaData": row.meta_data,
        "deviceInfo": row.device_info,
    }


def _log(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"start": iso(entry["start"]), "end": iso_or_none(entry["end"])} for entry in entries]


def session(row: Session, people: Sequence[SessionParticipant], total: int, base: str) -> dict[str, Any]:
    """`total`: how many participants there were; `people` may be fewer."""
    return {
        "id": row.id,
        "roomId": row.room_id,
        "customRoomId": row.custom_room_id,
        "userId": row.project_id,
        "apiKey": row.api_key,
        "start": iso(row.start),
        "end": iso_or_none(row.end),
        "status": row.status,
        "participants": [participant(person) for person in people],
        "participantCount": total,
        "hlsLog": [],
        "links": {
            "get_room": f"{base}/v2/rooms/{row.room_id}",
            "get_session": f"{base}/v2/sessions/{row.id}",
            "get_all_participants": f"{base}/v2/sessions/{row.id}/participants",
        },
    }


def one_session(
    row: Session, people: Sequence[SessionParticipant], total: int, base: str, now_ms: int
) -> dict[str, Any]:
    """With what only a session asked for by itself has."""
    end = now_ms if row.end is None else row.end
    return session(row, people, total, base) | {"activeDuration": (end - row.start) / 1000, "chatLink": None}
