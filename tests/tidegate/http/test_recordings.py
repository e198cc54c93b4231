from __future__ import annotations

import base64

import pytest

from media.errors import PeerError
from tidegate.egress.requests import Chosen
from tidegate.http import media_answers
from tidegate.workers.budget import WorkersBusy

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 10
PICTURE = base64.b64encode(PNG).decode()


@pytest.fixture
async def room(api):
    room = await api.room("standup")
    await api.session(room, "ann", "bob")
    return room


async def start(api, **body):
    return await api.call("POST", "/v2/recordings/start", json={"roomId": "standup", **body})


async def test_start_end_and_read(api, room):
    said = await start(api, webhookUrl="https://a.example/hook", awsDirPath="/calls/today/")
    media_answers.RecordingChanged.model_validate(said)
    assert said["message"] == "Recording started successfully" and said["status"] == "starting"
    assert said["recordingId"] == said["id"] and said["sessionId"] == "5" * 24
    [(_, request)] = api.egress.calls
    assert (request.kind, request.room_id, request.file_format, request.several) == ("room", room.room_id, "mp4", False)
    assert (request.webhook_url, request.directory) == ("https://a.example/hook", "calls/today")
    assert (request.composition.width, request.composition.height, request.composition.mode) == (1280, 720, "video-and-audio")

    shown = await api.call("GET", f"/v2/recordings/{said['id']}")
    media_answers.Recording.model_validate(shown)
    assert (shown["file"], shown["files"], shown["timelineUrl"], shown["end"]) == (None, [], None, None)
    ended = await api.call("POST", "/v2/recordings/end", json={"roomId": "standup"})
    assert ended["message"] == "Recording stopped successfully" and ended["id"] == said["id"]
    assert api.egress.calls[-1] == ("stop_recording", said["id"])

    await api.egress.finish(said["id"], b"film", timeline=b"{}")
    shown = await api.call("GET", f"/v2/recordings/{said['id']}")
    media_answers.Recording.model_validate(shown)
    assert shown["status"] == "stopped" and shown["file"] == shown["files"][0] and shown["fileId"] == shown["file"]["id"]
    assert shown["file"]["meta"] == {"resolution": {"width": 1280, "height": 720}, "format": "mp4", "duration": 12.346}
    assert shown["file"]["type"] == "video" and shown["file"]["size"] == 4
    for url, content in ((shown["file"]["fileUrl"], b"film"), (shown["timelineUrl"], b"{}")):
        async with api.request("GET", url.partition(api.client.host + ":" + str(api.client.port))[2], token=None) as answer:
            assert (answer.status, await answer.read()) == (200, content)
    listed = await api.call("GET", "/v2/recordings?roomId=standup&sessionId=" + "5" * 24)
    assert listed["data"][0] | {"file": 0, "files": 0, "timelineUrl": 0} == shown | {"file": 0, "files": 0, "timelineUrl": 0}


async def test_the_other_spelling_of_the_end(api, room):
    said = await start(api)
    assert (await api.call("POST", "/v2/recordings/stop", json={"roomId": room.room_id}))["id"] == said["id"]
    await api.call("POST", "/v2/recordings/stop", json={"roomId": "standup", "id": "0" * 24}, status=404)


async def test_one_at_a_time_unless_the_room_says_several(api, room):
    first = await start(api)
    problem = await api.call("POST", "/v2/recordings/start", json={"roomId": "standup"}, status=409)
    assert (problem["code"], problem["name"]) == (4018, "PREV_RECORDING_PROCESSING")
    multi = await api.call("POST", "/v2/rooms", json={"customRoomId": "multi", "multiComposition": {"recording": True}})
    ids = [(await start(api, roomId="multi"))["id"] for _ in range(2)]
    assert api.egress.calls[-1][1].several
    assert "say which" in (await api.call("POST", "/v2/recordings/end", json={"roomId": "multi"}, status=409))["message"]
    ended = await api.call("POST", "/v2/recordings/end", json={"roomId": multi["roomId"], "id": ids[0]})
    assert ended["id"] == ids[0] != first["id"]


async def test_nothing_runs(api, room):
    problem = await api.call("POST", "/v2/recordings/end", json={"roomId": "standup"}, status=404)
    assert "running recording" in problem["message"]
    await api.call("POST", "/v2/recordings/start", json={"roomId": "nowhere"}, status=404)
    await api.call("POST", "/v2/rooms/deactivate", json={"roomId": "standup"})
    assert (await api.call("POST", "/v2/recordings/start", json={"roomId": "standup"}, status=402))["code"] == 4052


