"""What becomes of deliveries: which are due, who is at them, what each attempt came to; and the endpoints of projects.

Deliveries of one endpoint with the same `order_key` go in the order of their events. A later one waits for an earlier one that is
being sent or due; past OVERDUE it goes before one that only waits for its next attempt, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from tidegate.store.event_models import DEAD, DELIVERED, WAITING, Delivery, DeliveryAttempt, Event, WebhookEndpoint
from tidegate.store.repository import Page, Repository, clean

OVERDUE_MS = 3_600_000  # an earlier event that does not get through holds up later ones no longer than this
GRACE_MS = 1_800_000  # after the end of a delivery's time, for its last attempt
PAUSED = "its time was up while the endpoint was paused or earlier events held it up"
LIMIT = 16  # of one endpoint, where the caller sets none
DELETED = "the endpoint was deleted"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours to send until its lease ends."""

    delivery: Delivery
    event: Event
    out_of_order: bool
    """An earlier event of the same order still waits."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt came to. `state` is the delivery's afterwards, `next_at` when to try again."""

    at_ms: int
    duration_ms: int
    status: int | None
    error: str | None
    answer: str | None
    state: str
    next_at: int
    reason: str | None = None
    """Why it is dead."""


class Deliveries(Repository):
    async def claim(
        self, *, now_ms: int, lease_ms: int, limit: int, blocked: Collection[str] = (), room: Callable[[str], int] = lambda key: LIMIT
    ) -> list[Claimed]:
        """Take up to `limit` deliveries that are due, the longest due first: of an endpoint no more than `room(key)`, of those in
        `blocked` none.

        Nobody else gets them before the lease ends: a node that dies loses none. On PostgreSQL several nodes may claim at once.
        """
        earlier = aliased(Delivery)
        before = and_(
            earlier.endpoint_key == Delivery.endpoint_key,
            earlier.order_key == Delivery.order_key,
            earlier.state == WAITING,
            earlier.event_id < Delivery.event_id,
        )
        is_moving = or_(earlier.next_at <= now_ms, earlier.lease_until > now_ms)
        held_up = exists(
            select(earlier.id).where(before, or_(Delivery.created_at > now_ms - OVERDUE_MS, is_moving))
        )
        due = (
            select(Delivery, exists(select(earlier.id).where(before)))
            .where(_is_due(now_ms, blocked), Delivery.next_at <= now_ms, ~held_up)
            .order_by(Delivery.next_at, Delivery.event_id)
            .limit(limit)
            .with_for_update(of=Delivery, skip_locked=True)
        )
        async with self.transaction() as tx:
            found = _fitting([(delivery, ahead) for delivery, ahead in await tx.execute(due)], room)
            if not found:
                return []
            lease = (
                update(Delivery)
                .where(Delivery.id.in_([delivery.id for delivery, _ in found]), Delivery.lease_until <= now_ms)
                .values(lease_until=now_ms + lease_ms)
                .returning(Delivery.id)
            )
            # SQLite locks nothing for the query: somebody else may have been faster.
            ours = set((await tx.execute(lease, execution_options={"synchronize_session": False})).scalars())
            found = [(delivery, ahead) for delivery, ahead in found if delivery.id in ours]
            query = select(Event).where(Event.id.in_({delivery.event_id for delivery, _ in found}))
            events = {event.id: event for event in (await tx.execute(query)).scalars()}
        return [Claimed(delivery, events[delivery.event_id], ahead) for delivery, ahead in found]

    async def next_due(self, *, now_ms: int, blocked: Collection[str] = ()) -> int | None:
        """When the next delivery becomes due that is not yet."""
        query = select(func.min(Delivery.next_at)).where(_is_due(now_ms, blocked), Delivery.next_at > now_ms)
        async with self._sessions() as database:
            return (await database.execute(query)).scalar()

    async def finish(self, claimed: Claimed, attempt: Attempt) -> None:
        """Log an attempt and give the delivery back. One that was deleted or sent again meanwhile is not touched."""
        delivery = claimed.delivery
        values: dict[str, Any] = {"state": attempt.state, "next_at": attempt.next_at, "lease_until": 0}
        if attempt.state != WAITING:
            values |= {"done_at": attempt.at_ms + attempt.duration_ms, "reason": attempt.reason}
        row = DeliveryAttempt(
            delivery_id=delivery.id,
            at=attempt.at_ms,
            duration_ms=attempt.duration_ms,
            status=attempt.status,
            error=attempt.error,
            answer=clean(attempt.answer),
            out_of_order=claimed.out_of_order,
        )
        async with self.transaction() as tx:
            changed = await tx.execute(
                update(Delivery)
                .where(Delivery.id == delivery.id, Delivery.state == WAITING)
                .values(attempts=Delivery.attempts + 1, **values)
            )
            if changed.rowcount:
                tx.add(row)

    async def release(self, endpoint_key: str, now_ms: int) -> None:
        """The endpoint answers again: all that waits for it is due."""
        where = (Delivery.endpoint_key == endpoint_key, Delivery.state == WAITING, Delivery.next_at > now_ms)
        async with self.transaction() as tx:
            await tx.execute(update(Delivery).where(*where).values(next_at=now_ms))

    async def release_leases(self) -> None:
        """At the start of a node that has the store for itself: what its predecessor was sending is due."""
        async with self.transaction() as tx:
            await tx.execute(update(Delivery).where(Delivery.lease_until > 0).values(lease_until=0))

    async def give_up(self, now_ms: int) -> int:
        """End what is past its time although its turn did not come (its endpoint was paused); how many."""
        where = (Delivery.state == WAITING, Delivery.give_up_at <= now_ms - GRACE_MS, Delivery.lease_until <= now_ms)
        async with self.transaction() as tx:
            values = {"state": DEAD, "done_at": now_ms, "reason": PAUSED}
            return (await tx.execute(update(Delivery).where(*where).values(**values))).rowcount

    async def bring_back(self, beyond_ms: int, now_ms: int) -> None:
        """Due now: what is put off, or lent, beyond any time that is given: the clock was ahead then."""
        where = (Delivery.state == WAITING, or_(Delivery.next_at > beyond_ms, Delivery.lease_until > beyond_ms))
        async with self.transaction() as tx:
            await tx.execute(update(Delivery).where(*where).values(next_at=now_ms, lease_until=0))

    async def counts(self, now_ms: int) -> tuple[int, float]:
        """How many wait, and since how many seconds the oldest."""
        query = select(func.count(), func.min(Delivery.created_at)).where(Delivery.state == WAITING)
        async with self._sessions() as database:
            waiting, oldest = (await database.execute(query)).one()
        return waiting, 0.0 if oldest is None else max(0.0, (now_ms - oldest) / 1000)

    # The log, for people

    async def list(
        self,
        project_id: str,
        *,
        state: str | None = None,
        room_id: str | None = None,
        session_id: str | None = None,
        type: str | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> Page[Delivery]:
        """Newest event first."""
        rows = select(Delivery).where(Delivery.project_id == project_id)
        wanted = {"state": state, "room_id": room_id, "session_id": session_id, "type": type}
        for name, value in wanted.items():
            if value is not None:
                rows = rows.where(getattr(Delivery, name) == value)
        return await self.page(rows, (Delivery.event_id.desc(), Delivery.id), page, per_page)

    async def find(self, project_id: str, delivery_id: str) -> tuple[Delivery, Event] | None:
        query = select(Delivery, Event).join(Event, Event.id == Delivery.event_id)
        query = query.where(Delivery.project_id == project_id, Delivery.id == delivery_id)
        async with self._sessions() as database:
            found = (await database.execute(query)).first()
        return None if found is None else (found[0], found[1])

    async def attempts(self, delivery_ids: Collection[str]) -> dict[str, list[DeliveryAttempt]]:
        """Of each delivery, oldest first."""
        found: dict[str, list[DeliveryAttempt]] = {name: [] for name in delivery_ids}
        rows = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_(list(found)))
        for row in await self.all(rows.order_by(DeliveryAttempt.id)):
            found[row.delivery_id].append(row)
        return found

    async def last_attempts(self, delivery_ids: Collection[str]) -> dict[str, DeliveryAttempt]:
        """The newest of each delivery that had one."""
        newest = select(func.max(DeliveryAttempt.id)).where(DeliveryAttempt.delivery_id.in_(list(delivery_ids)))
        rows = select(DeliveryAttempt).where(DeliveryAttempt.id.in_(newest.group_by(DeliveryAttempt.delivery_id)))
        return {row.delivery_id: row for row in await self.all(rows)}

    async def send_again(self, project_id: str, delivery_id: str, *, now_ms: int, give_up_ms: int) -> bool:
        """Whether there was such a delivery. One that is waiting is due at once; its attempts begin anew."""
        values = {
            "state": WAITING,
            "attempts": 0,
            "next_at": now_ms,
            "give_up_at": now_ms + give_up_ms,
            "done_at": None,
            "reason": None,
        }
        where = (Delivery.project_id == project_id, Delivery.id == delivery_id)
        async with self.transaction() as tx:
            return bool((await tx.execute(update(Delivery).where(*where).values(**values))).rowcount)


