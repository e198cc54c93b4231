"""Recordings of rooms by the whole node: real publishers, real workers, files that are opened."""

import os
import signal

import pytest

from tests.support.node import running_node
from tests.support.recordings import download, is_well, pictures, probe, publishing, shows, state_of, tone, until
from tests.support.webhook_receiver import running_receiver

pytestmark = pytest.mark.slow


@pytest.fixture
async def node(tmp_path):
    async with running_node(tmp_path / "data") as running:
        yield running


async def start(node, room_id, **body):
    return (await node.call("POST", "/v2/recordings/start", json={"roomId": room_id, **body}))["id"]


async def end(node, room_id, recording_id):
    await node.call("POST", "/v2/recordings/end", json={"roomId": room_id, "id": recording_id})
    return await state_of(node, f"/v2/recordings/{recording_id}", "stopped", "failed")


async def recorded_for(node, recording_id, seconds):
    """Until so much media time was composed."""
    job = node.node.egress.book.recordings[recording_id]

    async def look():
        return job.run.progress is not None and job.run.progress.media_time >= seconds

    await until(look)


async def test_a_room_is_recorded_as_it_was(node, tmp_path):
    room_id = await node.room()
    async with publishing(node, room_id, "ada", "red"), publishing(node, room_id, "bob", "green"):
        recording_id = await start(node, room_id)
        await recorded_for(node, recording_id, 3)
        row = await end(node, room_id, recording_id)
    assert is_well(row), row
    file = row["file"]
    path = await download(node, file["fileUrl"], tmp_path / "recording.mp4")
    found = probe(path)
    assert sorted(stream["codec_name"] for stream in found["streams"]) == ["aac", "h264"]
    assert float(found["format"]["duration"]) == pytest.approx(file["meta"]["duration"], abs=0.1)
    assert file["size"] == path.stat().st_size
    assert path.read_bytes()[:400].index(b"moov") < 100, "fast start"
    shown = pictures(path)
    last = shown[-1][1]
    assert shows(last, "red") and shows(last, "green")
    assert abs(tone(path) - 440) < 5
    timeline = await node.client.session.get(row["timelineUrl"])
    events = (await timeline.json())["events"]
    assert {event.get("name") for event in events if event["type"] == "participant-joined"} == {"ada", "bob"}


async def test_each_kind_of_webhook_is_told_in_order_at_the_end_of_a_meeting(node, tmp_path):
    async with running_receiver() as receiver:
        room = await node.call(
            "POST", "/v2/rooms", json={"webhook": {"endPoint": receiver.url, "events": ["recording-*", "session-*"]}}
        )
        room_id = room["roomId"]
        async with publishing(node, room_id, "ada"):
            recording_id = await start(node, room_id)
            await recorded_for(node, recording_id, 1)
            await node.call("POST", "/v2/sessions/end", json={"roomId": room_id})
        await receiver.wait_for("session-ended")
        assert receiver.types == [
            "session-started",
            "recording-starting",
            "recording-started",
            "recording-stopping",
            "recording-stopped",
            "session-ended",
        ]
        stopped = (await receiver.wait_for("recording-stopped")).data
        path = await download(node, stopped["fileUrl"], tmp_path / "stopped.mp4")
        assert len(pictures(path)) >= 25


async def test_a_worker_that_is_killed_costs_a_gap_and_nothing_else(node, tmp_path):
    room_id = await node.room()
    async with publishing(node, room_id, "ada"):
        recording_id = await start(node, room_id)
        await recorded_for(node, recording_id, 3)
        worker = node.node.supervisor.workers[0]
        os.kill(worker.pid, signal.SIGKILL)
        run = node.node.egress.book.recordings[recording_id].run
        await until(lambda: _began_again(run))
        await recorded_for(node, recording_id, 2)
        row = await end(node, room_id, recording_id)
    assert row["status"] == "stopped", row
    assert len(row["files"]) == 2
    assert len(row["gaps"]) == 1
    for number, file in enumerate(row["files"]):
        path = await download(node, file["fileUrl"], tmp_path / f"{number}.mp4")
        assert shows(pictures(path)[-1][1], "red")


async def _began_again(run):
    return run.restarts == 1 and run.progress is not None and run.progress.media_time < 3


async def test_two_recordings_of_a_room_need_multi_composition(node):
    room_id = await node.room()
    async with publishing(node, room_id, "ada"):
        recording_id = await start(node, room_id)
        refused = await node.call("POST", "/v2/recordings/start", status=409, json={"roomId": room_id})
        assert refused["code"] == 4018
        await end(node, room_id, recording_id)


async def test_everybody_knows_that_the_room_is_recorded(node):
    room_id = await node.room()
    async with publishing(node, room_id, "ada"):
        recording_id = await start(node, room_id)
        await state_of(node, f"/v2/recordings/{recording_id}", "recording")
        room = node.node.media.conference.rooms[room_id]
        assert room.state.values["recording"]["status"] == "RECORDING_STARTED"
        await end(node, room_id, recording_id)
        await until(lambda: _is_stopped(room))


async def _is_stopped(room):
    return room.state.values["recording"]["status"] == "RECORDING_STOPPED"


async def test_a_recorder_is_nobodys_participant(node):
    room_id = await node.room()
    async with publishing(node, room_id, "ada"):
        recording_id = await start(node, room_id)
        await recorded_for(node, recording_id, 0.5)
        sessions = await node.call("GET", f"/v2/sessions?roomId={room_id}")
        assert [person["participantId"] for person in sessions["data"][0]["participants"]] == ["ada"]
        await end(node, room_id, recording_id)


async def test_the_file_goes_on_while_the_node_ends(tmp_path):
    """SIGTERM: what is recorded is whole before the node is gone."""
    async with running_node(tmp_path / "data") as node:
        room_id = await node.room()
        async with publishing(node, room_id, "ada"):
            recording_id = await start(node, room_id)
            await recorded_for(node, recording_id, 1)
            await node.node.drain(1.0)
        row = await node.node.store.recordings.get(recording_id)
        assert row is not None and row.state == "stopped" and row.files
