"""A broadcast from its start to its last webhook: one encode, several RTMP targets, each with its own state.

    starting -> live -> stopping -> stopped        or failed: no target ever took it, or none does any more
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from media.errors import ParseError, UsageError
from rtmp.config import BroadcasterConfig
from rtmp.io.broadcaster import Broadcaster, TargetPhase, TargetState
from rtmp.url import parse_target
from sfu.meeting.refusals import Refusal
from tidegate.egress import names
from tidegate.egress.plane import Plane
from tidegate.egress.requests import BroadcastTarget
from tidegate.egress.run import Run
from tidegate.egress.states import move
from tidegate.events.log import NewEvent
from tidegate.outgoing import OutgoingRefused
from tidegate.store import Broadcast
from tidegate.store.away import is_away
from tidegate.store.media_models import FAILED, LIVE, STARTING, STOPPED, STOPPING, Output

log = logging.getLogger(__name__)

FAREWELL = 5.0  # seconds that targets get for the last frames and their goodbye; a dead one is cut then
NUMBERS_EVERY = 5.0  # seconds between updates of bit rates in the row
OVER = (TargetPhase.FAILED, TargetPhase.STOPPED)
ALL_FAILED = "no target takes the broadcast; see the outputs' errors"


class BroadcastJob:
    """One row. Made with its targets; `life` is its task."""

    row: Broadcast
    """Set before anybody is told of the job, as is `run`."""
    run: Run

    def __init__(self, plane: Plane, job_id: str) -> None:
        self.plane = plane
        self.id = job_id
        self.reason: str | None = None
        self._changed = asyncio.Event()
        self._flv_ended = asyncio.Event()
        self._writing = asyncio.Lock()
        self._told: dict[str, tuple[str, str]] = {}  # output id -> state and error, as last told
        self._places: dict[str, tuple[str, str]] = {}  # output id -> address and key
        self.broadcaster = Broadcaster(
            BroadcasterConfig(**asdict(plane.broadcast)),
            self._resolve,
            self._on_state,
            forbidden=(OutgoingRefused,),
            ssl_context=plane.guard.tls,
        )

    @property
    def session_id(self) -> str | None:
        return self.row.session_id

    @property
    def state(self) -> str:
        return self.row.state

    # Targets

    @staticmethod
    def check_target(target: BroadcastTarget) -> None:
        """PeerError 4015 for an address that cannot be meant."""
        try:
            parse_target(target.url, target.stream_key)
        except ParseError as error:
            raise Refusal.INVALID_LIVESTREAM_CONFIG(str(error)) from None

    def add_target(self, target: BroadcastTarget) -> str:
        """Its id. PeerError 4015 for an address that cannot be meant, one that is there already, and one too many."""
        output_id = self.plane.new_id()
        try:
            parsed = parse_target(target.url, target.stream_key)
            place = (parsed.tc_url, parsed.stream_key)
            if any(self._places.get(one.id) == place for one in self.broadcaster.states() if one.state not in OVER):
                raise UsageError("this target is there already: the second would push out the first")
            self.broadcaster.add_target(output_id, target.url, target.stream_key)
        except (ParseError, UsageError) as error:
            raise Refusal.INVALID_LIVESTREAM_CONFIG(str(error)) from None
        self._places[output_id] = place
        return output_id

    async def remove_target(self, output_id: str) -> None:
        """KeyError when there is none of this id."""
        await self.broadcaster.remove_target(output_id, FAREWELL)
        self._told.pop(output_id, None)
        self._places.pop(output_id, None)

    async def abandon(self) -> None:
        """It did not begin after all."""
        await self.broadcaster.stop(FAREWELL)

    async def note_outputs(self) -> Broadcast:
        """Targets came or went."""
        async with self._writing:
            await self.write(self.state, None)
        self._changed.set()
        return self.row

    async def note_config(self, config: dict[str, Any]) -> Broadcast:
        """How the picture was asked to look from now on."""
        async with self._writing:
            await self.write(self.state, None, config={**self.row.config, **config})
        self._changed.set()
        return self.row

    def outputs(self) -> list[Output]:
        return [shown(state) for state in self.broadcaster.states()]

    def _on_state(self, state: TargetState) -> None:
        self._changed.set()

    async def _resolve(self, host: str, port: int, scheme: str) -> list[str]:
        return [address.host for address in await self.plane.guard.resolve(host, port, scheme)]

    # The worker's stream

    def begin_flv(self) -> None:
        """A worker begins; not the first one if it began before."""
        if self.run.restarts:
            self.broadcaster.restart_flv()

    def receive_flv(self, data: bytes) -> None:
        if not data:
            if self.run.is_stopping:
                self._flv_ended.set()
            return
        try:
            self.broadcaster.receive_flv(data)
        except ParseError as error:
            log.error("broadcast %s: the worker's stream cannot be read: %s", self.id, error)

    # Its life

    async def write(
        self,
        state: str,
        event: str | None,
        data: dict[str, Any] | None = None,
        *,
        targets: Iterable[TargetState] = (),
        must: bool = True,
        **changes: Any,
    ) -> None:
        """A step: the row and the events that tell of it, and of `targets`, in one transaction. `must`: wait for a database
        that is away."""
        row, outputs = self.row, self.outputs()
        broadcasts = self.plane.store.broadcasts
        told = []
        if event is not None:
            facts = names.broadcast_data(row, **(data or {})) | {"outputs": names.outputs_wire(outputs)}
            told.append(self._event(event, facts))
        told += [self._output_event(one) for one in targets]
        keep = self.plane.persist if must else self.plane.events.write
        self.row = await keep(
            *told, change=lambda tx: move(tx, broadcasts, row.id, state, outputs=outputs, **changes)
        )

    async def stop(self, reason: str | None = None) -> Broadcast:
        """Begin the end. Again is harmless."""
        self.run.stop()
        async with self._writing:
            if self.state in (STARTING, LIVE):
                self.reason = reason
                await self.write(STOPPING, "livestream-stopping", {} if reason is None else {"reason": reason})
        self._changed.set()
        return self.row

    async def life(self, tell: Any) -> None:
        """Until everything is written. `tell()` makes the room know."""
        run = self.run
        ended = asyncio.create_task(self._flv_ended.wait())
        finished = asyncio.ensure_future(asyncio.shield(run.finished))
        try:
            while not (ended.done() or finished.done()):
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait([changed, ended, finished], timeout=NUMBERS_EVERY, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                self._changed.clear()
                await self._try_to_follow(tell)
        finally:
            ended.cancel()
            run.stop()
            tell()
            await self.broadcaster.stop(FAREWELL)  # whatever happened: no target is sent to without somebody who looks after it
        await self._end(run)
        tell()
        await finished
        if self.row.recording_id is None:  # else its folder is the recording's, which goes on
            await self.plane.forget(run.what.spec.id)

    async def _end(self, run: Run) -> None:
        error = (run.finished.result().error if run.finished.done() else None) or self.reason
        async with self._writing:
            now = self.plane.wall_ms()
            if self.row.start is None:
                words = error or "no target took the broadcast"
                await self.write(FAILED, "livestream-failed", {"error": words}, error=words, end=now)
            else:
                data = {} if error is None else {"error": error}
                await self.write(STOPPED, "livestream-stopped", data, error=error, end=now)

    async def _try_to_follow(self, tell: Any) -> None:
        """Never waits for the database: targets get their goodbye also while it is away."""
        if self._writing.locked():
            return  # whoever writes sets `_changed` afterwards
        try:
            await self._follow(tell)
        except Exception as error:
            if not is_away(error):
                raise
            log.warning("the state of broadcast %s cannot be kept now", self.id)

    async def _follow(self, tell: Any) -> None:
        """What became of the targets: into the row, to whoever listens, and to the room."""
        states = self.broadcaster.states()
        changed = [one for one in states if self._told.get(one.id) != _gist(one)]
        async with self._writing:
            if self.state == STARTING and any(one.state is TargetPhase.LIVE for one in states):
                await self.write(LIVE, "livestream-started", targets=changed, must=False, start=self.plane.wall_ms())
            elif self.state in (STARTING, LIVE) or changed:
                await self.write(self.state, None, targets=changed, must=False)
            self._told |= {one.id: _gist(one) for one in changed}
        if changed:
            tell()
        if states and self.state in (STARTING, LIVE) and all(one.state is TargetPhase.FAILED for one in states):
            await self.stop(ALL_FAILED)

    def _event(self, name: str, data: dict[str, Any]) -> NewEvent:
        row = self.row
        return NewEvent(
            name, row.project_id, row.room_id, row.session_id, data, subject=row.id, webhook_url=row.webhook_url
        )

    def _output_event(self, state: TargetState) -> NewEvent:
        row = self.row
        data = {"meetingId": row.room_id, "sessionId": row.session_id, "id": row.id}
        return self._event("broadcast-output-changed", data | {"output": names.outputs_wire([shown(state)])[0]})


def _gist(state: TargetState) -> tuple[str, str]:
    """What is worth an event: not each of the attempts that fail alike."""
    trying = state.error and state.state is TargetPhase.CONNECTING
    return (TargetPhase.RETRYING.value if trying else state.state.value, state.error)


def shown(state: TargetState) -> Output:
    return Output(
        id=state.id,
        url=state.url,
        state=state.state.value,
        error=state.error or None,
        bitrate=state.bitrate_bps,
        retries=max(0, state.attempts - 1),
    )