async def test_a_full_server_says_when_to_come_again(api, room):
    api.egress.refusal = WorkersBusy("the processors are taken", retry_after=15)
    async with api.request("POST", "/v2/recordings/start", json={"roomId": "standup"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "15")
        assert "processors" in (await answer.json(content_type=None))["message"]
    api.egress.refusal = PeerError(4011, "START_RECORDING_FAILED", "nobody is in the room")
    assert (await api.call("POST", "/v2/recordings/start", json={"roomId": "standup"}, status=409))["code"] == 4011


async def test_the_same_start_twice_by_its_key_is_one(api, room):
    once = {"headers": {"Idempotency-Key": "k1"}, "json": {"roomId": "standup"}}
    first = await api.call("POST", "/v2/recordings/start", **once)
    assert await api.call("POST", "/v2/recordings/start", **once) == first
    assert len(api.egress.calls) == 1


async def test_everything_about_the_picture(api, room):
    layout = {
        "boxes": [
            {"x": 0, "y": 0, "width": 1, "height": 1, "show": {"speaker": 0}},
            {"x": 0, "y": 0, "width": 0.1, "height": 0.1, "image": {"name": "logo.png"}},
        ],
        "background": {"image": "wall.png"},
    }
    config = {
        "layout": layout, "theme": "LIGHT", "quality": "high", "orientation": "portrait", "fps": 25, "showNames": False,
        "background": {"color": "#102030", "imageBase64": "data:image/png;base64," + PICTURE},
        "watermark": {"text": "draft", "position": "top-left"},
        "images": {"logo.png": PICTURE, "wall.png": base64.b64encode(b"\xff\xd8\xff jpeg").decode()},
    }  # fmt: skip
    said = await start(api, config=config, fileFormat="webm")
    made = api.egress.calls[-1][1].composition
    look = made.look
    assert (made.width, made.height, made.fps, api.egress.calls[-1][1].file_format) == (1080, 1920, 25, "webm")
    assert (look.theme, look.background_color, look.show_names) == ("LIGHT", "#102030", False)
    assert (look.watermark_text, look.watermark_image, look.watermark_position) == ("draft", None, "top-left")
    logo, wall = look.layout["boxes"][1]["image"]["name"], look.layout["background"]["image"]
    assert look.images[logo] == PNG and look.images[wall] == b"\xff\xd8\xff jpeg"
    assert logo.endswith(".png") and wall.endswith(".jpg") and look.background_image == logo
    shown = await api.call("GET", f"/v2/recordings/{said['id']}")
    assert PICTURE not in str(shown) and shown["config"]["layout"] == layout
    assert shown["config"]["images"] == {"logo.png": logo, "wall.png": wall}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "roomId"),
        ({"roomId": "standup", "colour": 1}, "colour"),
        ({"roomId": "standup", "fileFormat": "avi"}, "fileFormat"),
        ({"roomId": "standup", "webhookUrl": "ftp://a"}, "webhookUrl"),
        ({"roomId": "standup", "awsDirPath": "../x"}, "awsDirPath"),
        ({"roomId": "standup", "awsDirPath": "a" * 129}, "awsDirPath"),
        ({"roomId": "standup", "awsDirPath": "a", "dirPath": "b"}, "dirPath"),
        ({"roomId": "standup", "preSignedUrl": "file:///etc/passwd"}, "preSignedUrl"),
        ({"roomId": "standup", "config": {"quality": "huge"}}, "config.quality"),
        ({"roomId": "standup", "config": {"fps": 100}}, "config.fps"),
        ({"roomId": "standup", "config": {"layout": {"type": "STAR"}}}, "config.layout.type"),
        ({"roomId": "standup", "config": {"layout": {"gridSize": 26}}}, "config.layout.gridSize"),
        ({"roomId": "standup", "config": {"layout": []}}, "config.layout"),
        ({"roomId": "standup", "config": {"layout": {"boxes": [{"x": 0.5, "y": 0, "width": 0.6, "height": 1, "show": {"speaker": 0}}]}}},
         "config.layout.boxes[0].width"),
        ({"roomId": "standup", "config": {"layout": {"boxes": [{"x": 0, "y": 0, "width": 1, "height": 1, "image": {"name": "a.png"}}]}}},
         "config.images"),
        ({"roomId": "standup", "config": {"background": {"color": "red"}}}, "config.background.color"),
        ({"roomId": "standup", "config": {"watermark": {"imageBase64": "%%%"}}}, "config.watermark.imageBase64"),
        ({"roomId": "standup", "config": {"watermark": {"imageBase64": "R0lGODlh"}}}, "config.watermark.imageBase64"),
        ({"roomId": "standup", "config": {"watermark": {"text": "a\x00"}}}, "config.watermark.text"),
    ],
)  # fmt: skip
async def test_mistakes_are_named_by_path(api, room, body, path):
    problem = await api.call("POST", "/v2/recordings/start", json=body, status=400)
    assert [error["path"] for error in problem["errors"]] == [path], problem
    assert api.egress.calls == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"templateUrl": "https://a.example"}, "templateUrl"),
        ({"transcription": {"enabled": True}}, "transcription"),
        ({"onFailure": {"action": "close-room"}}, "onFailure"),
        ({"resourceId": "r"}, "resourceId"),
        ({"fileFormat": "m3u8"}, "fileFormat"),
        ({"config": {"quality": "ultra"}}, "config.quality"),
        ({"config": {"background": {"imageUrl": "https://a.example/a.png"}}}, "config.background.imageUrl"),
    ],
)
async def test_what_there_is_not_is_refused_by_name(api, room, body, path):
    problem = await api.call("POST", "/v2/recordings/start", json={"roomId": "standup", **body}, status=501)
    assert [error["path"] for error in problem["errors"]] == [path]
    assert problem["message"].startswith(f"{path} is not supported: ")
    assert api.egress.calls == []


