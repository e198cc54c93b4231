"""Broadcasts of rooms by the whole node to a server that is not ours: targets that die, come back, refuse, freeze, come and go."""

from __future__ import annotations

import logging
import os
import signal

import pytest

from tests.support.camera import watch
from tests.support.node import running_node
from tests.support.recordings import download, publishing, state_of, tone, until
from tests.support.social_media import goodbye, grows, output, platforms, publishes, read_stream, refuses_all
from tests.support.webhook_receiver import running_receiver
from tidegate.config.egress import BroadcastConfig, ComposeConfig

pytestmark = pytest.mark.slow

KEY = "our-channels-secret-key"
FPS = 15  # a machine that others keep busy composes these in time, too
FRAME = 1 / FPS
QUICK = BroadcastConfig(connect_timeout=2.0, stall_timeout=2.0, retry_min=0.1, retry_max=0.5)
SMALL = {"quality": "low"}


@pytest.fixture
async def node(tmp_path):
    async with running_node(tmp_path / "data", broadcast=QUICK, compose=ComposeConfig(fps=FPS)) as running:
        yield running


async def go_live(node, room_id, *outputs, **config):
    body = {"roomId": room_id, "outputs": list(outputs), "config": SMALL | config}
    return (await node.call("POST", "/v2/livestreams/start", json=body))["id"]


async def end(node, room_id, live_id):
    await node.call("POST", "/v2/livestreams/end", json={"roomId": room_id, "id": live_id})
    return await state_of(node, f"/v2/livestreams/{live_id}", "stopped", "failed")


async def output_is(node, live_id, number, *states):
    """That output, once it is in one of the states."""

    async def look():
        outputs = (await node.call("GET", f"/v2/livestreams/{live_id}"))["outputs"]
        return outputs[number] if outputs[number]["status"] in states else None

    return await until(look)


async def test_one_target_dies_and_comes_back_and_the_other_and_the_recording_have_no_gap(node, tmp_path):
    room_id = await node.room()
    with platforms(tmp_path, "mortal", "other") as (mortal, other):
        async with publishing(node, room_id, "ada"):
            outputs = [output(mortal, KEY), output(other, KEY)]
            live_id = await go_live(node, room_id, *outputs, recording={"enabled": True})
            await publishes(mortal, KEY)
            await publishes(other, KEY)
            mortal.kill()
            told = await output_is(node, live_id, 0, "retrying")
            assert "nothing listens" in told["error"] or "closed the connection" in told["error"]
            mortal.start()
            await output_is(node, live_id, 0, "live")
            await publishes(mortal, KEY, life=2)
            row = await end(node, room_id, live_id)
            await goodbye(mortal)
            await goodbye(other)
        assert row["status"] == "stopped", row
        assert [one["status"] for one in row["outputs"]] == ["stopped", "stopped"]
        whole, again = read_stream(other.recording(KEY)), read_stream(mortal.recording(KEY, life=2))
        assert whole.longest_gap < 10 * FRAME and whole.longest_silence < 0.1
        assert max(b - a for a, b in zip(whole.keyframes, whole.keyframes[1:], strict=False)) <= 2.0 + FRAME
        assert again.times[0] == again.keyframes[0]
        assert watch(mortal.recording(KEY, life=2), each=FPS)[-1].all == {"red"}
        recording = await state_of(node, f"/v2/recordings/{row['recordingId']}", "stopped", "failed")
        path = await download(node, recording["file"]["fileUrl"], tmp_path / "alongside.mp4")
        assert read_stream(path).longest_gap < 10 * FRAME
        assert watch(path, each=FPS)[-1].all == {"red"} and abs(tone(path) - 440) < 5


async def test_targets_come_and_go_while_it_is_live(node, tmp_path):
    room_id = await node.room()
    with platforms(tmp_path, "first", "second") as (first, second):
        async with publishing(node, room_id, "ada"):
            live_id = await go_live(node, room_id, output(first, KEY))
            await publishes(first, KEY)
            row = await node.call("POST", f"/v2/livestreams/{live_id}/outputs", json=output(second, KEY))
            assert len(row["outputs"]) == 2
            await publishes(second, KEY)
            removed = row["outputs"][0]["id"]
            row = await node.call("DELETE", f"/v2/livestreams/{live_id}/outputs/{removed}")
            assert [one["url"] for one in row["outputs"]] == [output(second, KEY)["url"]]
            await goodbye(first)
            await grows(second.recording(KEY), 50_000)
            row = await end(node, room_id, live_id)
            await goodbye(second)
        assert row["status"] == "stopped", row
        later = read_stream(second.recording(KEY))
        assert later.times[0] == later.keyframes[0] and later.longest_gap < 10 * FRAME
        assert read_stream(first.recording(KEY)).longest_gap < 10 * FRAME


async def test_a_refused_key_is_told_in_words_and_the_others_go_on(node, tmp_path):
    room_id = await node.room()
    async with refuses_all() as url:
        with platforms(tmp_path, "strict", more=f"on_publish {url};") as (strict,), platforms(tmp_path, "kind") as (kind,):
            async with publishing(node, room_id, "ada"):
                live_id = await go_live(node, room_id, output(strict, KEY), output(kind, KEY))
                told = await output_is(node, live_id, 0, "failed")
                assert "stream key" in told["error"] and KEY not in told["error"]
                await publishes(kind, KEY)
                row = await end(node, room_id, live_id)
    assert row["status"] == "stopped", row
    assert [one["status"] for one in row["outputs"]] == ["failed", "stopped"]