class WebhookEndpoints(Repository):
    async def create(self, project_id: str, url: str, events: list[str], secret: str) -> WebhookEndpoint:
        row = WebhookEndpoint(
            id=self.new_id(), project_id=project_id, url=url, events=events, secret=secret, created_at=self.now_ms()
        )
        async with self.transaction() as tx:
            tx.add(row)
        return row

    async def list(self, project_id: str, *, page: int = 1, per_page: int = 20) -> Page[WebhookEndpoint]:
        """Newest first."""
        rows = select(WebhookEndpoint).where(WebhookEndpoint.project_id == project_id)
        return await self.page(rows, (WebhookEndpoint.created_at.desc(), WebhookEndpoint.id), page, per_page)

    async def count(self, project_id: str) -> int:
        query = select(func.count()).select_from(WebhookEndpoint).where(WebhookEndpoint.project_id == project_id)
        async with self._sessions() as database:
            return (await database.execute(query)).scalar_one()

    async def find(self, project_id: str, endpoint_id: str) -> WebhookEndpoint | None:
        where = (WebhookEndpoint.project_id == project_id, WebhookEndpoint.id == endpoint_id)
        return await self.one_or_none(select(WebhookEndpoint).where(*where))

    async def delete(self, project_id: str, endpoint_id: str) -> bool:
        """Whether there was such an endpoint. What waits for it is dead."""
        where = (WebhookEndpoint.project_id == project_id, WebhookEndpoint.id == endpoint_id)
        waiting = (Delivery.project_id == project_id, Delivery.endpoint_id == endpoint_id, Delivery.state == WAITING)
        now = self.now_ms()
        async with self.transaction() as tx:
            gone = (await tx.execute(delete(WebhookEndpoint).where(*where))).rowcount
            await tx.execute(update(Delivery).where(*waiting).values(state=DEAD, done_at=now, reason=DELETED))
        return bool(gone)


def _fitting(found: list[tuple[Delivery, bool]], room: Callable[[str], int]) -> list[tuple[Delivery, bool]]:
    taken: Counter[str] = Counter()
    chosen = []
    for delivery, ahead in found:
        if taken[delivery.endpoint_key] < room(delivery.endpoint_key):
            taken[delivery.endpoint_key] += 1
            chosen.append((delivery, ahead))
    return chosen


def _is_due(now_ms: int, blocked: Collection[str]) -> ColumnElement[bool]:
    due = and_(Delivery.state == WAITING, Delivery.lease_until <= now_ms)
    return and_(due, Delivery.endpoint_key.not_in(list(blocked))) if blocked else due


__all__ = ["DEAD", "DELIVERED", "WAITING", "Attempt", "Claimed", "Deliveries", "WebhookEndpoints"]
