from __future__ import annotations

import pytest

from tidegate.egress.requests import MergePart
from tidegate.http import media_answers

SESSION = "5" * 24


@pytest.fixture
async def room(api):
    room = await api.room("standup")
    await api.session(room, "ann", "bob")
    return room


async def recorded(api, path, body):
    """A finished recording."""
    said = await api.call("POST", f"/v2/recordings/{path}start", json={"roomId": "standup"} | body)
    await api.egress.finish(said["id"], b"film")
    return said["id"]


async def test_meetings_one_after_the_other(api, room):
    ids = [await recorded(api, "", {}) for _ in range(2)]
    body = {"recordingIds": [ids[1], {"id": ids[0]}], "presignedOutputUrl": "https://a.example/put", "webhookUrl": "https://a.example"}
    said = await api.call("POST", "/v2/transcodings/meeting-recording-merge", json=body)
    media_answers.TranscodingChanged.model_validate(said)
    request = api.egress.calls[-1][1]
    assert request.parts == (MergePart(ids[1], "recording.mp4"), MergePart(ids[0], "recording.mp4"))
    assert (request.task, request.room_id, request.session_id) == ("meeting-recording-merge", room.room_id, SESSION)
    assert request.upload_url == body["presignedOutputUrl"]
    shown = await api.call("GET", f"/v2/transcodings/{said['id']}")
    media_answers.Transcoding.model_validate(shown)
    assert shown == said["transcoding"] and (await api.call("GET", "/v2/transcodings?roomId=standup"))["data"] == [shown]
    assert (await api.call("GET", "/v2/transcodings?status=completed"))["data"] == []
    cancelled = await api.call("POST", f"/v2/transcodings/{said['id']}/cancel")
    assert cancelled["status"] == "cancelled"
    await api.call("POST", f"/v2/transcodings/{said['id']}/cancel", status=409)


async def test_a_merge_of_several_rooms_is_of_none(api, room):
    """A token for one of the rooms would see the others with it."""
    await api.room("other")
    ids = [await recorded(api, "", {"roomId": name}) for name in ("standup", "other")]
    said = await api.call("POST", "/v2/transcodings/merge", json={"recordingIds": ids})
    shown = said["transcoding"]
    assert (shown["roomId"], shown["customRoomId"], shown["links"]) == (None, None, {})
    for token in (api.token(roomId="standup"), api.token(roomId="other")):
        await api.call("GET", f"/v2/transcodings/{said['id']}", token=token, status=403)
        assert (await api.call("GET", "/v2/transcodings", token=token))["data"] == []
    assert (await api.call("GET", "/v2/transcodings"))["data"] == [shown]
    assert (await api.call("GET", "/v2/transcodings?hlsId=some"))["data"] == []


async def test_a_merged_file_has_no_time_of_day(api, room):
    ids = [await recorded(api, "", {}) for _ in range(2)]
    said = await api.call("POST", "/v2/transcodings/merge", json={"recordingIds": ids})
    merged = {"name": "a.mp4", "path": "a.mp4", "size": 1, "duration": 1.0, "kind": "audio-video", "start": 0}
    async with api.store.transcodings.transaction() as tx:
        await api.store.transcodings.update(tx, said["id"], state="completed", files=[merged])
    (file,) = (await api.call("GET", f"/v2/transcodings/{said['id']}"))["files"]
    assert file["start"] is None and file["fileUrl"] is not None


async def test_composites_side_by_side(api, room):
    ids = [await recorded(api, "composite/", {}) for _ in range(2)]
    said = await api.call("POST", "/v2/transcodings/merge", json={"recordingIds": ids, "task": "composite-merge"})
    assert said["transcoding"]["task"] == "composite-merge" and len(said["transcoding"]["inputs"]) == 2


async def test_stereo(api, room):
    old = await recorded(api, "participant/", {"participantId": "ann"})
    api.wall.time += 1
    ann = await recorded(api, "participant/", {"participantId": "ann"})
    bob = await recorded(api, "participant/track/", {"participantId": "bob", "kind": "audio"})
    body = {
        "sessionId": SESSION,
        "channel1": [{"participantId": "ann"}, {"participantId": "ann", "recordingId": old}],
        "channel2": [{"participantId": "bob", "type": "track"}],
        "dirPath": "stereo",
    }
    said = await api.call("POST", "/v2/recordings/participant/merge", json=body)
    media_answers.StereoMerge.model_validate(said)
    request = api.egress.calls[-1][1]
    assert [(part.recording_id, part.channel) for part in request.parts] == [(ann, 0), (old, 0), (bob, 1)]
    assert (request.task, request.directory) == ("stereo-merge", "stereo")
    assert (await api.call("GET", f"/v2/recordings/participant/merge/{said['id']}")) == said["recording"]
    assert (await api.call("GET", f"/v2/recordings/participant/merge?sessionId={SESSION}"))["data"] == [said["recording"]]
    await api.call("GET", "/v2/recordings/participant/merge?query=standup", status=400)
    body["channel2"] = [{"participantId": "carol"}]
    problem = await api.call("POST", "/v2/recordings/participant/merge", json=body, status=404)
    assert "channel2[0]" in problem["message"]


async def test_what_is_not_finished_cannot_be_merged(api, room):
    said = await api.call("POST", "/v2/recordings/start", json={"roomId": "standup"})
    path, body = "/v2/transcodings/meeting-recording-merge", {"recordingIds": [said["id"]]}
    assert "recordingIds[0]" in (await api.call("POST", path, json=body, status=409))["message"]
    await api.egress.finish(said["id"], b"film")
    await api.call("POST", path, json=body)
    await api.call("DELETE", f"/v2/recordings/{said['id']}")
    assert "recordingIds[0]" in (await api.call("POST", path, json=body, status=404))["message"]


@pytest.mark.parametrize(
    ("path", "body", "wrong", "status"),
    [
        ("meeting-recording-merge", {"recordingIds": []}, "recordingIds", 400),
        ("meeting-recording-merge", {"recordingIds": ["a b"]}, "recordingIds[0]", 400),
        ("meeting-recording-merge", {"recordingIds": ["a", {"ID": "b"}]}, "recordingIds[1]", 400),
        ("meeting-recording-merge", {"recordingIds": [{"id": "a", "presignedUrl": "https://a"}]}, "recordingIds[0].presignedUrl", 501),
        ("merge", {"recordingIds": ["a"], "watermark": {"type": "image"}}, "watermark", 501),
        ("merge", {"recordingIds": ["a"], "task": "x"}, "task", 400),
        ("hls-to-mp4", {"roomId": "standup"}, "hls-to-mp4", 501),
    ],
)
async def test_mistakes(api, room, path, body, wrong, status):
    problem = await api.call("POST", f"/v2/transcodings/{path}", json=body, status=status)
    assert [error["path"] for error in problem["errors"]] == [wrong]
    assert api.egress.calls == []
