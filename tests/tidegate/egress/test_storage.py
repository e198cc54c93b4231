"""Recordings on a disk that fills up: a small real one. Calls go on, files play, and people are told in words."""

from __future__ import annotations

import pytest

from tests.support.camera import watch
from tests.support.node import running_node
from tests.support.recordings import download, probe, publishing, state_of, tone, until
from tests.support.small_disk import MEGABYTE, small_disk
from tests.support.webhook_receiver import running_receiver
from tidegate.config.egress import ComposeConfig, RecordingConfig, WorkersConfig

pytestmark = pytest.mark.slow

COMPOSE = ComposeConfig(fps=15)
RESERVE = 25  # MB


async def recorded_for(node, recording_id, seconds):
    job = node.node.egress.book.recordings[recording_id]

    async def look():
        return job.run.progress is not None and job.run.progress.media_time >= seconds

    await until(look)


async def start(node, room_id):
    return (await node.call("POST", "/v2/recordings/start", json={"roomId": room_id}))["id"]


def assert_plays(path, duration):
    assert float(probe(path)["format"]["duration"]) == pytest.approx(duration, abs=0.1)
    seen = watch(path)
    assert seen[-1].time > duration - 1.0 and seen[-1].all == {"red"}, (len(seen), seen[-3:])
    assert abs(tone(path) - 440) < 5


async def test_a_disk_that_is_nearly_full_ends_recordings_well(tmp_path):
    with small_disk(tmp_path / "disk", 80) as disk:
        recording = RecordingConfig(min_free_mb=RESERVE)
        data = disk.folder / "data"
        async with running_receiver() as receiver, running_node(data, recording=recording, compose=COMPOSE) as node:
            webhook = {"endPoint": receiver.url, "events": ["recording-*"]}
            room_id = (await node.call("POST", "/v2/rooms", json={"webhook": webhook}))["roomId"]
            async with publishing(node, room_id, "ada"):
                recording_id = await start(node, room_id)
                await recorded_for(node, recording_id, 3)
                disk.leave((RESERVE - 5) * MEGABYTE)
                row = await state_of(node, f"/v2/recordings/{recording_id}", "stopped", "failed")
                assert row["status"] == "stopped", row
                assert row["error"] == "the disk is almost full"
                assert disk.free > 10 * MEGABYTE, "ended before it was full"
                told = await receiver.wait_for("recording-stopping")
                assert told.data["reason"] == "the disk is almost full"
                told = await receiver.wait_for("recording-stopped")
                assert told.data["error"] == "the disk is almost full"
                refused = await node.call("POST", "/v2/recordings/start", status=507, json={"roomId": room_id})
                assert "disk" in refused["message"]
                assert await node.is_published(room_id, "ada")
                path = await download(node, row["file"]["fileUrl"], tmp_path / "saved.mp4")
                assert_plays(path, row["file"]["meta"]["duration"])
                disk.leave(2 * RESERVE * MEGABYTE)
                await until(lambda: _has_room(node))
                recording_id = await start(node, room_id)
                await recorded_for(node, recording_id, 0.5)


async def _has_room(node):
    return node.node.disk_guard.ok()


@pytest.mark.parametrize("what", ["what is recorded", "everything"])
async def test_a_disk_that_is_full_all_at_once_costs_the_rest_of_the_recording_alone(tmp_path, what):
    """Somebody else takes the last byte: of the folder that pipelines write to, or the store's as well."""
    data = tmp_path / "data"
    if what == "what is recorded":
        data.mkdir()
    with small_disk(data / "egress" if what == "what is recorded" else data, 40) as disk:
        recording = RecordingConfig(min_free_mb=0)
        workers = WorkersConfig(max_restarts=1)
        async with running_node(data, recording=recording, compose=COMPOSE, workers=workers) as node:
            room_id = await node.room()
            async with publishing(node, room_id, "ada"), publishing(node, room_id, "bob"):
                recording_id = await start(node, room_id)
                await recorded_for(node, recording_id, 3)
                run = node.node.egress.book.recordings[recording_id].run
                disk.leave(0)
                await until(lambda: _is_over(run))
                assert await node.is_published(room_id, "ada") and await node.is_published(room_id, "bob")
                disk.leave(20 * MEGABYTE)
                row = await state_of(node, f"/v2/recordings/{recording_id}", "stopped", "failed")
                assert row["status"] == "stopped", row
                assert "No space left on device" in row["error"], row
                path = await download(node, row["file"]["fileUrl"], tmp_path / "saved.mp4")
                assert_plays(path, row["file"]["meta"]["duration"])


async def _is_over(run):
    return run.finished.done()
