"""Recordings, and transcodings made of them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from tidegate.store.ledger import Ledger
from tidegate.store.media_models import RUNNING_STATES, STARTING, Recording, Transcoding
from tidegate.store.repository import Page

# What a caller of `add` may leave out
NOTHING_YET = {
    "session_id": None,
    "custom_room_id": None,
    "webhook_url": None,
    "directory": "",
    "upload_url": None,
    "start": None,
    "end": None,
    "files": list,
    "error": None,
    "deleted_at": None,
    "is_cleared": False,
}


class Recordings(Ledger[Recording]):
    """`add` takes at least project_id, kind, room_id, file_format."""

    MODEL = Recording
    DEFAULTS = NOTHING_YET | {
        "state": STARTING,
        "config": dict,
        "participant_id": None,
        "participant_name": None,
        "track_kind": None,
        "meta_data": None,
        "timeline": None,
        "gaps": list,
    }

    async def list(
        self,
        project_id: str,
        *,
        kind: str,
        rooms: tuple[str, ...] = (),
        session_id: str | None = None,
        participant_id: str | None = None,
        query: str | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> Page[Recording]:
        """Newest first."""
        rows = self._listed(project_id, rooms, session_id, query).where(Recording.kind == kind)
        if participant_id is not None:
            rows = rows.where(Recording.participant_id == participant_id)
        return await self.page(rows, self._newest_first(), page, per_page)

    async def running(
        self,
        project_id: str,
        room_id: str,
        *,
        kind: str | None = None,
        participant_id: str | None = None,
        track_kind: str | None = None,
    ) -> list[Recording]:
        """Those of a room that are being made (not those that are only processed still), oldest first."""
        rows = self._seen(project_id).where(Recording.room_id == room_id, Recording.state.in_(RUNNING_STATES))
        for column, value in (
            (Recording.kind, kind),
            (Recording.participant_id, participant_id),
            (Recording.track_kind, track_kind),
        ):
            if value is not None:
                rows = rows.where(column == value)
        return await self.all(rows.order_by(Recording.created_at, Recording.id))

    async def of_session(self, project_id: str, session_id: str) -> list[Recording]:
        """Everything recorded in a session, oldest first."""
        rows = self._seen(project_id).where(Recording.session_id == session_id)
        return await self.all(rows.order_by(Recording.created_at, Recording.id))

    async def delete(self, tx: AsyncSession, recording_id: str) -> Recording:
        """Nobody sees it any more. Its files go with the next round of `storage.retention`."""
        return await self.update(tx, recording_id, deleted_at=self.now_ms())


class Transcodings(Ledger[Transcoding]):
    """`add` takes at least project_id, task, inputs, file_format."""

    MODEL = Transcoding
    DEFAULTS = NOTHING_YET | {"state": "pending", "room_id": None}

    async def list(
        self,
        project_id: str,
        *,
        tasks: tuple[str, ...] = (),
        rooms: tuple[str, ...] = (),
        session_id: str | None = None,
        state: str | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> Page[Transcoding]:
        """Newest first. No `tasks`: all."""
        rows = self._listed(project_id, rooms, session_id, None)
        if tasks:
            rows = rows.where(Transcoding.task.in_(tasks))
        if state is not None:
            rows = rows.where(Transcoding.state == state)
        return await self.page(rows, self._newest_first(), page, per_page)