async def test_a_broadcast_that_no_target_takes_fails_in_words(node, tmp_path):
    room_id = await node.room()
    async with refuses_all() as url, running_receiver() as receiver:
        with platforms(tmp_path, "strict", more=f"on_publish {url};") as (strict,):
            async with publishing(node, room_id, "ada"):
                body = {"roomId": room_id, "outputs": [output(strict, KEY)], "webhookUrl": receiver.url}
                live_id = (await node.call("POST", "/v2/livestreams/start", json=body))["id"]
                row = await state_of(node, f"/v2/livestreams/{live_id}", "stopped", "failed")
                assert row["status"] == "failed", row
                failed = await receiver.wait_for("livestream-failed")
                assert "target" in failed.data["error"]
                assert "livestream-started" not in receiver.types


async def test_a_frozen_target_holds_up_neither_the_other_nor_the_end(node, tmp_path):
    """SIGSTOP: its kernel takes what fits and nobody ever answers."""
    async with running_receiver() as receiver:
        room = await node.call("POST", "/v2/rooms", json={"webhook": {"endPoint": receiver.url, "events": ["*"]}})
        room_id = room["roomId"]
        with platforms(tmp_path, "frozen", "other") as (frozen, other):
            async with publishing(node, room_id, "ada"):
                live_id = await go_live(node, room_id, output(frozen, KEY), output(other, KEY), recording={"enabled": True})
                await publishes(frozen, KEY)
                await publishes(other, KEY)
                os.kill(frozen.pid, signal.SIGSTOP)
                await grows(other.recording(KEY), 100_000)
                await node.call("POST", "/v2/sessions/end", json={"roomId": room_id})
                await goodbye(other)
                await receiver.wait_for("session-ended")
            os.kill(frozen.pid, signal.SIGCONT)
        ends = [kind for kind in receiver.types if kind.endswith(("-stopped", "-ended"))]
        assert ends == ["livestream-stopped", "recording-stopped", "session-ended"]
        row = await node.call("GET", f"/v2/livestreams/{live_id}")
        assert row["status"] == "stopped"
        assert read_stream(other.recording(KEY)).longest_gap < 10 * FRAME


async def test_a_worker_that_dies_costs_targets_no_connection(node, tmp_path):
    room_id = await node.room()
    with platforms(tmp_path, "target") as (target,):
        async with publishing(node, room_id, "ada"):
            live_id = await go_live(node, room_id, output(target, KEY))
            await publishes(target, KEY)
            run = node.node.egress.book.broadcasts[live_id].run
            busy = [worker for worker in node.node.supervisor.workers if worker.kind == "broadcast"]
            os.kill(busy[0].pid, signal.SIGKILL)
            await until(lambda: _began_again(run))
            await grows(target.recording(KEY), 80_000)
            row = await end(node, room_id, live_id)
            await goodbye(target)
        assert row["status"] == "stopped", row
        assert row["outputs"][0]["retries"] == 0
        assert target.log().count("publish:") == 1, "the same connection from first to last"
        stream = read_stream(target.recording(KEY))
        assert stream.times == sorted(stream.times) and stream.times[-1] - stream.times[0] > 2
        assert watch(target.recording(KEY), each=FPS)[-1].all == {"red"}


async def _began_again(run):
    return run.restarts == 1 and run.progress is not None and run.progress.media_time > 0


async def test_stream_keys_are_nowhere_to_be_found(node, tmp_path, caplog):
    """Not in what is logged, answered, told, kept, measured; nor a secret in the address's query."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    secret = "a-secret-of-the-query"
    async with running_receiver() as receiver, refuses_all() as url:
        room = await node.call("POST", "/v2/rooms", json={"webhook": {"endPoint": receiver.url, "events": ["*"]}})
        room_id = room["roomId"]
        with platforms(tmp_path, "kind") as (kind,), platforms(tmp_path, "strict", more=f"on_publish {url};") as (strict,):
            async with publishing(node, room_id, "ada"):
                outputs = [output(kind, KEY, query=f"?token={secret}"), output(strict, KEY)]
                body = {"roomId": room_id, "outputs": outputs, "config": SMALL}
                answer = await node.call("POST", "/v2/livestreams/start", json=body)
                said.append(str(answer))
                await output_is(node, answer["id"], 0, "live")
                await output_is(node, answer["id"], 1, "failed")
                said.append(str(node.node.media.conference.rooms[room_id].state.values))
                async with node.request("GET", "/metrics") as metrics:
                    said.append(await metrics.text())
                kind.kill()
                await output_is(node, answer["id"], 0, "retrying")
                bad = {"url": f"rtmp://127.0.0.1:1/{secret}?{secret}", "streamKey": f"{KEY} with a space"}
                said.append(str(await node.call("POST", f"/v2/livestreams/{answer['id']}/outputs", status=400, json=bad)))
                await node.call("POST", "/v2/sessions/end", json={"roomId": room_id})
                await receiver.wait_for("session-ended")
                for path in ("/v2/livestreams", f"/v2/livestreams/{answer['id']}", "/v2/events", "/v2/webhooks/deliveries"):
                    headers = {"Accept": "application/json"}
                    said.append(str(await node.call("GET", path, headers=headers)))
    said += [record.getMessage() + str(record.__dict__) for record in caplog.records]
    said += [one.body.decode() for one in receiver.seen]
    assert len(said) > 20 and any("livestream-started" in text for text in said)
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert any(path.name.startswith("tidegate.db") for path in kept)
    texts = said + [path.read_bytes().decode(errors="replace") for path in kept]
    for hidden in (KEY, secret):
        assert [text[:200] for text in texts if hidden in text] == []
