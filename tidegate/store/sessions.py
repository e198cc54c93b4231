"""Sessions of rooms, and who was in them.

What changes them takes `tx`, the caller's transaction: their events are written with them (`EventLog.write`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidegate.store.event_models import WAITING, Delivery, Event
from tidegate.store.models import ENDED, ONGOING, Room, Session, SessionParticipant
from tidegate.store.repository import Page, Repository, clean

PERSONAL = frozenset({"participantName", "metaData", "attributes"})  # of an event, beside the id
LOGS = ("mic", "webcam", "screenShare", "screenShareAudio")
SHOWN = 100  # participants of a session that a list of sessions contains; the session itself has all, in pages
LOG_ENTRIES = 500  # of one log of one participant; the oldest go first, so that toggling cannot grow a row for ever


class Sessions(Repository):
    def make(self, room: Room, session_id: str, start_ms: int) -> Session:
        """The row of a session that begins; not kept by this."""
        return Session(
            id=session_id,
            project_id=room.project_id,
            room_id=room.room_id,
            custom_room_id=room.custom_room_id,
            api_key=room.api_key,
            status=ONGOING,
            start=start_ms,
            end=None,
            end_reason=None,
        )

    async def start(
        self, room: Room, session_id: str, start_ms: int, *, tx: AsyncSession | None = None
    ) -> Session:
        """A room has become occupied."""
        session = self.make(room, session_id, start_ms)
        async with self.within(tx) as database:
            database.add(session)
        return session

    async def end(self, session_id: str, end_ms: int, reason: str, *, tx: AsyncSession | None = None) -> bool:
        """Close the session, and the logs that are still open. An ended one stays as it is: False."""
        async with self.within(tx) as database:
            return await _end(database, Session.id == session_id, end_ms, reason)

    async def end_left_over(self, reason: str) -> int:
        """End the sessions that a killed node left ongoing; how many there were.

        Their true end is unknown: the latest thing known of each is taken, never the time of this start.
        """
        async with self.transaction() as database:
            left = list((await database.execute(select(Session).where(Session.status == ONGOING))).scalars())
            for session in left:
                people = await _people(database, session.id)
                await _end(database, Session.id == session.id, _latest(session, people), reason)
        return len(left)

    async def forget(self, before_ms: int) -> int:
        """Delete sessions that ended before, and who was in them; how many."""
        old = select(Session.id).where(Session.status == ENDED, Session.end < before_ms)
        async with self.transaction() as database:
            await database.execute(delete(SessionParticipant).where(SessionParticipant.session_id.in_(old)))
            gone = await database.execute(delete(Session).where(Session.status == ENDED, Session.end < before_ms))
        return gone.rowcount

    async def find(self, project_id: str, session_id: str) -> Session | None:
        return await self.one_or_none(
            select(Session).where(Session.project_id == project_id, Session.id == session_id)
        )

    async def ongoing(self, project_id: str, room_id: str) -> Session | None:
        """The running session of a room."""
        where = (Session.project_id == project_id, Session.room_id == room_id, Session.status == ONGOING)
        return await self.one_or_none(select(Session).where(*where).order_by(Session.start.desc()))

    async def list(
        self,
        project_id: str,
        *,
        rooms: tuple[str, ...] = (),
        status: str | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> Page[Session]:
        """Newest first. Each of `rooms` (exact roomId, customRoomId, or id of a session) must fit."""
        rows = select(Session).where(Session.project_id == project_id)
        for name in rooms:
            rows = rows.where(or_(Session.room_id == name, Session.custom_room_id == name, Session.id == name))
        if status is not None:
            rows = rows.where(Session.status == status)
        if start_ms is not None:
            rows = rows.where(Session.start >= start_ms)
        if end_ms is not None:
            rows = rows.where(Session.start <= end_ms)
        return await self.page(rows, (Session.start.desc(), Session.id.desc()), page, per_page)

    async def participants(
        self,
        project_id: str,
        session_id: str,
        *,
        active: bool = False,
        hidden: bool = True,
        only: str | None = None,
        page: int = 1,
        per_page: int = 20,
    ) -> Page[SessionParticipant]:
        """Newest first. `active`: those that have not left. `hidden`: these too. `only`: a token's participant."""
        rows = select(SessionParticipant).where(
            SessionParticipant.project_id == project_id, SessionParticipant.session_id == session_id
        )
        if active:
            rows = rows.where(SessionParticipant.is_active)
        rows = _seen(rows, hidden, only)
        order = (SessionParticipant.init_time.desc(), SessionParticipant.id.desc())
        return await self.page(rows, order, page, per_page)

    async def participants_of(
        self, session_ids: list[str], *, hidden: bool = True, only: str | None = None
    ) -> dict[str, tuple[list[SessionParticipant], int]]:
        """For a list of sessions: the first SHOWN participants of each, oldest first, and how many there are."""
        place = func.row_number().over(
            partition_by=SessionParticipant.session_id, order_by=(SessionParticipant.init_time, SessionParticipant.id)
        )
        count = func.count().over(partition_by=SessionParticipant.session_id)
        query = select(SessionParticipant.id, place.label("place"), count.label("total"))
        ranked = _seen(query, hidden, only).where(SessionParticipant.session_id.in_(session_ids)).subquery()
        rows = (
            select(SessionParticipant, ranked.c.total)
            .join(ranked, ranked.c.id == SessionParticipant.id)
            .where(ranked.c.place <= SHOWN)
            .order_by(SessionParticipant.init_time, SessionParticipant.id)
        )
        found: dict[str, tuple[list[SessionParticipant], int]] = {session_id: ([], 0) for session_id in session_ids}
        async with self._sessions() as database:
            for person, total in await database.execute(rows):
                found[person.session_id] = ([*found[person.session_id][0], person], total)
        return found

    async def participant(self, project_id: str, session_id: str, participant_id: str) -> SessionParticipant | None:
        return await self.one_or_none(
            select(SessionParticipant).where(
                SessionParticipant.project_id == project_id,
                SessionParticipant.session_id == session_id,
                SessionParticipant.participant_id == participant_id,
            )
        )

    async def forget_participant(self, project_id: str, session_id: str, participant_id: str) -> None:
        """Delete everything that is kept of somebody in a session. What a webhook still waits for keeps its ids until it is sent."""
        theirs = (
            Event.project_id == project_id,
            Event.session_id == session_id,
            Event.data["participantId"].as_string() == participant_id,
        )
        waits = exists(select(Delivery.id).where(Delivery.event_id == Event.id, Delivery.state == WAITING))
        async with self.transaction() as database:
            await database.execute(delete(Event).where(*theirs, ~waits), execution_options={"synchronize_session": False})
            for event in (await database.execute(select(Event).where(*theirs))).scalars():
                event.data = {name: value for name, value in event.data.items() if name not in PERSONAL}
            await database.execute(
                delete(SessionParticipant).where(
                    SessionParticipant.project_id == project_id,
                    SessionParticipant.session_id == session_id,
                    SessionParticipant.participant_id == participant_id,
                )
            )

    async def joined(
        self,
        session: Session,
        participant_id: str,
        *,
        name: str,
        mode: str,
        meta_data: Any,
        device_info: dict[str, Any],
        hidden: bool,
        at_ms: int,
        tx: AsyncSession | None = None,
    ) -> None:
        """Somebody came, or came back under the same participantId: then their time log goes on."""
        async with self.within(tx) as database:
            person = await _person(database, session.id, participant_id)
            if person is None:
                person = SessionParticipant(
                    id=self.new_id(),
                    project_id=session.project_id,
                    session_id=session.id,
                    participant_id=participant_id,
                    timelog=[],
                    events={name: [] for name in LOGS},
                    init_time=at_ms,
                )
                database.add(person)
            person.name, person.meta_data, person.device_info = clean(name), clean(meta_data), clean(device_info)
            person.mode, person.hidden = mode, hidden
            person.timelog = open_log(person.timelog, at_ms)
            person.is_active = True

    async def left(
        self, session_id: str, participant_id: str, at_ms: int, *, tx: AsyncSession | None = None
    ) -> None:
        async with self.within(tx) as database:
            person = await _person(database, session_id, participant_id)
            if person is not None:
                _close_logs(person, at_ms)

    async def renamed(
        self, session_id: str, participant_id: str, name: str, meta_data: Any, *, tx: AsyncSession | None = None
    ) -> None:
        where = (SessionParticipant.session_id == session_id, SessionParticipant.participant_id == participant_id)
        async with self.within(tx) as database:
            values = {"name": clean(name), "meta_data": clean(meta_data)}
            await database.execute(update(SessionParticipant).where(*where).values(**values))

    async def log(
        self, session_id: str, participant_id: str, log: str, on: bool, at_ms: int, *, tx: AsyncSession | None = None
    ) -> None:
        """`log` (one of LOGS) goes on or off."""
        async with self.within(tx) as database:
            person = await _person(database, session_id, participant_id)
            if person is not None:
                change = open_log if on else close_log
                person.events = {**person.events, log: change(person.events[log], at_ms)}


