"""Transcodings: a queue of rows, worked off by workers that do what the test says."""

import asyncio

import pytest

from media.errors import PeerError
from sfu.compose.messages import Done, Failed, FileInfo
from tests.support.egress_plane import WALL, eventually
from tidegate.egress import merges, recovery
from tidegate.egress.requests import MergePart, MergeRequest
from tidegate.workers.budget import WorkersBusy


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(merges, "BUSY_PAUSE", 0.01)


async def recorded(scene):
    row, worker = await scene.recording()
    await scene.egress.stop_recording(row.id)
    worker.finish()
    return await scene.ended(row.id)


def request(scene, *rows):
    parts = tuple(MergePart(row.id, row.files[0]["name"]) for row in rows)
    return MergeRequest(scene.project_id, "meeting-recording-merge", parts, "mp4", upload_url=None)


async def ended(scene, row_id):
    await eventually(lambda: row_id not in scene.egress.merges._running)
    return await scene.store.transcodings.get(row_id)


def finish(worker):
    worker.write(b"merged")
    worker.report(Done((FileInfo("recording.mp4", WALL, 20.0, 6),)))
    worker.end()


async def test_a_merge_is_stored_and_told(scene):
    row = await scene.egress.start_merge(request(scene, await recorded(scene)))
    finish(await scene.supervisor.worker(1))
    row = await ended(scene, row.id)
    assert (row.state, row.error, row.files[0]["size"]) == ("completed", None, 6)
    assert (await scene.told())[-2:] == ["transcoding-started", "transcoding-completed"]
    assert not scene.plane.directory(row.id).exists()


async def test_it_waits_for_room(scene):
    source = await recorded(scene)
    scene.supervisor.refusals += [WorkersBusy("full"), WorkersBusy("full")]
    row = await scene.egress.start_merge(request(scene, source))
    finish(await scene.supervisor.worker(1))
    assert (await ended(scene, row.id)).state == "completed"


async def test_what_a_worker_cannot_do_is_told_in_its_words(scene):
    row = await scene.egress.start_merge(request(scene, await recorded(scene)))
    worker = await scene.supervisor.worker(1)
    worker.report(Failed("the sizes differ"))
    worker.end("failed", "the sizes differ")
    row = await ended(scene, row.id)
    assert (row.state, row.error) == ("failed", "the sizes differ")


async def test_a_disk_that_refuses_fails_it(scene, monkeypatch):
    source = await recorded(scene)

    async def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scene.egress.merges, "_fetch", refuse)
    row = await scene.egress.start_merge(request(scene, source))
    row = await ended(scene, row.id)
    assert (row.state, row.error) == ("failed", "the disk refuses: No space left on device")


async def test_it_is_cancelled_once(scene):
    row = await scene.egress.start_merge(request(scene, await recorded(scene)))
    worker = await scene.supervisor.worker(1)
    assert (await scene.egress.cancel_merge(row.id)).state == "cancelled"
    assert worker.killed
    with pytest.raises(PeerError):
        await scene.egress.cancel_merge(row.id)


async def test_one_whose_last_word_is_being_written_is_not_cancelled(scene, monkeypatch):
    row = await scene.egress.start_merge(request(scene, await recorded(scene)))
    worker = await scene.supervisor.worker(1)
    writing, go_on = asyncio.Event(), asyncio.Event()
    write = scene.events._store.events.write

    async def slowly(events, change, account):
        if events and events[0].type == "transcoding-completed":
            writing.set()
            await go_on.wait()
        return await write(events, change, account)

    monkeypatch.setattr(scene.events._store.events, "write", slowly)
    finish(worker)
    await writing.wait()
    cancelling = asyncio.create_task(scene.egress.cancel_merge(row.id))
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(PeerError):
        await cancelling
    assert (await ended(scene, row.id)).state == "completed"


async def test_the_next_node_goes_on_with_it(scene, next_node):
    row = await scene.egress.start_merge(request(scene, await recorded(scene)))
    await scene.supervisor.worker(1)
    scene = await next_node()
    await recovery.finish_left_over(scene.egress, scene.egress._left)
    finish(await scene.supervisor.worker(0))
    assert (await ended(scene, row.id)).state == "completed"
