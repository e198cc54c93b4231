from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import ClientPayloadError

from tests.support.api import running_api, until
from tidegate.config.model import LimitsConfig
from tidegate.events.bus import BusEvent
from tidegate.http.events import make_filter


@asynccontextmanager
async def reading(api, query="", **more):
    """Yields `next_event()`: the next event as (type, body)."""
    async with api.request("GET", f"/v2/events{query}", **more) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        lines = response.content

        async def next_event():
            kind = None
            while True:
                line = (await asyncio.wait_for(lines.readline(), 10)).decode()
                if not line:
                    return None
                if line.startswith("event: "):
                    kind = line[7:].strip()
                elif line.startswith("data: "):
                    return kind, json.loads(line[6:])

        next_event.lines = lines
        await lines.readline()  # the greeting: from here on nothing is missed
        yield next_event


def publish(api, kind, room=None, *, project=None, hidden=False, **data):
    api.bus.publish(kind, project or api.key.project_id, room.room_id if room else None, data, hidden=hidden)


async def test_events_have_the_form_of_webhooks(api):
    room = await api.room()
    async with reading(api) as next_event:
        publish(api, "session-started", room, meetingId=room.room_id, text="a\nb")
        kind, body = await next_event()
    assert kind == "session-started"
    assert body == {
        "webhookType": "session-started",
        "data": {"meetingId": room.room_id, "text": "a\nb"},
        "time": "2023-11-14T22:13:20.000Z",
    }


async def test_filters(api):
    one, two = await api.room("one"), await api.room("two")
    async with reading(api, "?roomId=one&type=session*,participant-left") as next_event:
        publish(api, "session-started", two)
        publish(api, "participant-joined", one)
        publish(api, "xsession-started", one)
        publish(api, "session-ended", one)
        publish(api, "participant-left", one)
        assert [(await next_event())[0] for _ in range(2)] == ["session-ended", "participant-left"]


def test_a_row_of_stars_costs_no_time(api):
    matches = make_filter(SimpleNamespace(project_id="p", participant_id=None), None, "*a" * 250)
    assert not matches(BusEvent(1, "a" * 60 + "b", "p", None, {}, 0.0))
    assert make_filter(SimpleNamespace(project_id="p", participant_id=None), None, "*-started")(
        BusEvent(1, "session-started", "p", None, {}, 0.0)
    )


async def test_scopes(api):
    one, two = await api.room("one"), await api.room("two")
    other = await api.other_key()
    token = api.token(roomId="one", participantId="ann", permissions=["allow_join"])
    async with reading(api, token=token) as next_event:
        publish(api, "a", project=other.project_id)
        publish(api, "b", two)
        publish(api, "c")
        publish(api, "d", one, participantId="bob")
        publish(api, "e", one, hidden=True)
        publish(api, "f", one, participantId="ann")
        publish(api, "g", one)
        assert [(await next_event())[0] for _ in range(2)] == ["f", "g"]
    await api.call("GET", "/v2/events?roomId=two", token=token, status=403)
    await api.call("GET", "/v2/events?roomId=three", status=404)


async def test_replay_is_refused_by_name(api):
    assert (await api.call("GET", "/v2/events?after=5", status=501))["errors"][0]["path"] == "after"
    await api.call("GET", "/v2/events", headers={"Last-Event-ID": "5"}, status=501)
    await api.call("GET", "/v2/events?type=A", status=400)


async def test_readers_are_limited_by_key_and_given_back(tmp_path):
    limits = LimitsConfig(max_event_streams_per_key=1)
    async with running_api(tmp_path, limits=limits) as api:
        async with reading(api):
            await api.call("GET", "/v2/events", status=429)
            other = await api.other_key()
            async with reading(api, token=api.token(other)):
                pass
        await until(lambda: api.bus.readers == 0)
        async with reading(api):
            pass


async def test_a_reader_that_falls_behind_is_cut_off(tmp_path):
    async with running_api(tmp_path, limits=LimitsConfig(event_queue=4)) as api:
        async with reading(api) as next_event:
            for number in range(5):  # before the reader has a turn
                publish(api, "a", number=number)
            with pytest.raises(ClientPayloadError):
                await next_event()
        await until(lambda: api.bus.readers == 0)


async def test_a_reader_that_does_not_read_is_cut_off_and_costs_nobody_else(tmp_path):
    async with running_api(tmp_path, limits=LimitsConfig(event_queue=8)) as api:
        async with reading(api, "?type=big"), reading(api, "?type=small") as next_event:
            for number in range(200):
                publish(api, "big", text="x" * 200_000)
                publish(api, "small", number=number)
                assert (await next_event())[1]["data"]["number"] == number
            assert api.bus.readers == 1


async def test_the_stream_ends_with_the_token(api, monkeypatch):
    monkeypatch.setattr("tidegate.http.events.HEARTBEAT", 0.01)
    async with reading(api, token=api.token(exp=int(api.wall.time) + 60)) as next_event:
        assert await next_event.lines.readline() == b"\n"
        assert await next_event.lines.readline() == b": still here\n"
        api.wall.time += 66
        assert await next_event() is None


async def test_the_stream_ends_when_the_key_is_disabled(api, monkeypatch):
    monkeypatch.setattr("tidegate.http.events.HEARTBEAT", 0.01)
    async with reading(api) as next_event:
        await api.store.keys.set_disabled(api.key.project_id, api.key.api_key, True)
        assert await next_event() is None


async def test_the_stream_ends_when_the_secret_is_rotated(api, monkeypatch):
    monkeypatch.setattr("tidegate.http.events.HEARTBEAT", 0.01)
    async with reading(api) as next_event:
        await api.store.keys.rotate(api.key.project_id, api.key.api_key)
        assert await next_event() is None


async def test_a_busy_stream_is_looked_at_too(api, monkeypatch):
    monkeypatch.setattr("tidegate.http.events.HEARTBEAT", 0.01)
    async with reading(api) as next_event:
        await api.store.keys.set_disabled(api.key.project_id, api.key.api_key, True)
        for number in range(10_000):
            publish(api, "tick", number=number)
            if await next_event() is None:
                break
        else:
            pytest.fail("a stream that is never silent was never looked at")


async def test_the_end_of_the_server_ends_streams(api):
    async with reading(api) as next_event:
        api.bus.close()
        assert await next_event() is None


async def test_rooms_made_over_rest_are_events(api):
    async with reading(api) as next_event:
        room = await api.call("POST", "/v2/rooms", json={"customRoomId": "new"})
        await api.call("POST", "/v2/rooms", json={"customRoomId": "new"})
        await api.call("POST", "/v2/rooms/deactivate", json={"roomId": room["roomId"]})
        kinds = [(await next_event()) for _ in range(2)]
    assert [kind for kind, _ in kinds] == ["room-created", "room-disabled"]
    assert kinds[0][1]["data"] == {"meetingId": room["roomId"], "customRoomId": "new"}
