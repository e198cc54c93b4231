"""Room broadcasts: one text for all who get it, handed to their sockets in slices, in order.

A slice is what one turn of the loop may do (DESIGN section 2): a room of hundreds must not hold up the packets of all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from sfu.io.signalling_connection import Connection
from sfu.meeting.participant import Participant

SLICE = 16  # sends of one turn of the loop; DESIGN section 2


@dataclass(slots=True)
class _Entry:
    data: bytes
    recipients: tuple[Connection, ...]
    skip: Connection | None = None
    close_code: int | None = None  # the recipients' sockets end with it
    position: int = 0


@dataclass(slots=True, eq=False)
class Channel:
    """A room: its sockets, and what they must still be told. Everything to one socket keeps its order."""

    connections: dict[str, Connection] = field(default_factory=dict)  # by inner_id
    ending: bool = False  # everybody is put out: nobody is told of the others any more
    backlog: int = 0  # sends not done
    shrunk: asyncio.Event = field(default_factory=asyncio.Event)
    _entries: deque[_Entry] = field(default_factory=deque)
    _everybody: tuple[Connection, ...] | None = None
    _by_participant: dict[str, Connection] = field(default_factory=dict)

    def add(self, participant: Participant, connection: Connection) -> None:
        self.connections[participant.inner_id] = connection
        self._by_participant[participant.participant_id] = connection
        self._everybody = None

    def discard(self, participant_id: str, inner_id: str) -> None:
        """A stay ends; a newer one under the same participant_id is not touched."""
        connection = self.connections.pop(inner_id, None)
        if connection is not None and self._by_participant.get(participant_id) is connection:
            del self._by_participant[participant_id]
        self._everybody = None

    def connection_of(self, participant_id: str) -> Connection | None:
        return self._by_participant.get(participant_id)

    def everybody(self) -> tuple[Connection, ...]:
        """One tuple for all broadcasts until somebody comes or goes."""
        if self._everybody is None:
            self._everybody = tuple(self.connections.values())
        return self._everybody

    def append(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self.backlog += len(entry.recipients)

    def send_slice(self, budget: int) -> int:
        """Does at most `budget` sends; returns how many."""
        done = 0
        while self._entries and done < budget:
            entry = self._entries[0]
            until = min(len(entry.recipients), entry.position + budget - done)
            for connection in entry.recipients[entry.position : until]:
                if connection is entry.skip:
                    continue
                connection.send(entry.data)
                if entry.close_code is not None:
                    connection.finish(entry.close_code)
            done += until - entry.position
            self.backlog -= until - entry.position
            entry.position = until
            if until == len(entry.recipients):
                self._entries.popleft()
        return done

    @property
    def idle(self) -> bool:
        return not self._entries


class Outbox:
    """All rooms' channels. Rooms take turns, so a loud one does not delay the others."""

    def __init__(self, max_room_backlog: int) -> None:
        self.channels: dict[str, Channel] = {}
        self._max_room_backlog = max_room_backlog
        self._pending: deque[Channel] = deque()
        self._handle: asyncio.Handle | None = None

    def channel(self, room_id: str) -> Channel:
        return self.channels.setdefault(room_id, Channel())

    def drop_if_empty(self, room_id: str) -> None:
        channel = self.channels.get(room_id)
        if channel is not None and not channel.connections:
            del self.channels[room_id]  # what it still must send goes out: it is in _pending

    def broadcast(self, channel: Channel, data: bytes, *, skip: Connection | None = None) -> None:
        self._append(channel, _Entry(data, channel.everybody(), skip))

    def tell(self, channel: Channel, connection: Connection, data: bytes, *, close_code: int | None = None) -> None:
        """To one, in order with the broadcasts."""
        self._append(channel, _Entry(data, (connection,), None, close_code))

    async def wait_for_room(self, channel: Channel) -> None:
        """Returns once the channel's backlog is below its bound: who makes it grow is read no faster than it is sent."""
        while channel.backlog > self._max_room_backlog:
            channel.shrunk.clear()
            await channel.shrunk.wait()

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _append(self, channel: Channel, entry: _Entry) -> None:
        if not entry.recipients:
            return
        if channel.idle:
            self._pending.append(channel)
        channel.append(entry)
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self._send_slice)

    def _send_slice(self) -> None:
        self._handle = None
        budget = SLICE
        while self._pending and budget > 0:
            channel = self._pending.popleft()
            budget -= channel.send_slice(budget)
            if not channel.idle:
                self._pending.append(channel)
            if channel.backlog <= self._max_room_backlog:
                channel.shrunk.set()
        if self._pending:
            self._handle = asyncio.get_running_loop().call_soon(self._send_slice)
