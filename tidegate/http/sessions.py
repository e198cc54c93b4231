"""/v2/sessions: reference section 2.2. Commands on a running session go to the meeting plane."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from media.errors import ParseError, PeerError
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants
from tidegate import auth
from tidegate.events.recovery import session_ended
from tidegate.http import answers, models, render
from tidegate.http.context import HttpContext
from tidegate.http.endpoint import Call, Endpoint
from tidegate.http.problem import Problem, not_found
from tidegate.http.rooms import find_room
from tidegate.store import Room, Session, SessionParticipant


async def find_session(call: Call, session_id: str) -> Session:
    await call.context.flush()
    session = await call.context.store.sessions.find(call.who.project_id, session_id)
    if session is None:
        raise not_found("session")
    auth.require_room(call.who, session.room_id, session.custom_room_id)
    return session


async def list_sessions(call: Call) -> dict[str, Any]:
    query: models.ListSessions = call.query
    await call.context.flush()
    names = (query.room_id, query.custom_room_id, query.query, call.who.room_id)
    sessions = call.context.store.sessions
    found = await sessions.list(
        call.who.project_id,
        rooms=tuple(name for name in names if name is not None),
        status=query.status,
        start_ms=query.start_date,
        end_ms=query.end_date,
        page=query.page,
        per_page=query.per_page,
    )
    people = await sessions.participants_of([row.id for row in found.rows], **_visible(call))
    base = call.context.public_url(call.request)
    return render.page(found, lambda row: render.session(row, *people[row.id], base))


def _visible(call: Call) -> dict[str, Any]:
    """Which participants the caller may see: hidden ones for moderators only, others not with a personal token."""
    return {"hidden": call.who.grants.moderate, "only": call.who.participant_id}


async def _render_one(call: Call, session: Session) -> dict[str, Any]:
    people, total = (await call.context.store.sessions.participants_of([session.id], **_visible(call)))[session.id]
    base, now_ms = call.context.public_url(call.request), int(call.context.wall() * 1000)
    return render.one_session(session, people, total, base, now_ms)


async def get(call: Call) -> dict[str, Any]:
    return await _render_one(call, await find_session(call, call.path["sessionId"]))


async def _participants(call: Call, *, active: bool) -> tuple[dict[str, int], dict[str, Any]]:
    session = await find_session(call, call.path["sessionId"])
    rows = await call.context.store.sessions.participants(
        call.who.project_id,
        session.id,
        active=active,
        page=call.query.page,
        per_page=call.query.per_page,
        **_visible(call),
    )
    base, now_ms = call.context.public_url(call.request), int(call.context.wall() * 1000)
    return render.page_info(rows), render.one_session(session, rows.rows, rows.total, base, now_ms)


async def participants(call: Call) -> dict[str, Any]:
    page_info, session = await _participants(call, active=False)
    return {"pageInfo": page_info, "data": session}


async def active_participants(call: Call) -> dict[str, Any]:
    page_info, session = await _participants(call, active=True)
    return {"pageInfo": page_info, "data": [session]}


async def _one_participant(call: Call) -> tuple[Session, SessionParticipant]:
    session = await find_session(call, call.path["sessionId"])
    auth.require_participant(call.who, call.path["participantId"])
    row = await call.context.store.sessions.participant(call.who.project_id, session.id, call.path["participantId"])
    if row is None or (row.hidden and not call.who.grants.moderate):
        raise not_found("participant")
    return session, row


async def participant(call: Call) -> dict[str, Any]:
    _, row = await _one_participant(call)
    return render.participant(row)


async def forget_participant(call: Call) -> dict[str, Any]:
    """Somebody's wish to have their data deleted."""
    session, row = await _one_participant(call)
    if row.is_active:
        raise Problem(409, "the participant is in the session: remove them first")
    await call.context.store.sessions.forget_participant(row.project_id, session.id, row.participant_id)
    return await _render_one(call, session)


