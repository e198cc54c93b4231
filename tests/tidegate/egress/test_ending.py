"""How recordings and broadcasts of a room end: by everything that ends a meeting, in order; because nobody is there; with the node."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.camera import watch
from tests.support.node import running_node
from tests.support.recordings import download, pictures, probe, publishing, state_of, until
from tests.support.served_node import served_node
from tests.support.signalling import Client
from tests.support.social_media import goodbye, output, platforms, publishes
from tests.support.webhook_receiver import running_receiver
from tidegate.config.egress import ComposeConfig
from tidegate.events import autoclose

pytestmark = pytest.mark.slow

FPS = 15
EVENTS = ["recording-*", "livestream-*", "session-*", "participant-recording-*", "room-disabled"]
IN_ORDER = ["livestream-stopped", "recording-stopped", "session-ended"]


@asynccontextmanager
async def stage(tmp_path, *, empty_timeout=60.0, **room):
    """A node, the room, and who is told of it."""
    compose = ComposeConfig(fps=FPS, empty_timeout=empty_timeout)
    async with running_receiver() as receiver, running_node(tmp_path / "data", compose=compose) as node:
        webhook = {"endPoint": receiver.url, "events": EVENTS}
        made = await node.call("POST", "/v2/rooms", json={"webhook": webhook, **room})
        yield node, made["roomId"], receiver


async def start(node, room_id):
    return (await node.call("POST", "/v2/recordings/start", json={"roomId": room_id}))["id"]


async def recorded_for(node, recording_id, seconds):
    job = node.node.egress.book.recordings[recording_id]

    async def look():
        return job.run.progress is not None and job.run.progress.media_time >= seconds

    await until(look)


# Whoever ends the meeting


async def by_rest(node, room_id):
    await node.call("POST", "/v2/sessions/end", json={"roomId": room_id})


async def by_deactivation(node, room_id):
    await node.call("POST", "/v2/rooms/deactivate", json={"roomId": room_id})


async def by_a_client(node, room_id):
    async with node.http.ws_connect(f"{node.url}/v2/signal") as ws:
        client = Client(ws)
        await client.request("join", token=node.token(), roomId=room_id, displayName="Eve")
        await client.request("end")


async def by_auto_close(node, room_id):
    """Its minutes, which are seconds here, go by."""


@pytest.mark.parametrize("end", [by_rest, by_deactivation, by_a_client, by_auto_close])
async def test_whoever_ends_a_meeting_ends_all_that_hangs_on_it_in_order(tmp_path, monkeypatch, end):
    room = {}
    if end is by_auto_close:
        monkeypatch.setattr(autoclose, "MINUTE", 1.0)
        room = {"autoCloseConfig": {"type": "session-end-and-deactivate", "duration": 8}}
    with platforms(tmp_path, "target") as (target,):
        async with stage(tmp_path, **room) as (node, room_id, receiver):
            async with publishing(node, room_id, "ada"):
                body = {"roomId": room_id, "outputs": [output(target, "key")], "config": {"quality": "low"}}
                live_id = (await node.call("POST", "/v2/livestreams/start", json=body))["id"]
                recording_id = await start(node, room_id)
                await publishes(target, "key")
                await recorded_for(node, recording_id, 1)
                await end(node, room_id)
                await goodbye(target)
                await receiver.wait_for("session-ended")
            assert [kind for kind in receiver.types if kind in IN_ORDER] == IN_ORDER
            assert receiver.types[-1] == "session-ended"
            assert ("room-disabled" in receiver.types) == (end in (by_deactivation, by_auto_close))
            for path in (f"/v2/livestreams/{live_id}", f"/v2/recordings/{recording_id}"):
                row = await node.call("GET", path)
                assert (row["status"], row["error"]) == ("stopped", None), row
            assert node.node.supervisor.workers == [] or all(w.kind == "spare" for w in node.node.supervisor.workers)
            assert room_id not in node.node.media.conference.rooms


async def test_a_start_beside_the_end_leaves_nothing_running(tmp_path):
    """Whichever comes first. A recording that comes after the end opens the room anew, and ends because nobody is in it."""
    async with stage(tmp_path, empty_timeout=0.5) as (node, room_id, receiver):
        for session in range(1, 4):
            async with publishing(node, room_id, "ada"):
                starting = asyncio.create_task(
                    _answer(node, "POST", "/v2/recordings/start", json={"roomId": room_id})
                )
                for _ in range(session * 4):
                    await asyncio.sleep(0)
                await by_rest(node, room_id)
                await starting
            await until(lambda: _nothing_runs(node))
            await receiver.wait_for("session-started", session)
            await receiver.wait_until(lambda: receiver.types.count("session-ended") == receiver.types.count("session-started"))
        for row in (await node.call("GET", "/v2/recordings"))["data"]:
            assert row["status"] in ("stopped", "failed"), row
        sessions = [one.data["sessionId"] for one in receiver.seen if one.type == "session-ended"]
        for session_id in sessions:
            told = [one.type for one in receiver.seen if one.data.get("sessionId") == session_id]
            assert told[-1] == "session-ended", told


async def _answer(node, method, path, **more):
    async with node.request(method, path, **more) as response:
        return response.status


async def _nothing_runs(node):
    book = node.node.egress.book
    return not (book.recordings or book.broadcasts or book.runs)


# Nobody is there


async def test_a_room_with_nobody_in_it_ends_its_compositions_after_a_while(tmp_path):
    async with stage(tmp_path, empty_timeout=1.0) as (node, room_id, receiver):
        async with publishing(node, room_id, "ada") as ada:
            recording_id = await start(node, room_id)
            await recorded_for(node, recording_id, 1)
            await ada.delete()
            await receiver.wait_for("session-ended")
        row = await node.call("GET", f"/v2/recordings/{recording_id}")
        assert row["status"] == "stopped", row
        assert receiver.types[-2:] == ["recording-stopped", "session-ended"]
        path = await download(node, row["file"]["fileUrl"], tmp_path / "ended.mp4")
        seen = watch(path)
        assert any(picture.all == {"red"} for picture in seen) and seen[-1].all == frozenset()


async def test_who_comes_back_in_time_is_in_the_same_session_and_file(tmp_path):
    async with stage(tmp_path, empty_timeout=60.0) as (node, room_id, receiver):
        async with publishing(node, room_id, "ada") as ada:
            recording_id = await start(node, room_id)
            await recorded_for(node, recording_id, 1)
            await ada.delete()
        left = node.node.egress.book.recordings[recording_id].run.progress.media_time
        await recorded_for(node, recording_id, left + 1.5)
        async with publishing(node, room_id, "bob", "green"):
            again = node.node.egress.book.recordings[recording_id].run.progress.media_time
            await recorded_for(node, recording_id, again + 1)
            await by_rest(node, room_id)
            await receiver.wait_for("session-ended")
        assert receiver.types.count("session-started") == 1
        row = await node.call("GET", f"/v2/recordings/{recording_id}")
        assert (row["status"], len(row["files"])) == ("stopped", 1), row
        seen = watch(await download(node, row["file"]["fileUrl"], tmp_path / "both.mp4"))
        colours = [picture.all for picture in seen]
        first, last = colours.index(frozenset({"red"})), colours.index(frozenset({"green"}))
        assert frozenset() in colours[first:last], "nobody was there in between"
        sessions = (await node.call("GET", f"/v2/sessions?roomId={room_id}"))["data"]
        assert len(sessions) == 1


async def test_a_participants_recording_ends_when_the_participant_leaves(tmp_path):
    """The meeting goes on, and so does what is recorded of others."""
    async with stage(tmp_path) as (node, room_id, receiver):
        async with publishing(node, room_id, "bob", "green"):
            async with publishing(node, room_id, "ada") as ada:
                body = {"roomId": room_id, "participantId": "ada", "fileFormat": "webm"}
                recording_id = (await node.call("POST", "/v2/recordings/participant/start", json=body))["id"]
                folder = node.node.egress.plane.directory(recording_id)
                await until(lambda: _has(folder, 60_000))
                await ada.delete()
                row = await state_of(node, f"/v2/recordings/participant/{recording_id}", "stopped", "failed")
            assert row["status"] == "stopped", row
            await receiver.wait_for("participant-recording-stopped")
            path = await download(node, row["files"][0]["fileUrl"], tmp_path / "ada.webm")
            assert len(pictures(path)) > 10


async def _has(folder, size):
    files = await asyncio.to_thread(lambda: [path.stat().st_size for path in folder.rglob("*") if path.is_file()])
    return sum(files) >= size


# By themselves


async def test_a_room_records_itself_from_the_first_participant_on(tmp_path):
    wanted = {"recording": {"config": {"layout": {"type": "SIDEBAR"}, "quality": "low"}}}
    async with stage(tmp_path, autoStartConfig=wanted) as (node, room_id, receiver):
        async with publishing(node, room_id, "ada"):
            recording_id = (await receiver.wait_for("recording-started")).data["id"]
            await recorded_for(node, recording_id, 2)
            await by_rest(node, room_id)
            await receiver.wait_for("session-ended")
        stopped = await receiver.wait_for("recording-stopped")
        assert receiver.types.count("recording-started") == 1
        path = await download(node, stopped.data["fileUrl"], tmp_path / "itself.mp4")
        assert watch(path)[-1].all == {"red"}
        video = next(stream for stream in probe(path)["streams"] if stream["codec_type"] == "video")
        assert (video["width"], video["height"]) == (854, 480)


# The node


async def test_a_node_that_is_told_to_end_finishes_its_files_first(tmp_path):
    with platforms(tmp_path, "target") as (target,):
        async with running_receiver() as receiver:
            async with served_node(tmp_path / "data", TIDEGATE_COMPOSE_FPS=str(FPS)) as node:
                webhook = {"endPoint": receiver.url, "events": EVENTS}
                room_id = (await node.call("POST", "/v2/rooms", json={"webhook": webhook}))["roomId"]
                async with publishing(node, room_id, "ada"):
                    body = {"roomId": room_id, "outputs": [output(target, "key")], "config": {"recording": {"enabled": True}}}
                    await node.call("POST", "/v2/livestreams/start", json=body)
                    await publishes(target, "key")
                    node.server.process.send_signal(signal.SIGTERM)
                    assert await asyncio.to_thread(node.server.process.wait, 60) == 0, node.server.output
                assert "Traceback" not in node.server.output
                await goodbye(target)
            files = [path for path in (tmp_path / "data" / "recordings").rglob("*.mp4")]
            assert len(files) == 1
            assert b"moov" in files[0].read_bytes()[:400], "fast start"
            assert watch(files[0])[-1].all == {"red"}
            async with served_node(tmp_path / "data") as node:
                row = (await node.call("GET", "/v2/recordings"))["data"][0]
                assert (row["status"], row["error"]) == ("stopped", None), row
                await receiver.wait_for("session-ended")
                assert [kind for kind in receiver.types if kind in IN_ORDER] == IN_ORDER


async def test_a_database_that_is_away_for_a_while_costs_neither_target_nor_file(tmp_path, monkeypatch):
    with platforms(tmp_path, "target") as (target,):
        async with stage(tmp_path) as (node, room_id, receiver):
            async with publishing(node, room_id, "ada"):
                body = {"roomId": room_id, "outputs": [output(target, "key")], "config": {"recording": {"enabled": True}}}
                live_id = (await node.call("POST", "/v2/livestreams/start", json=body))["id"]
                await publishes(target, "key")
                events = node.node.store.events
                write = events.write

                async def away(*_):
                    raise OperationalError("UPDATE", {}, Exception("the database is away"))

                monkeypatch.setattr(events, "write", away)
                job = node.node.egress.book.broadcasts[live_id]
                job.run.stop()
                await goodbye(target)
                await until(lambda: _is_over(job.run))
                assert node.node.egress.book.broadcasts
                monkeypatch.setattr(events, "write", write)
                row = await state_of(node, f"/v2/livestreams/{live_id}", "stopped", "failed")
                assert row["status"] == "stopped", row
                recording = await state_of(node, f"/v2/recordings/{row['recordingId']}", "stopped", "failed")
                assert recording["status"] == "stopped", recording
                await receiver.wait_for("recording-stopped")


async def _is_over(run):
    return run.finished.done()


async def test_a_session_is_told_to_have_begun_before_what_is_made_of_it(tmp_path, monkeypatch):
    """Also when what happens in rooms waits for its turn at the database."""
    async with stage(tmp_path, empty_timeout=0.5) as (node, room_id, receiver):
        recorder = node.node.recorder
        take = recorder._take

        async def late():
            await asyncio.sleep(0.3)
            await take()

        monkeypatch.setattr(recorder, "_take", late)
        await start(node, room_id)
        await receiver.wait_for("recording-starting")
        assert receiver.types[:2] == ["session-started", "recording-starting"]
        await receiver.wait_for("session-ended")