async def test_pictures_may_be_large_but_not_too_large(api, room):
    large = base64.b64encode(PNG + bytes(990_000)).decode()
    await start(api, config={"background": {"imageBase64": large}})
    assert len(api.egress.calls[-1][1].composition.look.images) == 1
    larger = base64.b64encode(PNG + bytes(1_000_000)).decode()
    body = {"roomId": "standup", "config": {"background": {"imageBase64": larger}}}
    problem = await api.call("POST", "/v2/recordings/start", json=body, status=400)
    assert problem["errors"][0]["path"] == "config.background.imageBase64"
    body["config"]["images"] = {f"{n}.png": large for n in range(3)}
    await api.call("POST", "/v2/recordings/start", json=body, status=413)


async def test_the_upload_address_is_shown_nowhere(api, room):
    secret = "https://bucket.example/x?X-Amz-Signature=geheim"
    for spelling in ("preSignedUrl", "preSignedURL"):
        said = await start(api, **{spelling: secret})
        assert api.egress.calls[-1][1].upload_url == secret and "geheim" not in repr(api.egress.calls)
        assert "geheim" not in str(said) + str(await api.call("GET", f"/v2/recordings/{said['id']}"))
        await api.egress.finish(said["id"], b"film")


async def test_change_while_it_runs(api, room):
    said = await start(api, config={"images": {"logo.png": PICTURE}})
    layout = {"boxes": [{"x": 0, "y": 0, "width": 1, "height": 1, "image": {"name": "logo.png"}}]}
    shown = await api.call(
        "PATCH", f"/v2/recordings/{said['id']}", json={"config": {"layout": layout, "watermark": {}, "theme": "LIGHT"}}
    )
    media_answers.Recording.model_validate(shown)
    _, (row_id, patch) = api.egress.calls[-1]
    assert row_id == said["id"] and set(patch.changes) == {
        "layout", "theme", "watermark_text", "watermark_image", "watermark_position",
    }  # fmt: skip
    assert patch.changes["watermark_text"] is None and patch.changes["layout"]["boxes"][0]["image"]["name"] in str(shown)
    assert (shown["config"]["theme"], shown["config"]["layout"], shown["config"]["quality"]) == ("LIGHT", layout, "med")


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"quality": "high"}, "config.quality"),
        ({"layout": {"type": "X"}}, "config.layout.type"),
        ({"layout": {"boxes": [{"x": 0, "y": 0, "width": 1, "height": 1, "image": {"name": "new.png"}}]}}, "config.images"),
    ],
)
async def test_changes_that_cannot_be(api, room, config, path):
    said = await start(api)
    problem = await api.call("PATCH", f"/v2/recordings/{said['id']}", json={"config": config}, status=400)
    assert [error["path"] for error in problem["errors"]] == [path]
    body = {"config": {"theme": "DARK"}}
    for state in ("stopping", "processing", "stopped"):
        async with api.store.recordings.transaction() as tx:
            await api.store.recordings.update(tx, said["id"], state=state)
        assert "ended" in (await api.call("PATCH", f"/v2/recordings/{said['id']}", json=body, status=409))["message"]


