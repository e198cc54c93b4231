"""Recordings of participants and tracks, which are not transcoded, and what is merged of them."""

import pytest

from tests.support.node import running_node
from tests.support.recordings import download, pictures, probe, publishing, shows, state_of, tone, until

pytestmark = pytest.mark.slow

PARTICIPANT = "/v2/recordings/participant"
TRACK = "/v2/recordings/participant/track"


@pytest.fixture
async def node(tmp_path):
    async with running_node(tmp_path / "data") as running:
        yield running


async def start(node, path, room_id, **body):
    return (await node.call("POST", f"{path}/start", json={"roomId": room_id, **body}))["id"]


async def written(node, recording_id, size):
    """Until so many bytes are on the disk."""

    async def look():
        folder = node.node.egress.plane.directory(recording_id)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) >= size

    await until(look)


async def test_a_participant_is_one_file_as_published(node, tmp_path):
    room_id = await node.room()
    async with publishing(node, room_id, "ada", "green"), publishing(node, room_id, "bob", "red"):
        recording_id = await start(node, PARTICIPANT, room_id, participantId="ada")
        await written(node, recording_id, 60_000)
        await node.call("POST", f"{PARTICIPANT}/stop", json={"roomId": room_id, "participantId": "ada"})
        row = await state_of(node, f"{PARTICIPANT}/{recording_id}", "stopped", "failed")
    assert row["status"] == "stopped", row
    assert len(row["files"]) == 1
    path = await download(node, row["files"][0]["fileUrl"], tmp_path / "ada.webm")
    assert sorted(stream["codec_name"] for stream in probe(path)["streams"]) == ["opus", "vp8"]
    shown = pictures(path)
    assert shows(shown[-1][1], "green") and not shows(shown[-1][1], "red")
    assert abs(tone(path) - 440) < 5


async def test_a_track_is_recorded_alone(node, tmp_path):
    room_id = await node.room()
    body = {"participantId": "ada", "kind": "audio"}
    async with publishing(node, room_id, "ada"):
        recording_id = await start(node, TRACK, room_id, **body)
        await written(node, recording_id, 4_000)
        await node.call("POST", f"{TRACK}/stop", json={"roomId": room_id, **body})
        row = await state_of(node, f"{TRACK}/{recording_id}", "stopped", "failed")
    path = await download(node, row["files"][0]["fileUrl"], tmp_path / "ada.webm")
    assert [stream["codec_type"] for stream in probe(path)["streams"]] == ["audio"]
    assert abs(tone(path) - 440) < 5


async def test_nobody_cannot_be_recorded(node):
    room_id = await node.room()
    async with publishing(node, room_id, "ada"):
        refused = await node.call(
            "POST", f"{PARTICIPANT}/start", status=404, json={"roomId": room_id, "participantId": "eve"}
        )
        assert "participant" in refused["message"]


async def test_two_participants_are_merged_left_and_right(node, tmp_path):
    room_id = await node.room()
    people = ("ada", "bob")
    async with publishing(node, room_id, "ada"), publishing(node, room_id, "bob"):
        ids = [await start(node, PARTICIPANT, room_id, participantId=name) for name in people]
        for recording_id in ids:
            await written(node, recording_id, 60_000)
        for name in people:
            await node.call("POST", f"{PARTICIPANT}/stop", json={"roomId": room_id, "participantId": name})
        rows = [await state_of(node, f"{PARTICIPANT}/{recording_id}", "stopped") for recording_id in ids]
        session_id = rows[0]["sessionId"]
    merge = await node.call(
        "POST",
        f"{PARTICIPANT}/merge",
        json={"sessionId": session_id, "channel1": [{"participantId": "ada"}], "channel2": [{"participantId": "bob"}]},
    )
    merge_id = merge["recording"]["id"]
    row = await state_of(node, f"{PARTICIPANT}/merge/{merge_id}", "completed", "failed")
    assert row["status"] == "completed", row
    path = await download(node, row["files"][0]["fileUrl"], tmp_path / "merged")
    audio = probe(path)["streams"][0]
    assert (audio["codec_type"], audio["channels"]) == ("audio", 2)
    assert abs(tone(path) - 440) < 5
