from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

from tests.support.api import until
from tidegate.events import bus as bus_module
from tidegate.events.bus import BusEvent, EventBus


class Numbered:
    """What the log does: ids that grow."""

    def __init__(self, bus):
        self.bus, self.last = bus, 0

    def publish(self, kind, data=None):
        self.last += 1
        self.bus.publish(BusEvent(self.last, kind, "project", "room", data or {}, 7.0))


@asynccontextmanager
async def running_bus():
    bus = EventBus()
    bus.log = Numbered(bus)
    task = asyncio.create_task(bus.run())
    yield bus
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_readers_get_what_they_want_in_order():
    async with running_bus() as bus:
        everything = bus.subscribe(lambda event: True)
        some = bus.subscribe(lambda event: event.type == "b")
        for kind in "abab":
            bus.log.publish(kind, {"n": bus.published})
        got = [await everything.next() for _ in range(4)]
        assert [(event.type, event.id, event.data["n"], event.time) for event in got] == [
            ("a", 1, 0, 7.0), ("b", 2, 1, 7.0), ("a", 3, 2, 7.0), ("b", 4, 3, 7.0),
        ]  # fmt: skip
        assert [(await some.next()).id for _ in range(2)] == [2, 4]


async def test_a_reader_sees_nothing_from_before():
    async with running_bus() as bus:
        bus.log.publish("old")
        await until(lambda: not bus._backlog)
        reader = bus.subscribe(lambda event: True)
        bus.log.publish("new")
        assert (await reader.next()).type == "new"


async def test_who_falls_behind_is_closed_and_nobody_else():
    async with running_bus() as bus:
        told = []
        slow = bus.subscribe(lambda event: True, limit=3, on_behind=lambda: told.append(True))
        good = bus.subscribe(lambda event: True)
        for _ in range(4):
            bus.log.publish("a")
        assert [(await good.next()).id for _ in range(4)] == [1, 2, 3, 4]
        assert slow.is_behind and slow.is_closed and told == [True] and await slow.next() is None
        assert bus.readers == 1
        bus.log.publish("a")
        assert (await good.next()).id == 5


async def test_many_readers_are_served_in_slices(monkeypatch):
    monkeypatch.setattr(bus_module, "SLICE", 2)
    async with running_bus() as bus:
        served = []
        readers = [bus.subscribe(lambda event, n=n: bool(served.append(n)) or True) for n in range(5)]
        bus.log.publish("a")
        turns = []
        while len(served) < 5:
            await asyncio.sleep(0)
            turns.append(len(served))
        assert sorted(set(turns) - {0}) == [2, 4, 5]
        assert [(await reader.next()).type for reader in readers] == ["a"] * 5


async def test_the_backlog_is_bounded(monkeypatch):
    monkeypatch.setattr(bus_module, "BACKLOG", 2)
    bus = EventBus()
    told = []
    reader = bus.subscribe(lambda event: True, on_behind=lambda: told.append(True))
    log = Numbered(bus)
    for _ in range(5):
        log.publish("a")
    assert (bus.published, bus.dropped) == (2, 3)
    assert reader.is_behind and told == [True] and bus.readers == 0, "a reader must not go on as if it had missed nothing"


async def test_close_wakes_who_waits():
    async with running_bus() as bus:
        waiting = asyncio.create_task(bus.subscribe(lambda event: True).next())
        await until(lambda: bus.readers == 1)
        bus.close()
        assert await waiting is None and bus.readers == 0
