"""After a node was killed: the ends of sessions that nobody was told of.

`Store.recover` ends the rows; the egress then tells of what hung on them; the sessions' own ends come last, as they always do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sfu.meeting.participant import CloseReason
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.recorder import reason_to_wire
from tidegate.store import Session


async def tell_ends(events: EventLog, sessions: Iterable[Session]) -> None:
    """Write the `session-ended` of these: `store.events.untold_ends()` as it was at the start, before this node has sessions of
    its own, told after everything that hung on them."""
    for session in sessions:
        await events.write(session_ended(session))


def session_ended(session: Session) -> NewEvent:
    """The event of a row that has ended."""
    data: dict[str, Any] = {"meetingId": session.room_id, "sessionId": session.id, "start": session.start, "end": session.end}
    data["reason"] = _reason(session.end_reason or "")
    return NewEvent("session-ended", session.project_id, session.room_id, session.id, data)


def _reason(name: str) -> dict[str, Any]:
    """NODE_STOPPED is no reason that a client ever sees: it has a name and the code for unknown ones."""
    if name in CloseReason.__members__:
        return reason_to_wire(CloseReason[name])
    return {"code": CloseReason.UNKNOWN.code, "name": name}
