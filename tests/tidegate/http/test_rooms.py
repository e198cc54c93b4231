from __future__ import annotations

import pytest

from media.ids import ROOM_ID
from sfu.meeting.participant import CloseReason
from tidegate.http import answers


async def create(api, **body):
    return await api.call("POST", "/v2/rooms", json=body)


async def test_create_and_get_by_each_name(api):
    room = await create(api, customRoomId="standup")
    answers.Room.model_validate(room)
    assert ROOM_ID.match(room["roomId"]) and room["autoCloseConfig"] == {"type": "session-ends", "duration": 480}
    assert room["createdAt"] == "2023-11-14T22:13:20.000Z"
    for name in (room["id"], room["roomId"], "standup"):
        assert await api.call("GET", f"/v2/rooms/{name}") == room
    assert room["links"]["get_room"].endswith(f"/v2/rooms/{room['roomId']}")


async def test_an_empty_body_makes_a_room(api):
    assert (await api.call("POST", "/v2/rooms"))["customRoomId"] is None


async def test_the_same_custom_name_gives_the_same_room(api):
    first = await create(api, customRoomId="standup")
    again = await create(api, customRoomId="standup", autoCloseConfig={"duration": 5})
    assert again == first


async def test_all_options(api):
    room = await create(
        api,
        webhook={"endPoint": "https://a.example/hook", "events": ["session*", "participant-joined"]},
        autoCloseConfig={"type": "session-end-and-deactivate", "duration": 30},
        autoStartConfig={
            "recording": {"config": {"layout": {"type": "SPOTLIGHT"}, "quality": "high"}, "awsDirPath": "/calls/"},
            "hls": None,
        },
        multiComposition={"recording": True},
        allowedParticipantIds=["ann", "bob"],
    )
    answers.Room.model_validate(room)
    assert room["webhook"]["events"] == ["session*", "participant-joined"]
    assert room["autoCloseConfig"] == {"type": "session-end-and-deactivate", "duration": 30}
    assert room["autoStartConfig"]["recording"]["config"]["layout"]["type"] == "SPOTLIGHT"
    assert room["autoStartConfig"]["recording"]["awsDirPath"] == "calls"
    assert room["multiComposition"] == {"recording": True, "hls": False, "rtmp": False}
    assert room["allowedParticipantIds"] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"customRoomId": ""}, "customRoomId"),
        ({"customRoomId": "a b"}, "customRoomId"),
        ({"customRoomId": "a\x00"}, "customRoomId"),
        ({"customRoomId": "x" * 65}, "customRoomId"),
        ({"customRoomId": 5}, "customRoomId"),
        ({"customRoomId": "abcd-efgh-ijkl"}, "customRoomId"),
        ({"customRoomId": "a" * 24}, "customRoomId"),
        ({"colour": "red"}, "colour"),
        ({"webhook": {"events": ["a"]}}, "webhook.endPoint"),
        ({"webhook": {"endPoint": "ftp://a.example", "events": ["a"]}}, "webhook.endPoint"),
        ({"webhook": {"endPoint": "https://", "events": ["a"]}}, "webhook.endPoint"),
        ({"webhook": {"endPoint": "https://u:p@a.example/", "events": ["a"]}}, "webhook.endPoint"),
        ({"webhook": {"endPoint": "https://a.example:x/", "events": ["a"]}}, "webhook.endPoint"),
        ({"webhook": {"endPoint": "https://" + "a" * 512, "events": ["a"]}}, "webhook.endPoint"),
        ({"webhook": {"endPoint": "https://a.example", "events": ["ok", "Not OK"]}}, "webhook.events[1]"),
        ({"autoCloseConfig": {"type": "never"}}, "autoCloseConfig.type"),
        ({"autoCloseConfig": {"duration": 0}}, "autoCloseConfig.duration"),
        ({"autoCloseConfig": {"duration": "5"}}, "autoCloseConfig.duration"),
        ({"autoCloseConfig": {"duration": True}}, "autoCloseConfig.duration"),
        ({"autoStartConfig": {"hls": {"config": {"layout": {"gridSize": 26}}}}}, "autoStartConfig.hls.config.layout.gridSize"),
        (
            {"autoStartConfig": {"recording": {"config": {"layout": {"boxes": [{"x": 2, "y": 0, "width": 1, "height": 1}]}}}}},
            "autoStartConfig.recording.config.layout.boxes[0].x",
        ),
        ({"autoStartConfig": {"recording": {"awsDirPath": "a/../../b"}}}, "autoStartConfig.recording.awsDirPath"),
        ({"allowedParticipantIds": ["ok", "not ok"]}, "allowedParticipantIds"),
    ],
)  # fmt: skip
async def test_mistakes_are_named_by_path(api, body, path):
    problem = await api.call("POST", "/v2/rooms", json=body, status=400)
    answers.Problem.model_validate(problem)
    assert (problem["code"], problem["name"]) == (400, "INVALID_REQUEST")
    assert [error["path"] for error in problem["errors"]] == [path]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"geoFence": "us001"}, "geoFence"),
        ({"region": "sg001"}, "region"),
        ({"autoStartConfig": {"recording": {"templateUrl": "https://a.example"}}}, "autoStartConfig.recording.templateUrl"),
        ({"autoStartConfig": {"hls": {"transcription": {"enabled": True}}}}, "autoStartConfig.hls.transcription"),
        ({"autoStartConfig": {"recording": {"preSignedUrl": "https://a.example"}}}, "autoStartConfig.recording.preSignedUrl"),
        (
            {"autoStartConfig": {"recording": {"config": {"watermark": {"imageBase64": "iVBORw0KGgo="}}}}},
            "autoStartConfig.recording.config.watermark.imageBase64",
        ),
        ({"autoStartConfig": {"composite": {}}}, "autoStartConfig.composite"),
    ],
)
async def test_fields_that_we_do_not_have_are_refused_by_name(api, body, path):
    problem = await api.call("POST", "/v2/rooms", json=body, status=501)
    assert [error["path"] for error in problem["errors"]] == [path]
    assert path.rpartition(".")[2] in problem["message"]
    assert (await api.call("GET", "/v2/rooms"))["pageInfo"]["total"] == 0


