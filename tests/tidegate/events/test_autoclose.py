from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from sfu.meeting.participant import CloseReason
from tests.support.clock import Clock
from tidegate.events.autoclose import AutoClose
from tidegate.events.bus import EventBus
from tidegate.events.log import EventLog
from tidegate.store import RoomOptions


class Meetings:
    def __init__(self):
        self.ended = []
        self.told = asyncio.Event()

    def end_room(self, room_id, reason):
        self.ended.append((room_id, reason))
        self.told.set()
        return True


@pytest.fixture
def now():
    return Clock(1000.0)


@pytest.fixture
def meetings():
    return Meetings()


@pytest.fixture
def auto_close(store, meetings, now):
    return AutoClose(store, meetings, EventLog(store, EventBus()), now)


async def make_room(store, **config):
    key = await store.first_key()
    options = RoomOptions(auto_close_config={"type": "session-ends", "duration": 480, **config})
    return (await store.rooms.create(key.project_id, key.api_key, options))[0]


async def test_a_session_ends_after_its_minutes(store, auto_close, meetings, now):
    short, long = await make_room(store, duration=2), await make_room(store)
    auto_close.started(short, "s1")
    auto_close.started(long, "s2")
    assert auto_close.get_timer() == 1120.0
    now.time = 1119.9
    await auto_close.close_due()
    assert meetings.ended == []
    now.time = 1120.0
    await auto_close.close_due()
    await auto_close.close_due()
    assert meetings.ended == [(short.room_id, CloseReason.ROOM_CLOSE)]
    assert not (await store.rooms.find_live(short.room_id)).disabled
    assert auto_close.get_timer() == 1000.0 + 480 * 60


async def test_and_the_room_is_deactivated_if_it_says_so(store, auto_close, meetings, now):
    room = await make_room(store, type="session-end-and-deactivate", duration=1)
    auto_close.started(room, "s1")
    now.time += 60
    await auto_close.close_due()
    assert (await store.rooms.find_live(room.room_id)).disabled and len(meetings.ended) == 1
    told = await store.events.after(room.project_id, 0)
    assert [(event.type, event.room_id) for event in told] == [("room-disabled", room.room_id)]


async def test_a_session_that_ended_by_itself_is_forgotten(store, auto_close, meetings, now):
    auto_close.started(await make_room(store, duration=1), "s1")
    auto_close.ended("s1")
    auto_close.ended("never")
    now.time += 3600
    await auto_close.close_due()
    assert meetings.ended == [] and auto_close.get_timer() is None


async def test_the_task_wakes_for_a_session_that_is_due(store, auto_close, meetings, now):
    task = asyncio.create_task(auto_close.run())
    await asyncio.sleep(0)
    room = await make_room(store, duration=1)
    now.time -= 60
    auto_close.started(room, "s1")
    now.time += 60
    await asyncio.wait_for(meetings.told.wait(), 5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert meetings.ended == [(room.room_id, CloseReason.ROOM_CLOSE)]