@pytest.mark.parametrize("body", ["[]", "null", "5"])
async def test_a_body_that_is_no_object(api, body):
    headers = {"Content-Type": "application/json"}
    assert (await api.call("POST", "/v2/recordings/start", data=body, headers=headers, status=400))["message"] == "must be an object"


async def test_delete(api, room, tmp_path):
    said = await start(api)
    address = f"/v2/recordings/{said['id']}"
    assert "once it has ended" in (await api.call("DELETE", address, status=409))["message"]
    row = await api.egress.finish(said["id"], b"film", timeline=b"{}")
    url = (await api.call("GET", address))["file"]["fileUrl"]
    kept = api.context.storage.local_path(row.files[0]["path"])
    assert kept.read_bytes() == b"film"
    media_answers.Deleted.model_validate(await api.call("DELETE", address))
    assert not kept.exists() and list((tmp_path / "recordings").rglob("*.json")) == []
    await api.call("GET", address, status=404)
    await api.call("DELETE", address, status=404)
    assert (await api.call("GET", "/v2/recordings"))["data"] == []
    async with api.client.get(url.partition(str(api.client.port))[2]) as answer:
        assert answer.status == 410


async def test_lists_hold_one_kind_each_and_are_filtered(api, room):
    other = await api.room("other")
    ids = {"standup": (await start(api))["id"], "other": (await start(api, roomId="other"))["id"]}
    composite = await api.call("POST", "/v2/recordings/composite/start", json={"roomId": "standup"})

    async def listed(path):
        return [row["id"] for row in (await api.call("GET", path))["data"]]

    assert sorted(await listed("/v2/recordings")) == sorted(ids.values())
    assert await listed("/v2/recordings?roomId=other") == await listed(f"/v2/recordings?query={other.room_id}") == [ids["other"]]
    assert await listed(f"/v2/recordings?query={ids['standup']}") == [ids["standup"]]
    assert await listed("/v2/recordings/composite") == [composite["recordingId"]]
    page = await api.call("GET", "/v2/recordings?perPage=1&page=2")
    assert page["pageInfo"] == {"currentPage": 2, "perPage": 1, "lastPage": 2, "total": 2} and len(page["data"]) == 1
    assert await listed("/v2/recordings?withTranscription=false") == await listed("/v2/recordings")
    for path in ("", "/composite"):  # what is of many is not looked for by one of them
        await api.call("GET", f"/v2/recordings{path}?participantId=ann", status=400)
    await api.call("GET", f"/v2/recordings/composite/{ids['other']}", status=404)
    await api.call("GET", f"/v2/recordings/{composite['id']}", status=404)


async def test_composite(api, room):
    body = {
        "roomId": "standup",
        "participants": [{"participantId": "ann", "kind": ["audio", "video"]}, {"participantId": "bob"}],
        "watermarks": [{"type": "custom", "text": "draft"}],
        "preSignedURL": "https://a.example/put",
        "bucketDirPath": "x",
    }
    said = await api.call("POST", "/v2/recordings/composite/start", json=body)
    request = api.egress.calls[-1][1]
    assert (request.kind, request.directory, request.upload_url) == ("composite", "x", "https://a.example/put")
    assert request.participants == (Chosen("ann", ("audio", "video")), Chosen("bob"))
    assert request.composition.look.watermark_text == "draft" and request.composition.config["watermark"]["text"] == "draft"
    media_answers.Recording.model_validate(await api.call("GET", f"/v2/recordings/composite/{said['recordingId']}"))
    stop = {"roomId": "standup", "recordingId": said["recordingId"]}
    assert (await api.call("POST", "/v2/recordings/composite/stop", json=stop))["id"] == said["id"]
    for wrong, path, status in (
        ({"watermarks": [{"text": "a"}, {"text": "b"}]}, "watermarks", 501),
        ({"watermarks": [{"type": "pubsub"}]}, "watermarks[0].type", 501),
        ({"participants": [{"participantId": "a"}, {"participantId": "a"}]}, "participants", 400),
        ({"participants": [{"participantId": "a", "kind": ["smell"]}]}, "participants[0].kind[0]", 400),
    ):
        problem = await api.call("POST", "/v2/recordings/composite/start", json={"roomId": "standup"} | wrong, status=status)
        assert [error["path"] for error in problem["errors"]] == [path]
