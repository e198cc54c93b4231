"""Rooms, by any of their three names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from media.ids import room_code
from tidegate.store.models import Room
from tidegate.store.repository import Page, Repository

ROOM_CODE_TRIES = 5  # a taken code is one in 4.7e18 / rooms: a second collision means broken randomness


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """What a caller says about a new room; plain JSON, checked by the HTTP models."""

    custom_room_id: str | None = None
    webhook: dict[str, Any] | None = None
    auto_close_config: dict[str, Any] | None = None
    auto_start_config: dict[str, Any] | None = None
    multi_composition: dict[str, Any] | None = None
    allowed_participant_ids: list[str] | None = None


DEFAULT_AUTO_CLOSE = {"type": "session-ends", "duration": 480}  # minutes


class Rooms(Repository):
    async def create(
        self, project_id: str, api_key: str, options: RoomOptions, *, save: Callable[[Room], Awaitable[None]] | None = None
    ) -> tuple[Room, bool]:
        """A new room, or the one that has this customRoomId already (then False: its options stay as they are).

        `save` adds the row in a transaction of the caller's and lets IntegrityError through; it may be called again.
        """
        for _ in range(ROOM_CODE_TRIES):
            if options.custom_room_id is not None:
                known = await self._by_custom_id(project_id, options.custom_room_id)
                if known is not None:
                    return known, False
            room = self._new(project_id, api_key, options)
            try:
                await (save or self._save)(room)
                return room, True
            except IntegrityError:
                continue  # made by somebody else in between, or the code is taken
        raise RuntimeError("no free room id found")

    async def _save(self, room: Room) -> None:
        async with self.transaction() as session:
            session.add(room)

    def _new(self, project_id: str, api_key: str, options: RoomOptions) -> Room:
        now = self.now_ms()
        return Room(
            id=self.new_id(),
            project_id=project_id,
            room_id=room_code(self.random_bytes),
            custom_room_id=options.custom_room_id,
            api_key=api_key,
            disabled=False,
            webhook=options.webhook,
            auto_close_config=options.auto_close_config or dict(DEFAULT_AUTO_CLOSE),
            auto_start_config=options.auto_start_config,
            multi_composition=options.multi_composition,
            allowed_participant_ids=options.allowed_participant_ids,
            created_at=now,
            updated_at=now,
        )

    async def _by_custom_id(self, project_id: str, custom_room_id: str) -> Room | None:
        return await self.one_or_none(
            select(Room).where(Room.project_id == project_id, Room.custom_room_id == custom_room_id)
        )

    async def find(self, project_id: str, name: str) -> Room | None:
        """By id, roomId or customRoomId. A custom name can look like another room's roomId: the roomId wins."""
        any_name = or_(Room.id == name, Room.room_id == name, Room.custom_room_id == name)
        found = await self.all(select(Room).where(Room.project_id == project_id, any_name))
        return min(found, key=lambda room: (room.room_id != name, room.id != name), default=None)

    async def find_live(self, room_id: str) -> Room | None:
        """By roomId, in all projects: for events of the meeting plane, which knows no projects."""
        return await self.one_or_none(select(Room).where(Room.room_id == room_id))

    async def list(
        self, project_id: str, *, query: str | None = None, only: str | None = None, page: int = 1, per_page: int = 20
    ) -> Page[Room]:
        """Newest first. `query` and `only` (a token's room) are exact roomIds or customRoomIds."""
        rows = select(Room).where(Room.project_id == project_id)
        for name in (query, only):
            if name is not None:
                rows = rows.where(or_(Room.room_id == name, Room.custom_room_id == name))
        return await self.page(rows, (Room.created_at.desc(), Room.id.desc()), page, per_page)

    async def set_disabled(
        self, project_id: str, room_id: str, disabled: bool, *, tx: AsyncSession | None = None
    ) -> Room | None:
        where = (Room.project_id == project_id, Room.room_id == room_id)
        async with self.within(tx) as session:
            await session.execute(update(Room).where(*where).values(disabled=disabled, updated_at=self.now_ms()))
            return (await session.execute(select(Room).where(*where))).scalars().first()
