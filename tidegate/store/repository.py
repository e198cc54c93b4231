"""What repositories share: transactions, ids, the clock, pages of a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from media.ids import RandomBytes, document_id

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A part of a list; `number` counts from 1."""

    rows: list[Row]
    number: int
    size: int
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))


def clean(value: Any) -> Any:
    """JSON as both databases can keep it: NUL and lone surrogates, which PostgreSQL refuses, become U+FFFD."""
    if isinstance(value, str):
        return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


class Repository:
    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], random_bytes: RandomBytes, wall: Callable[[], float]
    ) -> None:
        self._sessions = sessions
        self.random_bytes = random_bytes
        self._wall = wall

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        async with self._sessions() as session, session.begin():
            yield session

    @asynccontextmanager
    async def within(self, tx: AsyncSession | None) -> AsyncIterator[AsyncSession]:
        """The caller's transaction, or one of our own."""
        if tx is not None:
            yield tx
            return
        async with self.transaction() as own:
            yield own

    def new_id(self) -> str:
        return document_id(self.random_bytes)

    def now_ms(self) -> int:
        return int(self._wall() * 1000)

    async def one_or_none(self, query: Select[tuple[Row]]) -> Row | None:
        async with self._sessions() as session:
            return (await session.execute(query)).scalars().first()

    async def all(self, query: Select[tuple[Row]]) -> list[Row]:
        async with self._sessions() as session:
            return list((await session.execute(query)).scalars())

    async def page(self, query: Select[tuple[Row]], order: tuple[Any, ...], number: int, size: int) -> Page[Row]:
        """Rows of one page, in `order`, and how many there are in all."""
        async with self._sessions() as session:
            total = (await session.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
            rows = (await session.execute(query.order_by(*order).limit(size).offset((number - 1) * size))).scalars()
            return Page(list(rows), number, size, total)
