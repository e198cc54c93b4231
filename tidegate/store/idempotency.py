"""Answers to POSTs with an Idempotency-Key, and settings of a project."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from tidegate.store.models import IdempotencyKey, Setting
from tidegate.store.repository import Repository


class IdempotencyKeys(Repository):
    async def claim(self, project_id: str, scope: str, key: str, fingerprint: str) -> IdempotencyKey | None:
        """None when the key is ours now: the caller makes the answer. Else what is known under that key."""
        row = IdempotencyKey(
            project_id=project_id,
            scope=scope,
            key=key,
            fingerprint=fingerprint,
            status=None,
            answer=None,
            created_at=self.now_ms(),
        )
        try:
            async with self.transaction() as session:
                session.add(row)
            return None
        except IntegrityError:
            return await self.one_or_none(select(IdempotencyKey).where(*_is(project_id, scope, key)))

    async def answer(self, project_id: str, scope: str, key: str, status: int, answer: Any) -> None:
        async with self.transaction() as session:
            await session.execute(
                update(IdempotencyKey).where(*_is(project_id, scope, key)).values(status=status, answer=answer)
            )

    async def release(self, project_id: str, scope: str, key: str) -> None:
        """Nothing came of it: the caller may try again under the same key."""
        async with self.transaction() as session:
            await session.execute(delete(IdempotencyKey).where(*_is(project_id, scope, key)))

    async def forget(self, before_ms: int) -> None:
        """Drop what is older."""
        async with self.transaction() as session:
            await session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < before_ms))

    async def release_left_over(self) -> None:
        """Claims whose answer a killed node never gave."""
        async with self.transaction() as session:
            await session.execute(delete(IdempotencyKey).where(IdempotencyKey.status.is_(None)))


def _is(project_id: str, scope: str, key: str) -> tuple[Any, ...]:
    return (IdempotencyKey.project_id == project_id, IdempotencyKey.scope == scope, IdempotencyKey.key == key)


class Settings(Repository):
    async def get(self, project_id: str, name: str, default: Any = None) -> Any:
        row = await self.one_or_none(select(Setting).where(Setting.project_id == project_id, Setting.name == name))
        return default if row is None else row.value

    async def set(self, project_id: str, name: str, value: Any) -> None:
        async with self.transaction() as session:
            await session.merge(Setting(project_id=project_id, name=name, value=value, updated_at=self.now_ms()))

    async def once(self, project_id: str, name: str, value: Any) -> Any:
        """What is kept under the name; `value` where nothing was. Two who ask at once get the same."""
        try:
            async with self.transaction() as session:
                session.add(Setting(project_id=project_id, name=name, value=value, updated_at=self.now_ms()))
            return value
        except IntegrityError:
            return await self.get(project_id, name)
