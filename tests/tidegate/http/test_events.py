from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import ClientPayloadError

from tests.support.api import running_api, until
from tidegate.config.model import LimitsConfig
from tidegate.events.bus import BusEvent
from tidegate.events.log import NewEvent
from tidegate.http import webhook_models
from tidegate.http.events import READERS, make_filter


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


async def publish(api, kind, room=None, *, project=None, hidden=False, **data):
    room_id = room.room_id if room else None
    await api.context.events.write(NewEvent(kind, project or api.key.project_id, room_id, None, data, hidden=hidden))


NUMBERS = itertools.count(1000)


def hand_out(api, kind, **data):
    """To readers only, before any of them has a turn."""
    api.bus.publish(BusEvent(next(NUMBERS), kind, api.key.project_id, None, data, 0.0))


async def test_events_have_the_form_of_webhooks(api):
    room = await api.room()
    async with reading(api) as next_event:
        await publish(api, "session-started", room, meetingId=room.room_id, text="a\nb")
        kind, body = await next_event()
    assert kind == "session-started"
    assert body == {
        "webhookType": "session-started",
        "data": {"meetingId": room.room_id, "text": "a\nb"},
        "id": "1",
        "time": "2023-11-14T22:13:20.000Z",
    }


async def test_filters(api):
    one, two = await api.room("one"), await api.room("two")
    async with reading(api, "?roomId=one&type=session*,participant-left") as next_event:
        await publish(api, "session-started", two)
        await publish(api, "participant-joined", one)
        await publish(api, "xsession-started", one)
        await publish(api, "session-ended", one)
        await publish(api, "participant-left", one)
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
        await publish(api, "a", project=other.project_id)
        await publish(api, "b", two)
        await publish(api, "c")
        await publish(api, "d", one, participantId="bob")
        await publish(api, "e", one, hidden=True)
        await publish(api, "f", one, participantId="ann")
        await publish(api, "g", one)
        assert [(await next_event())[0] for _ in range(2)] == ["f", "g"]
    await api.call("GET", "/v2/events?roomId=two", token=token, status=403)
    await api.call("GET", "/v2/events?roomId=three", status=404)


async def test_addresses_of_files_are_for_those_who_may_ask_for_them(api):
    """As at /v2/recordings: whoever may not record sees that something was recorded, not where it is downloaded."""
    file = {"filePath": "a.mp4", "fileUrl": "https://x.example/a.mp4?signature=1", "files": []}
    attendee = api.token(permissions=["allow_join"], grants={"record": False})
    json_please = {"Accept": "application/json"}
    async with reading(api) as owner, reading(api, token=attendee) as live, reading(api, "?after=0", token=attendee) as replay:
        await publish(api, "recording-stopped", recordingId="1", **file)
        assert (await owner())[1]["data"] == {"recordingId": "1", **file}
        for next_event in (live, replay):
            assert (await next_event())[1]["data"] == {"recordingId": "1"}
    listed = await api.call("GET", "/v2/events", token=attendee, headers=json_please)
    assert listed["data"][0]["data"] == {"recordingId": "1"}


# Replay


async def ids(next_event, count):
    return [int((await next_event())[1]["id"]) for _ in range(count)]


async def test_a_stream_goes_on_after_the_last_event_known(api):
    for number in range(5):
        await publish(api, "a", number=number)
    async with reading(api, headers={"Last-Event-ID": "2"}) as next_event:
        assert await ids(next_event, 3) == [3, 4, 5]
        await publish(api, "b")
        assert await ids(next_event, 1) == [6]
    async with reading(api, "?after=4") as next_event:
        assert await ids(next_event, 2) == [5, 6]
    async with reading(api, "?after=1", headers={"Last-Event-ID": "5"}) as next_event:
        assert await ids(next_event, 1) == [6], "a browser that reconnects sends the URL of long ago"
    async with reading(api) as next_event:
        await publish(api, "c")
        assert await ids(next_event, 1) == [7], "without either, from now on"


async def test_ids_are_fields_of_the_stream(api):
    await publish(api, "a")
    async with reading(api, "?after=0") as next_event:
        lines = next_event.lines
        await lines.readline()
        assert await lines.readline() == b"id: 1\n"


async def test_nothing_is_missed_or_told_twice_while_a_stream_catches_up(api, monkeypatch):
    """Events are written all the while: before, between and after its looks at the log, and while they are handed out."""
    monkeypatch.setattr("tidegate.http.events.PAGE", 7)
    total, written = 400, 0

    async def write():
        nonlocal written
        while written < total:
            written += 1
            await publish(api, "a", number=written)

    async def until_written(count):
        while True:
            if written >= count:
                return
            await asyncio.sleep(0.001)

    writer = asyncio.create_task(write())
    async with asyncio.timeout(60):
        await until_written(40)
        async with reading(api, "?after=3") as early:
            await until_written(200)
            async with reading(api, "?after=10") as late:
                assert await ids(late, total - 10) == list(range(11, total + 1))
            assert await ids(early, total - 3) == list(range(4, total + 1))
        await writer