def open_log(entries: list[Any], at_ms: int) -> list[Any]:
    """A log with an open entry at its end; as it is when it has one."""
    if entries and entries[-1]["end"] is None:
        return entries
    return [*entries[-(LOG_ENTRIES - 1) :], {"start": at_ms, "end": None}]


def close_log(entries: list[Any], at_ms: int) -> list[Any]:
    """A log whose last entry is closed."""
    if not entries or entries[-1]["end"] is not None:
        return entries
    return [*entries[:-1], {**entries[-1], "end": max(at_ms, entries[-1]["start"])}]


def _close_logs(person: SessionParticipant, at_ms: int) -> None:
    person.timelog = close_log(person.timelog, at_ms)
    person.events = {name: close_log(entries, at_ms) for name, entries in person.events.items()}
    person.is_active = False


def _seen(query: Select[Any], hidden: bool, only: str | None) -> Select[Any]:
    if not hidden:
        query = query.where(SessionParticipant.hidden.is_(False))
    return query if only is None else query.where(SessionParticipant.participant_id == only)


async def _people(database: AsyncSession, session_id: str) -> list[SessionParticipant]:
    query = select(SessionParticipant).where(SessionParticipant.session_id == session_id)
    return list((await database.execute(query)).scalars())


async def _person(database: AsyncSession, session_id: str, participant_id: str) -> SessionParticipant | None:
    query = select(SessionParticipant).where(
        SessionParticipant.session_id == session_id, SessionParticipant.participant_id == participant_id
    )
    return (await database.execute(query)).scalars().first()


async def _end(database: AsyncSession, which: Any, end_ms: int, reason: str) -> bool:
    session = (await database.execute(select(Session).where(which, Session.status == ONGOING))).scalars().first()
    if session is None:
        return False
    session.status, session.end, session.end_reason = ENDED, max(end_ms, session.start), reason
    for person in await _people(database, session.id):
        _close_logs(person, session.end)
    return True


def _latest(session: Session, people: list[SessionParticipant]) -> int:
    times = [session.start]
    for person in people:
        for entries in (person.timelog, *person.events.values()):
            times.extend(time for entry in entries for time in entry.values() if time is not None)
    return max(times)
