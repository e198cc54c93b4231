from __future__ import annotations

import pytest

from tidegate.http import media_answers

ANN = {"roomId": "standup", "participantId": "ann"}


@pytest.fixture
async def room(api):
    room = await api.room("standup")
    await api.session(room, "ann", "bob")
    return room


async def test_a_participant(api, room):
    body = ANN | {"metadata": {"case": [7]}, "bucketDirPath": "a", "fileFormat": "mp4"}
    said = await api.call("POST", "/v2/recordings/participant/start", json=body)
    media_answers.RecordingChanged.model_validate(said)
    request = api.egress.calls[-1][1]
    assert (request.kind, request.participant_id, request.composition) == ("participant", "ann", None)
    shown = await api.call("GET", f"/v2/recordings/participant/{said['id']}")
    media_answers.ParticipantRecording.model_validate(shown)
    assert (shown["participantName"], shown["metadata"], shown["fileFormat"]) == ("Ann", {"case": [7]}, "mp4")
    assert (await api.call("GET", "/v2/recordings/participant?participantId=ann"))["data"] == [shown]
    assert (await api.call("GET", "/v2/recordings/participant?participantId=bob"))["data"] == []
    assert (await api.call("GET", "/v2/recordings/participant", token=api.token(participantId="bob")))["data"] == []
    body = ANN | {"participantId": "bob"}
    await api.call("POST", "/v2/recordings/participant/stop", json=body, status=404)
    assert (await api.call("POST", "/v2/recordings/participant/stop", json=ANN))["id"] == said["id"]
    await api.egress.finish(said["id"], b"film", name="a.mp4")
    shown = await api.call("GET", f"/v2/recordings/participant/{said['id']}")
    assert shown["files"][0]["fileUrl"].startswith("http")
    await api.call("DELETE", f"/v2/recordings/participant/{said['id']}")
    assert (await api.call("GET", "/v2/recordings/participant"))["data"] == []


async def test_tracks_of_each_kind_for_itself(api, room):
    ids = {}
    for kind in ("audio", "video"):
        body = ANN | {"kind": kind}
        ids[kind] = (await api.call("POST", "/v2/recordings/participant/track/start", json=body))["id"]
    assert api.egress.calls[-1][1].track_kind == "video"
    stopped = await api.call("POST", "/v2/recordings/participant/track/stop", json=ANN | {"kind": "video"})
    assert stopped["id"] == ids["video"]
    shown = await api.call("GET", f"/v2/recordings/participant/track/{ids['audio']}")
    media_answers.ParticipantRecording.model_validate(shown)
    assert shown["kind"] == "audio"
    assert (await api.call("GET", "/v2/recordings/participant/track?participantId=ann"))["pageInfo"]["total"] == 2
    await api.call("GET", f"/v2/recordings/participant/{ids['audio']}", status=404)


@pytest.mark.parametrize(
    ("path", "body", "wrong", "status"),
    [
        ("start", {"fileFormat": "m3u8"}, "fileFormat", 501),
        ("start", {"fileFormat": "mp3"}, "fileFormat", 400),
        ("start", {"participantId": "a b"}, "participantId", 400),
        ("start", {"metadata": "x" * 5000}, "metadata", 400),
        ("track/start", {"kind": "audio", "fileFormat": "m3u8"}, "fileFormat", 501),
        ("track/start", {"kind": "video", "fileFormat": "mp3"}, "fileFormat", 400),
        ("track/start", {"kind": "mic"}, "kind", 400),
        ("track/start", {}, "kind", 400),
    ],
)
async def test_mistakes(api, room, path, body, wrong, status):
    problem = await api.call("POST", f"/v2/recordings/participant/{path}", json=ANN | body, status=status)
    assert [error["path"] for error in problem["errors"]] == [wrong]
    assert api.egress.calls == []


async def test_mp3_of_a_voice(api, room):
    body = ANN | {"kind": "audio", "fileFormat": "mp3"}
    await api.call("POST", "/v2/recordings/participant/track/start", json=body)
    assert api.egress.calls[-1][1].file_format == "mp3"
