"""Events within the process: who publishes does not wait, who reads has a bounded queue of their own.

The bus keeps nothing: a reader sees what happens from its subscription on, and replays what was before from the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.store.event_models import Event

SLICE = 16  # readers served between two turns of the loop, so that many of them cannot hold it up
BACKLOG = 10_000  # events waiting to be handed out; bounds memory when the loop is far behind
READER_QUEUE = 256  # events one reader may have waiting, unless told otherwise; one further behind is disconnected


@dataclass(frozen=True, slots=True)
class BusEvent:
    """`id` grows; `type` is a webhook name of the reference (`participant-joined`) or ours; `time` Unix seconds."""

    id: int
    type: str
    project_id: str
    room_id: str | None
    data: dict[str, Any]
    time: float
    hidden: bool = False
    """About a participant of whom nobody in the room may hear: for moderators only."""
    session_id: str | None = None
    subject: str | None = None

    @classmethod
    def from_row(cls, row: Event) -> BusEvent:
        """As the log keeps it."""
        return cls(
            row.id, row.type, row.project_id, row.room_id, row.data, row.created_at / 1000, row.hidden, row.session_id, row.subject
        )


class EventReader:
    """One subscription. `next()` waits; None when it was closed or fell behind (`is_behind`)."""

    def __init__(
        self, bus: EventBus, wanted: Callable[[BusEvent], bool], limit: int, on_behind: Callable[[], None] | None
    ) -> None:
        self._bus = bus
        self._wanted = wanted
        self._limit = limit
        self._on_behind = on_behind
        self._events: deque[BusEvent] = deque()
        self._wake = asyncio.Event()
        self.is_behind = False
        self.is_closed = False

    def offer(self, event: BusEvent) -> None:
        """Called by the bus."""
        if self.is_closed or not self._wanted(event):
            return
        if len(self._events) >= self._limit:
            self.cut_off()
            return
        self._events.append(event)
        self._wake.set()

    def cut_off(self) -> None:
        """It missed something: it is closed and told so, and goes on from the store when it comes again."""
        self.is_behind = True
        self._events.clear()
        self.close()
        if self._on_behind is not None:
            self._on_behind()

    async def next(self) -> BusEvent | None:
        while not self._events:
            if self.is_closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def close(self) -> None:
        self.is_closed = True
        self._wake.set()
        self._bus.forget(self)


class EventBus:
    """`publish` from anywhere in the loop; `run()` is a task owned by the application."""

    def __init__(self) -> None:
        self._readers: dict[EventReader, None] = {}
        self._backlog: deque[BusEvent] = deque()
        self._wake = asyncio.Event()
        self.published = 0
        self.dropped = 0

    def publish(self, event: BusEvent) -> None:
        """Hand out an event to all readers that want it, in the order of the calls: for `EventLog`, after the commit."""
        if len(self._backlog) >= BACKLOG:
            self.dropped += 1
            for reader in list(self._readers):
                reader.cut_off()
            return
        self._backlog.append(event)
        self.published += 1
        self._wake.set()

    def subscribe(
        self,
        wanted: Callable[[BusEvent], bool],
        *,
        limit: int = READER_QUEUE,
        on_behind: Callable[[], None] | None = None,
    ) -> EventReader:
        """A reader of the events for which `wanted` is true. The caller closes it.

        `on_behind` is told when more than `limit` events wait and the reader is closed for it.
        """
        reader = EventReader(self, wanted, limit, on_behind)
        self._readers[reader] = None
        return reader

    def forget(self, reader: EventReader) -> None:
        self._readers.pop(reader, None)

    @property
    def readers(self) -> int:
        return len(self._readers)

    async def run(self) -> None:
        """Hand out what is published, until cancelled."""
        while True:
            while self._backlog:
                await self._hand_out(self._backlog.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def _hand_out(self, event: BusEvent) -> None:
        readers = list(self._readers)
        for start in range(0, len(readers), SLICE):
            for reader in readers[start : start + SLICE]:
                reader.offer(event)
            if start + SLICE < len(readers):
                await asyncio.sleep(0)

    def close(self) -> None:
        """End every subscription; readers see None."""
        for reader in list(self._readers):
            reader.close()