async def end(call: Call) -> dict[str, Any]:
    body: models.EndSession = call.body
    room = await find_room(call.context, call.who, body.room_id)
    if body.session_id is not None:
        named = await find_session(call, body.session_id)
        if named.room_id != room.room_id:
            raise not_found("session in this room")
        if named.end is not None:
            if body.ignore_closed:
                return await _render_one(call, named)
            raise Problem(409, "the session has ended already")
    running = await _running(call, room)
    if running is None:
        raise not_found("running session in this room")
    if not call.context.meetings.end_room(room.room_id, CloseReason.MEETING_END_API):
        await _end_row(call.context, running)
    return await _render_one(call, await find_session(call, running.id))


async def _end_row(context: HttpContext, session: Session) -> None:
    """Of a session that the meeting plane does not know: there is only its row to end, and that to tell."""
    session.end, session.end_reason = int(context.wall() * 1000), CloseReason.MEETING_END_API.name

    async def change(tx: AsyncSession) -> None:
        if not await context.store.sessions.end(session.id, session.end, session.end_reason, tx=tx):
            raise Problem(409, "the session has ended already")  # meanwhile, and it was told

    await context.events.write(session_ended(session), change=change)


async def _running(call: Call, room: Room) -> Session | None:
    await call.context.flush()
    return await call.context.store.sessions.ongoing(room.project_id, room.room_id)


async def _target(call: Call) -> Session:
    """The running session that a body names by roomId or sessionId, its participant within the token's reach."""
    body: models.OfParticipant = call.body
    auth.require_participant(call.who, body.participant_id)
    if body.room_id is not None:
        session = await _running(call, await find_room(call.context, call.who, body.room_id))
    else:
        session = await find_session(call, body.session_id or "")
    if session is None or session.end is not None:
        raise _nobody()
    return session


def _nobody() -> PeerError:
    return PeerError(4066, "REMOVE_PARTICIPANT_FAILED", "no such participant in a running session")


async def remove(call: Call) -> dict[str, Any]:
    session = await _target(call)
    if not call.context.meetings.remove(session.room_id, call.body.participant_id, CloseReason.REMOVE_PEER_API):
        raise _nobody()
    return await _render_one(call, await find_session(call, session.id))


async def change_grants(call: Call) -> dict[str, Any]:
    session = await _target(call)
    wanted = call.body.grants
    try:
        added = Grants.from_wire(wanted)
    except ParseError as error:
        path, _, message = str(error).partition(": ")
        raise Problem(400, str(error), name="INVALID_REQUEST", errors=[(path, message)]) from None
    if not added.is_subset_of(call.who.grants):
        raise PeerError(4025, "UNAUTHORIZED_REQUEST", "nobody gives what their own token lacks")
    grants = call.context.meetings.set_grants(session.room_id, call.body.participant_id, wanted)
    return {"participantId": call.body.participant_id, "grants": grants.to_wire()}


TAG = "Sessions"

ENDPOINTS = (
    Endpoint("GET", "/v2/sessions", list_sessions, "List sessions, newest first", TAG,
             query=models.ListSessions, answer=answers.Page[answers.Session]),
    Endpoint("POST", "/v2/sessions/end", end, "End the running session: everybody is put out", TAG,
             needs=("end",), body=models.EndSession, answer=answers.OneSession),
    Endpoint("POST", "/v2/sessions/participants/remove", remove, "Put a participant out", TAG,
             needs=("moderate",), body=models.OfParticipant, answer=answers.OneSession),
    Endpoint("POST", "/v2/sessions/participants/grants", change_grants, "Change what a participant may do, now", TAG,
             needs=("moderate",), body=models.ChangeGrants, answer=answers.ChangedGrants),
    Endpoint("GET", "/v2/sessions/{sessionId}", get, "A session", TAG, answer=answers.OneSession),
    Endpoint("GET", "/v2/sessions/{sessionId}/participants", participants, "Everybody who was in a session", TAG,
             query=models.Paged, answer=answers.SessionPage),
    Endpoint("GET", "/v2/sessions/{sessionId}/participants/active", active_participants, "Who is in a session now", TAG,
             query=models.Paged, answer=answers.ActivePage),
    Endpoint("GET", "/v2/sessions/{sessionId}/participants/{participantId}", participant, "One participant", TAG,
             answer=answers.Participant),
    Endpoint("DELETE", "/v2/sessions/{sessionId}/participants/{participantId}", forget_participant,
             "Delete all that is kept of a participant who has left", TAG, needs=("moderate",), answer=answers.OneSession),
)  # fmt: skip
