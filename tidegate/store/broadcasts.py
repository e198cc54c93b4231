"""Broadcasts: RTMP out of rooms."""

from __future__ import annotations

from sqlalchemy import select

from tidegate.store.ledger import Ledger
from tidegate.store.media_models import RUNNING_STATES, STARTING, Broadcast
from tidegate.store.repository import Page


class Broadcasts(Ledger[Broadcast]):
    """`add` takes at least project_id, room_id."""

    MODEL = Broadcast
    DEFAULTS = {  # noqa: RUF012
        "state": STARTING,
        "config": dict,
        "custom_room_id": None,
        "session_id": None,
        "outputs": list,
        "recording_id": None,
        "webhook_url": None,
        "start": None,
        "end": None,
        "error": None,
    }

    async def list(
        self,
        project_id: str,
        *,
        rooms: tuple[str, ...] = (),
        session_id: str | None = None,
        query: str | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> Page[Broadcast]:
        """Newest first."""
        rows = self._listed(project_id, rooms, session_id, query)
        return await self.page(rows, self._newest_first(), page, per_page)

    async def running(self, project_id: str, room_id: str) -> list[Broadcast]:
        """Those of a room that have not ended, oldest first."""
        rows = self._seen(project_id).where(Broadcast.room_id == room_id, Broadcast.state.in_(RUNNING_STATES))
        return await self.all(rows.order_by(Broadcast.created_at, Broadcast.id))

    async def with_recording(self, recording_id: str) -> Broadcast | None:
        """The one that a recording was made alongside."""
        return await self.one_or_none(select(Broadcast).where(Broadcast.recording_id == recording_id))