async def test_a_reader_that_is_cut_off_before_its_first_event_misses_nothing(api):
    await publish(api, "a")
    async with reading(api) as next_event:
        greeting = await asyncio.wait_for(next_event.lines.readline(), 10)
    assert greeting == b"id: 1\n"
    await publish(api, "b")
    async with reading(api, headers={"Last-Event-ID": "1"}) as next_event:
        assert await ids(next_event, 1) == [2]


async def test_a_replay_obeys_filters_and_scopes(api):
    one, two = await api.room("one"), await api.room("two")
    other = await api.other_key()
    await publish(api, "a", project=other.project_id)
    await publish(api, "b", two)
    await publish(api, "c", one, participantId="bob")
    await publish(api, "d", one, hidden=True)
    await publish(api, "e", one, participantId="ann")
    await publish(api, "f", one)
    token = api.token(roomId="one", participantId="ann", permissions=["allow_join"])
    json_please = {"Accept": "application/json"}
    listed = await api.call("GET", "/v2/events", token=token, headers=json_please)
    assert [event["webhookType"] for event in listed["data"]] == ["e", "f"]
    async with reading(api, "?after=0", token=token) as next_event:
        assert [(await next_event())[0] for _ in range(2)] == ["e", "f"]
    listed = await api.call("GET", "/v2/events?type=e,f", headers=json_please)
    assert [event["webhookType"] for event in listed["data"]] == ["e", "f"]
    listed = await api.call("GET", "/v2/events", token=api.token(other), headers=json_please)
    assert [event["webhookType"] for event in listed["data"]] == ["a"]


async def test_a_list_after_an_id_that_is_not_there_yet_goes_on_with_what_comes(api):
    """Of a log that was replaced by another: as a stream does."""
    await publish(api, "a")
    json_please = {"Accept": "application/json"}
    listed = await api.call("GET", "/v2/events?after=5000", headers=json_please)
    assert listed == {"data": [], "next": "1", "hasMore": False}


async def test_the_log_is_a_list_too(api, monkeypatch):
    monkeypatch.setattr("tidegate.http.events.PAGE", 4)
    monkeypatch.setattr("tidegate.http.events.MAX_SCAN", 2)
    for number in range(11):
        await publish(api, "x" if number in (0, 9, 10) else "y", number=number)
    found, after = [], "0"
    for _ in range(20):
        page = await api.call(
            "GET", f"/v2/events?after={after}&type=x&perPage=1", headers={"Accept": "application/json"}
        )
        webhook_models.EventList.model_validate(page)
        found += [event["id"] for event in page["data"]]
        assert len(page["data"]) <= 1 and int(page["next"]) >= int(after)
        after = page["next"]
        if not page["hasMore"]:
            break
    assert found == ["1", "10", "11"] and after == "11"
    await publish(api, "x")
    page = await api.call("GET", f"/v2/events?after={after}", headers={"Accept": "application/json"})
    assert [event["id"] for event in page["data"]] == ["12"]


async def test_ids_of_a_log_that_was_replaced_hold_nothing_back(api):
    await publish(api, "a")
    async with reading(api, headers={"Last-Event-ID": "5000"}) as next_event:
        await publish(api, "b")
        assert (await next_event())[0] == "b"


async def test_bad_positions_are_refused(api):
    for header in ("x", "-1", "9" * 19, "1 2"):
        await api.call("GET", "/v2/events", headers={"Last-Event-ID": header}, status=400)
    await api.call("GET", "/v2/events?after=x", status=400)
    await api.call("GET", "/v2/events?type=A", status=400)


async def test_a_reader_that_takes_nothing_of_its_replay_is_cut_off(api, monkeypatch):
    monkeypatch.setattr("tidegate.http.events.WRITE_PATIENCE", 0.2)
    for _ in range(20):
        await publish(api, "big", text="x" * 1_000_000)
    async with reading(api, "?after=0"), asyncio.timeout(30):
        readers = api.client.app[READERS]
        while True:
            if not readers.total():
                break
            await asyncio.sleep(0.01)  # real sockets have to fill


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
            for number in range(5):
                hand_out(api, "a", number=number)
            with pytest.raises(ClientPayloadError):
                await next_event()
        await until(lambda: api.bus.readers == 0)


async def test_a_reader_that_does_not_read_is_cut_off_and_costs_nobody_else(tmp_path):
    async with running_api(tmp_path, limits=LimitsConfig(event_queue=8)) as api:
        async with reading(api, "?type=big"), reading(api, "?type=small") as next_event:
            for number in range(200):
                hand_out(api, "big", text="x" * 200_000)
                hand_out(api, "small", number=number)
                assert (await next_event())[1]["data"]["number"] == number
            assert api.bus.readers == 1


async def test_the_stream_ends_with_the_token(api, monkeypatch):
    monkeypatch.setattr("tidegate.http.events.HEARTBEAT", 0.01)
    async with reading(api, token=api.token(exp=int(api.wall.time) + 60)) as next_event:
        assert [await next_event.lines.readline() for _ in range(2)] == [b"id: 0\n", b"\n"]
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
            hand_out(api, "tick", number=number)
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