async def test_null_is_the_same_as_absent(api):
    room = await create(api, customRoomId=None, geoFence=None, webhook=None, autoCloseConfig=None)
    assert room["customRoomId"] is None


async def test_lists(api):
    made = []
    for number in range(3):
        api.wall.time += 1
        made.append((await create(api, customRoomId=f"r{number}"))["roomId"])
    listed = await api.call("GET", "/v2/rooms?page=1&perPage=2")
    assert listed["pageInfo"] == {"currentPage": 1, "perPage": 2, "lastPage": 2, "total": 3}
    assert [room["roomId"] for room in listed["data"]] == [made[2], made[1]]
    assert [room["roomId"] for room in (await api.call("GET", "/v2/rooms?query=r0"))["data"]] == [made[0]]
    assert (await api.call("GET", "/v2/rooms?query=r"))["data"] == []


@pytest.mark.parametrize("query", ["page=0", "perPage=101", "page=x", "perPage=-1", "pages=1", "query=a%20b", "page=99999999999"])
async def test_bad_queries_are_refused(api, query):
    problem = await api.call("GET", f"/v2/rooms?{query}", status=400)
    assert problem["errors"][0]["path"] == query.partition("=")[0]


async def test_validate_tells_unknown_from_disabled(api):
    room = await create(api)
    assert (await api.call("GET", f"/v2/rooms/validate/{room['roomId']}"))["roomId"] == room["roomId"]
    assert (await api.call("GET", "/v2/rooms/validate/none-such-room", status=404))["code"] == 4003
    await api.call("POST", f"/v2/rooms/{room['roomId']}", json={"status": "disabled"})
    assert (await api.call("GET", f"/v2/rooms/validate/{room['roomId']}", status=402))["code"] == 4052
    await api.call("POST", f"/v2/rooms/{room['roomId']}", json={"status": "enabled"})
    await api.call("GET", f"/v2/rooms/validate/{room['roomId']}")


async def test_deactivate_ends_the_session(api):
    room = await api.room("standup")
    await api.session(room, "ann")
    answer = await api.call("POST", "/v2/rooms/deactivate", json={"roomId": "standup"})
    answers.DeactivatedRoom.model_validate(answer)
    assert answer["disabled"] and (answer["meetingId"], answer["userMeetingId"]) == (room.room_id, "standup")
    assert api.meetings.calls == [("end", room.room_id, CloseReason.MEETING_END_API)]
    await api.call("POST", "/v2/rooms/deactivate", json={}, status=400)
    await api.call("POST", "/v2/rooms/deactivate", json={"roomId": "no-room"}, status=404)


async def test_update_takes_two_words(api):
    room = await create(api)
    await api.call("POST", f"/v2/rooms/{room['roomId']}", json={"status": "gone"}, status=400)
    await api.call("POST", f"/v2/rooms/{room['roomId']}", json={}, status=400)
    assert (await api.call("POST", f"/v2/rooms/{room['id']}", json={"status": "disabled"}))["disabled"]


async def test_rooms_survive_a_restart(api, tmp_path):
    from tidegate.store import open_store

    room = await create(api, customRoomId="kept")
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    assert (await store.rooms.find(api.key.project_id, "kept")).room_id == room["roomId"]
    await store.close()
