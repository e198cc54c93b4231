"""The event log and its outbox: events, written with the change they tell of and with a delivery for each endpoint that wants them.

An event's id is above that of every event committed before it, on PostgreSQL too: a lock of the database is held from the
first id to the commit, so whoever has read up to an id has missed nothing below it. What becomes of deliveries: deliveries.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from sqlalchemy import and_, delete, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tidegate.store.event_models import DELIVERED, WAITING, Delivery, Event, WebhookEndpoint
from tidegate.store.models import ENDED, Room, Session
from tidegate.store.repository import Repository, clean

T = TypeVar("T")
Change = Callable[[AsyncSession], Awaitable[T]]

ORDER_LOCK = 0x7469_6576  # of PostgreSQL: who holds it gives out ids
FORGET_SLICE = 500  # events deleted in one transaction: others write in between


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened. `type` is a webhook name of the reference (`recording-started`) or ours."""

    type: str
    project_id: str
    room_id: str | None
    session_id: str | None
    data: dict[str, Any]
    """As the webhook says it; JSON."""
    subject: str | None = None
    """Id of the recording, broadcast, file... that it is about."""
    hidden: bool = False
    """About a participant of whom nobody in the room may hear: for moderators only, and in no webhook."""
    webhook_url: str | None = None
    """`webhookUrl` of the call that began it: gets this event too."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the configuration says of webhooks."""

    url: str = ""
    events: tuple[str, ...] = ("*",)
    give_up_ms: int = 72 * 3_600_000


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    endpoint_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Who wants which events, read once for a transaction."""

    endpoints: list[WebhookEndpoint]
    rooms: dict[str, dict[str, Any]]
    """roomId -> its `webhook`."""
    account: Account

    @classmethod
    async def read(cls, tx: AsyncSession, events: Sequence[NewEvent], account: Account) -> _Wanted:
        projects = {event.project_id for event in events}
        endpoints = select(WebhookEndpoint).where(WebhookEndpoint.project_id.in_(projects))
        rooms = {event.room_id for event in events if event.room_id is not None}
        webhooks = select(Room.room_id, Room.webhook).where(Room.room_id.in_(rooms), Room.webhook.is_not(None))
        return cls(
            list((await tx.execute(endpoints.order_by(WebhookEndpoint.created_at, WebhookEndpoint.id))).scalars()),
            {room_id: webhook for room_id, webhook in await tx.execute(webhooks)} if rooms else {},
            account,
        )

    def targets(self, event: NewEvent) -> list[Target]:
        """Where it goes: the project's endpoints, its call's address, its room's, the account's; each address once."""
        if event.hidden:
            return []
        found = [
            Target(row.url, row.id)
            for row in self.endpoints
            if row.project_id == event.project_id and fits(event.type, row.events)
        ]
        urls = [event.webhook_url]
        webhook = self.rooms.get(event.room_id or "")
        if webhook is not None and fits(event.type, webhook["events"]):
            urls.append(webhook["endPoint"])
        if fits(event.type, self.account.events):
            urls.append(self.account.url)
        return found + [Target(url) for url in dict.fromkeys(urls) if url]


class Events(Repository):
    async def write(
        self, events: Sequence[NewEvent], change: Change[T] | None, account: Account
    ) -> tuple[T | None, list[Event], int]:
        """One transaction: `change`, the events, their deliveries. What `change` returned, the rows, how many deliveries."""
        async with self.transaction() as tx:
            result = None if change is None else await change(tx)
            if not events:
                return result, [], 0
            await tx.flush()
            if tx.get_bind().dialect.name == "postgresql":
                await tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ORDER_LOCK})
            now = self.now_ms()
            rows = [_row(event, now) for event in events]
            tx.add_all(rows)
            await tx.flush()  # gives out ids in the order of the list; a test holds both databases to that
            wanted = await _Wanted.read(tx, events, account)
            deliveries = [
                self._delivery(row, target, now, account)
                for event, row in zip(events, rows, strict=True)
                for target in wanted.targets(event)
            ]
            tx.add_all(deliveries)
        return result, rows, len(deliveries)

    def _delivery(self, event: Event, target: Target, now: int, account: Account) -> Delivery:
        by_url = hashlib.sha256(f"{event.project_id} {target.url}".encode()).hexdigest()[:24]
        return Delivery(
            id=self.new_id(),
            event_id=event.id,
            project_id=event.project_id,
            type=event.type,
            room_id=event.room_id,
            session_id=event.session_id,
            subject=event.subject,
            endpoint_id=target.endpoint_id,
            url=target.url,
            endpoint_key=target.endpoint_id or by_url,
            order_key=event.session_id or event.subject or event.room_id,
            state=WAITING,
            attempts=0,
            created_at=now,
            next_at=now,
            give_up_at=now + account.give_up_ms,
            lease_until=0,
            done_at=None,
            reason=None,
        )

    async def after(
        self, project_id: str, after: int, *, room_id: str | None = None, limit: int = 200
    ) -> list[Event]:
        """The events above an id, in order."""
        query = select(Event).where(Event.project_id == project_id, Event.id > after)
        if room_id is not None:
            query = query.where(Event.room_id == room_id)
        return await self.all(query.order_by(Event.id).limit(limit))

    async def newest(self) -> int:
        """The highest id of all projects; 0 when there is none."""
        async with self._sessions() as database:
            return (await database.execute(select(func.max(Event.id)))).scalar() or 0

    async def webhook_summaries(
        self, *, subjects: Iterable[str] = (), sessions: Iterable[str] = ()
    ) -> dict[str, dict[str, Any]]:
        """For each subject and session: `webhook{totalCount, successCount, data[{type, success}]}` of the reference."""
        found: dict[str, dict[str, Any]] = {}
        async with self._sessions() as database:
            for column, ids in ((Delivery.subject, list(subjects)), (Delivery.session_id, list(sessions))):
                for name in ids:
                    found[name] = {"totalCount": 0, "successCount": 0, "data": []}
                query = select(column, Delivery.type, Delivery.state).where(column.in_(ids))
                for name, kind, state in await database.execute(query.order_by(Delivery.event_id)) if ids else ():
                    success = state == DELIVERED
                    found[name]["totalCount"] += 1
                    found[name]["successCount"] += success
                    found[name]["data"].append({"type": kind, "success": success})
        return found

    async def untold_ends(self) -> list[Session]:
        """Sessions that have ended and whose start was told, but not their end: what a killed node leaves."""
        told = select(Event.id).where(Event.session_id == Session.id)
        started, ended = (exists(told.where(Event.type == kind)) for kind in ("session-started", "session-ended"))
        return await self.all(select(Session).where(Session.status == ENDED, started, ~ended).order_by(Session.end))

    async def forget(self, before_ms: int) -> int:
        """Delete older events and the log of their deliveries; how many. Not those that a delivery still waits for, nor the end of
        a session whose start may be one of them: `untold_ends` would take it for one that was never told."""
        waiting = select(Delivery.id).where(Delivery.state == WAITING)
        waits = exists(waiting.where(Delivery.event_id == Event.id))
        is_needed = and_(Event.type == "session-ended", exists(waiting.where(Delivery.session_id == Event.session_id)))
        old = select(Event.id).where(Event.created_at < before_ms, ~waits, ~is_needed).order_by(Event.id).limit(FORGET_SLICE)
        gone = 0
        while True:
            async with self.transaction() as tx:
                ids = list((await tx.execute(old)).scalars())
                await tx.execute(delete(Event).where(Event.id.in_(ids)))
            gone += len(ids)
            if len(ids) < FORGET_SLICE:
                return gone


def fits(kind: str, patterns: Iterable[str]) -> bool:
    """Whether an event's name is one of these names or patterns (`session*`)."""
    return any(fnmatchcase(kind, pattern) for pattern in patterns)


def _row(event: NewEvent, now: int) -> Event:
    return Event(
        project_id=event.project_id,
        type=event.type,
        room_id=event.room_id,
        session_id=event.session_id,
        subject=event.subject,
        hidden=event.hidden,
        data=clean(event.data),
        created_at=now,
    )
