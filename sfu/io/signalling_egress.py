"""Requests that the application carries out: recordings and broadcasts. They may take long, so they run beside the socket's others.

What they mean is the application's matter (`Egress` of `signalling_ports.py`). Here: who may, how many at a time, and the answer.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from media.errors import PeerError
from sfu.io import signalling_messages as messages
from sfu.io.signalling_connection import Connection
from sfu.io.signalling_ports import Egress
from sfu.meeting.participant import Participant
from sfu.meeting.refusals import Refusal

log = logging.getLogger(__name__)

MAX_PARAMS_BYTES = 32768  # as JSON: a layout of many boxes takes a tenth
MAX_RUNNING = 256  # of all participants: those who leave and join again leave theirs behind. Policy: refuse

# Which of these grants somebody must have one of
GRANTS: Mapping[str, tuple[str, ...]] = {
    "start-recording": ("record",),
    "stop-recording": ("record",),
    "start-livestream": ("broadcast",),
    "stop-livestream": ("broadcast",),
    "update-composition": ("record", "broadcast"),
}


class EgressDesk:
    """Owns the commands that are carried out: one for each participant, however often its socket comes back."""

    def __init__(self, egress: Egress | None, pump: Callable[[], None]) -> None:
        self._egress = egress
        self._pump = pump
        self._running: dict[str, asyncio.Task[None]] = {}  # by inner_id

    def begin(
        self, connection: Connection, participant: Participant, request_id: int, method: str, params: dict[str, Any]
    ) -> None:
        """The answer is sent to the socket when it is there, if the socket is. PeerError when it is not even tried."""
        needed = GRANTS[method]
        if not any(getattr(participant.grants, grant) for grant in needed):
            raise Refusal.UNAUTHORIZED_REQUEST(f"this needs the grant {' or '.join(f'`{grant}`' for grant in needed)}")
        if self._egress is None:
            raise Refusal.NOT_SUPPORTED("this server neither records nor broadcasts")
        if len(messages.to_text(params)) > MAX_PARAMS_BYTES:
            raise Refusal.TOO_MUCH(f"params: at most {MAX_PARAMS_BYTES} bytes of JSON")
        if participant.inner_id in self._running:
            raise Refusal.TOO_MUCH("the last such request is not done yet")
        if len(self._running) >= MAX_RUNNING:
            raise Refusal.SERVER_BUSY("too many such requests are being carried out; try again later")
        task = asyncio.create_task(
            self._carry_out(self._egress, connection, participant, request_id, method, params), name=method
        )
        self._running[participant.inner_id] = task

    async def close(self) -> None:
        """What is not done is cancelled."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(
        self,
        egress: Egress,
        connection: Connection,
        participant: Participant,
        request_id: int,
        method: str,
        params: dict[str, Any],
    ) -> None:
        try:
            answer = messages.answer(request_id, await egress.command(participant, method, params))
        except PeerError as error:
            answer = messages.error_answer(request_id, error)
        except Exception:  # the meeting is sound, so the socket stays
            reference = uuid.uuid4().hex[:12]
            log.exception("%s failed, reference %s, peer %s", method, reference, connection.peer)
            answer = messages.error_answer(request_id, Refusal.INTERNAL(f"internal error, request id {reference}"))
        finally:
            del self._running[participant.inner_id]
        connection.send(answer)
        self._pump()
