"""What is killed while it records, and what is on the file then: the node, the store of files, the receiver of webhooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import s3
from tests.support.camera import watch
from tests.support.node import running_node
from tests.support.recordings import download, is_well, probe, publishing, state_of, tone, until
from tests.support.rtmp_nginx import running_nginx
from tests.support.served_node import served_node
from tests.support.social_media import output, publishes
from tests.support.webhook_receiver import running_receiver
from tidegate.events import policy

pytestmark = pytest.mark.slow

FPS = "15"
QUICK = {"TIDEGATE_COMPOSE_FPS": FPS}
ENOUGH = 40_000  # bytes: seconds of one colour
EVENTS = ["recording-*", "livestream-*", "session-*"]


async def room_with(node, receiver, *, events=EVENTS):
    room = await node.call("POST", "/v2/rooms", json={"webhook": {"endPoint": receiver.url, "events": events}})
    return room["roomId"]


async def record(node, room_id):
    return (await node.call("POST", "/v2/recordings/start", json={"roomId": room_id}))["id"]


async def test_a_killed_node_leaves_a_recording_that_its_next_start_makes_whole(tmp_path):
    async with running_receiver() as receiver:
        async with served_node(tmp_path / "data", **QUICK) as node:
            room_id = await room_with(node, receiver)
            async with publishing(node, room_id, "ada"):
                recording_id = await record(node, room_id)
                await receiver.wait_for("recording-started")
                await node.recorded(recording_id, ENOUGH)
                assert len(await node.kill()) >= 1
        told = len(receiver.seen)
        async with served_node(tmp_path / "data", **QUICK) as node:
            row = await state_of(node, f"/v2/recordings/{recording_id}", "stopped", "failed")
            await receiver.wait_for("session-ended")
            assert receiver.types[told:] == ["recording-stopped", "session-ended"]
            assert row["status"] == "stopped", row
            assert "the server ended" in row["error"]
            assert len(row["gaps"]) == 1
            path = await download(node, (await receiver.wait_for("recording-stopped")).data["fileUrl"], tmp_path / "left.mp4")
            listed = await node.call("GET", f"/v2/recordings?roomId={room_id}")
            assert [one["id"] for one in listed["data"]] == [recording_id]
            session = (await node.call("GET", f"/v2/sessions?roomId={room_id}"))["data"][0]
            assert session["status"] == "ended"
    assert_plays(path, row["file"]["meta"]["duration"])


def assert_plays(path: Path, duration: float) -> None:
    """As long as was said, from its first bytes to its last picture, with sound."""
    assert float(probe(path)["format"]["duration"]) == pytest.approx(duration, abs=0.1)
    assert b"moov" in path.read_bytes()[:400], "fast start"
    seen = watch(path, each=5)
    assert seen[-1].time > duration - 1.0
    assert seen[-1].all == {"red"}
    assert abs(tone(path) - 440) < 5


async def test_a_killed_node_tells_of_its_broadcasts_at_the_next_start(tmp_path):
    (tmp_path / "nginx").mkdir()
    with running_nginx(tmp_path / "nginx") as nginx:
        async with running_receiver() as receiver:
            async with served_node(tmp_path / "data", **QUICK) as node:
                room_id = await room_with(node, receiver)
                async with publishing(node, room_id, "ada"):
                    config = {"recording": {"enabled": True}}
                    body = {"roomId": room_id, "outputs": [output(nginx, "key")], "config": config}
                    live_id = (await node.call("POST", "/v2/livestreams/start", json=body))["id"]
                    await publishes(nginx, "key")
                    await node.kill()
            told = len(receiver.seen)
            async with served_node(tmp_path / "data", **QUICK) as node:
                await receiver.wait_for("session-ended")
                assert receiver.types[told:] == ["livestream-stopped", "recording-stopped", "session-ended"]
                row = await node.call("GET", f"/v2/livestreams/{live_id}")
                assert (row["status"], row["outputs"][0]["status"]) == ("stopped", "stopped")
                stopped = await receiver.wait_for("recording-stopped")
                assert_plays(
                    await download(node, stopped.data["fileUrl"], tmp_path / "alongside.mp4"), stopped.data["files"][0]["duration"]
                )


async def test_a_receiver_that_is_down_at_first_gets_everything_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(policy, "BACKOFF", (0.3,))
    monkeypatch.setattr(policy, "PAUSES", (0.3,))
    async with running_receiver() as first:
        port = int(first.url.split(":")[2].split("/")[0])
    async with running_node(tmp_path / "data") as node:
        room_id = await room_with(node, first)
        async with publishing(node, room_id, "ada"):
            recording_id = await record(node, room_id)
            await state_of(node, f"/v2/recordings/{recording_id}", "recording")
            await node.call("POST", "/v2/sessions/end", json={"roomId": room_id})
        row = await state_of(node, f"/v2/recordings/{recording_id}", "stopped", "failed")
        assert row["status"] == "stopped", row
        await until(lambda: has_failed(node, room_id))
        async with running_receiver(port) as receiver:
            await receiver.wait_for("session-ended")
            assert receiver.types == [
                "session-started",
                "recording-starting",
                "recording-started",
                "recording-stopping",
                "recording-stopped",
                "session-ended",
            ]


async def has_failed(node, room_id):
    deliveries = (await node.call("GET", f"/v2/webhooks/deliveries?roomId={room_id}"))["data"]
    return len(deliveries) == 6 and any(one["attemptCount"] for one in deliveries)


async def test_a_file_waits_for_a_store_that_is_down_even_across_a_killed_node(tmp_path):
    port = s3.free_port()
    config = s3.S3(f"http://127.0.0.1:{port}").config()
    store = {
        "TIDEGATE_STORAGE_URL": config.url,
        "TIDEGATE_STORAGE_ENDPOINT": config.endpoint,
        "TIDEGATE_S3_ACCESS_KEY_ID": config.access_key_id,
        "TIDEGATE_S3_SECRET_ACCESS_KEY": config.secret_access_key,
        "TIDEGATE_STORAGE_ALLOW_HTTP": "true",
    }
    async with running_receiver() as receiver:
        async with served_node(tmp_path / "data", **QUICK, **store) as node:
            room_id = await room_with(node, receiver)
            async with publishing(node, room_id, "ada"):
                recording_id = await record(node, room_id)
                await node.recorded(recording_id, ENOUGH)
                await node.call("POST", "/v2/sessions/end", json={"roomId": room_id})
            node.server.wait_for_line("cannot be stored")
            row = await node.call("GET", f"/v2/recordings/{recording_id}")
            assert row["status"] == "processing", row
            assert "recording-stopped" not in receiver.types and "session-ended" not in receiver.types
            await node.kill()
        async with served_node(tmp_path / "data", **QUICK, **store) as node:
            node.server.wait_for_line("cannot be stored")
            with s3.moto_server(port):
                row = await state_of(node, f"/v2/recordings/{recording_id}", "stopped", "failed")
                assert is_well(row), row
                await receiver.wait_for("session-ended")
                assert receiver.types[-2:] == ["recording-stopped", "session-ended"]
                path = tmp_path / "stored.mp4"
                async with node.http.get(row["file"]["fileUrl"]) as answer:
                    assert answer.status == 200, await answer.text()
                    path.write_bytes(await answer.read())
            assert_plays(path, row["file"]["meta"]["duration"])
            folder = tmp_path / "data" / "egress" / recording_id
            assert not folder.exists(), "what is stored leaves this disk"
