"""What the repositories of recordings, broadcasts and transcodings share.

Reads open their own session, as elsewhere. Writes take the caller's transaction, so that they are committed together
with the events that tell of them: `events.write(..., change=lambda tx: recordings.update(tx, id, state="stopped"))`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidegate.store.media_models import ENDED_STATES, Broadcast, Recording, Transcoding
from tidegate.store.repository import Repository, clean

Row = TypeVar("Row", Recording, Broadcast, Transcoding)


class Ledger(Repository, Generic[Row]):
    """Rows of one table. `DEFAULTS` are its columns that a caller of `add` may leave out."""

    MODEL: ClassVar[Any]
    DEFAULTS: ClassVar[dict[str, Any]] = {}

    async def add(self, tx: AsyncSession, *, project_id: str, **values: Any) -> Row:
        """A new row; its id and times are made here unless given. TypeError for a column that there is none of."""
        now = self.now_ms()
        empty = {name: (value() if callable(value) else value) for name, value in self.DEFAULTS.items()}
        made = {"id": self.new_id(), "created_at": now, "updated_at": now, "project_id": project_id}
        row = self.MODEL(**(empty | made | {name: clean(value) for name, value in values.items()}))
        tx.add(row)
        await tx.flush()
        return row

    async def update(self, tx: AsyncSession, row_id: str, **changes: Any) -> Row:
        """Set columns; the row as it is then. KeyError when there is none."""
        query = select(self.MODEL).where(self.MODEL.id == row_id).with_for_update()
        row = (await tx.execute(query)).scalars().first()
        if row is None:
            raise KeyError(row_id)
        for name, value in changes.items():
            if name not in self.MODEL.__table__.columns:
                raise TypeError(f"{self.MODEL.__tablename__} has no column {name}")
            setattr(row, name, clean(value))
        row.updated_at = self.now_ms()
        await tx.flush()
        return row

    async def get(self, row_id: str) -> Row | None:
        """By id alone, in all projects and deleted ones too: for our own work, not for callers."""
        return await self.one_or_none(select(self.MODEL).where(self.MODEL.id == row_id))

    async def find(self, project_id: str, row_id: str) -> Row | None:
        """What a caller may see: of the project, not deleted."""
        return await self.one_or_none(self._seen(project_id).where(self.MODEL.id == row_id))

    async def left_over(self) -> list[Row]:
        """What had not ended when the node did, oldest first."""
        query = select(self.MODEL).where(self.MODEL.state.not_in(ENDED_STATES))
        return await self.all(query.order_by(self.MODEL.created_at, self.MODEL.id))

    async def to_clear(self, before_ms: int | None, limit: int) -> list[Row]:
        """Whose files are to be deleted: deleted ones, and those that ended before `before_ms` (None: none for age)."""
        model = self.MODEL
        gone = model.deleted_at.is_not(None)
        if before_ms is not None:
            gone = or_(gone, func.coalesce(model.end, model.updated_at) < before_ms)
        rows = select(model).where(gone, model.is_cleared.is_(False), model.state.in_(ENDED_STATES))
        return await self.all(rows.order_by(model.created_at, model.id).limit(limit))

    def _seen(self, project_id: str) -> Select[Any]:
        query = select(self.MODEL).where(self.MODEL.project_id == project_id)
        return query.where(self.MODEL.deleted_at.is_(None)) if "deleted_at" in self.MODEL.__table__.columns else query

    def _listed(
        self, project_id: str, rooms: tuple[str, ...], session_id: str | None, query: str | None
    ) -> Select[Any]:
        """Each of `rooms` (roomId or customRoomId) must fit; `query` may be a room, a session or an id."""
        model, rows = self.MODEL, self._seen(project_id)
        for name in rooms:
            rows = rows.where(or_(model.room_id == name, model.custom_room_id == name))
        if session_id is not None:
            rows = rows.where(model.session_id == session_id)
        if query is not None:
            names = (model.id, model.room_id, model.custom_room_id, model.session_id)
            rows = rows.where(or_(*(name == query for name in names)))
        return rows

    def _newest_first(self) -> tuple[Any, ...]:
        return (self.MODEL.created_at.desc(), self.MODEL.id.desc())
