from __future__ import annotations

import logging

import pytest

from tidegate.http import media_answers

KEY = "geheim-stream-key"
TARGET = {"url": "rtmps://live.example:444/app?auth=geheim-query", "streamKey": KEY}


@pytest.fixture
async def room(api):
    room = await api.room("standup")
    await api.session(room, "ann")
    return room


async def start(api, **body):
    return await api.call("POST", "/v2/livestreams/start", json={"roomId": "standup", "outputs": [TARGET], **body})


async def test_start_end_and_read(api, room):
    said = await start(api, config={"layout": {"type": "SIDEBAR"}, "recording": {"enabled": True}})
    media_answers.BroadcastChanged.model_validate(said)
    assert said["message"] == "Livestream started successfully"
    request = api.egress.calls[-1][1]
    assert request.record and [(t.url, t.stream_key) for t in request.targets] == [(TARGET["url"], KEY)]
    assert request.composition.look.layout == {"type": "SIDEBAR"}
    shown = await api.call("GET", f"/v2/livestreams/{said['id']}")
    media_answers.Broadcast.model_validate(shown)
    assert shown["outputs"] == said["outputs"] == [
        {"id": "out0", "url": "rtmps://live.example:444/app", "status": "connecting", "error": None, "bitrate": None, "retries": 0}
    ]
    assert (await api.call("GET", "/v2/livestreams?roomId=standup"))["data"] == [shown]
    ended = await api.call("POST", "/v2/livestreams/end", json={"roomId": "standup"})
    assert ended["message"] == "Livestream ended successfully" and api.egress.calls[-1] == ("stop_broadcast", said["id"])
    await api.call("POST", "/v2/livestreams/stop", json={"roomId": "standup", "id": "0" * 24}, status=404)


async def test_the_key_is_shown_nowhere(api, room, caplog):
    caplog.set_level(logging.DEBUG)
    seen = [await start(api)]
    address = f"/v2/livestreams/{seen[0]['id']}"
    seen.append(await api.call("POST", f"{address}/outputs", json=TARGET | {"url": "rtmp://b.example/live"}))
    seen += [await api.call("GET", address), await api.call("GET", "/v2/livestreams")]
    wrong = {"url": "http://a.example/" + KEY, "streamKey": KEY}
    seen.append(await api.call("POST", f"{address}/outputs", json=wrong, status=400))
    seen.append(await api.call("POST", "/v2/livestreams/start", json={"roomId": "standup", "outputs": [TARGET, TARGET]}, status=400))
    rows = [vars(row) for row in (await api.store.broadcasts.list(api.key.project_id)).rows]
    assert "geheim" not in str(seen) + repr(api.egress.calls) + caplog.text + str(rows)


async def test_targets_come_and_go_while_it_is_live(api, room):
    address = f"/v2/livestreams/{(await start(api))['id']}"
    shown = await api.call("POST", f"{address}/outputs", json={"url": "rtmp://b.example/live/key-in-the-path"})
    media_answers.Broadcast.model_validate(shown)
    assert [output["url"] for output in shown["outputs"]][1] == "rtmp://b.example/live"
    shown = await api.call("DELETE", f"{address}/outputs/out0")
    assert [output["id"] for output in shown["outputs"]] == ["out1"]
    await api.call("DELETE", f"{address}/outputs/out0", status=404)
    row_id = address.rpartition("/")[2]
    for state in ("stopping", "stopped"):
        async with api.store.broadcasts.transaction() as tx:
            await api.store.broadcasts.update(tx, row_id, state=state)
        for method, path, body in (("POST", "/outputs", TARGET), ("DELETE", "/outputs/out1", {}), ("PATCH", "", {"config": {}})):
            assert "ended" in (await api.call(method, address + path, json=body, status=409))["message"]


async def test_change_the_picture(api, room):
    said = await start(api)
    shown = await api.call("PATCH", f"/v2/livestreams/{said['id']}", json={"config": {"layout": {"type": "SPOTLIGHT"}}})
    media_answers.Broadcast.model_validate(shown)
    assert shown["config"]["layout"] == {"type": "SPOTLIGHT"}


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        ({"outputs": []}, "outputs", 400),
        ({"outputs": [{"url": "https://a.example/live", "streamKey": "k"}]}, "outputs[0].url", 400),
        ({"outputs": [{"url": "rtmp://a.example", "streamKey": "k"}]}, "outputs[0].url", 400),
        ({"outputs": [{"url": "rtmp://a.example/live"}]}, "outputs[0].streamKey", 400),
        ({"outputs": [{"url": "rtmp://a.example/live", "streamKey": "a b"}]}, "outputs[0].streamKey", 400),
        ({"outputs": [TARGET, TARGET]}, "outputs[1]", 400),
        ({"config": {"mode": "audio"}}, "config.mode", 400),
        ({"templateUrl": "https://a.example"}, "templateUrl", 501),
        ({"transcription": {"enabled": True}}, "transcription", 501),
        ({"resourceId": "r"}, "resourceId", 501),
    ],
)
async def test_mistakes(api, room, body, path, status):
    problem = await api.call(
        "POST", "/v2/livestreams/start", json={"roomId": "standup", "outputs": [TARGET]} | body, status=status
    )
    assert [error["path"] for error in problem["errors"]] == [path], problem
    assert api.egress.calls == []
