"""What a node that was killed left: in every state, with some of its files in the storage already."""

from __future__ import annotations

import asyncio

from sfu.compose.messages import Done, FileInfo, Started
from tests.support.egress_plane import WALL, eventually
from tidegate.egress import recovery
from tidegate.storage import StorageError


async def recover(next_node):
    scene = await next_node()
    scene.server.time = 60.0  # a minute later
    await recovery.finish_left_over(scene.egress, scene.egress._left)
    return scene


async def test_a_recording_that_was_running_is_whole_and_its_gap_begins_where_its_file_ends(scene, next_node):
    row, worker = await scene.recording()
    worker.write()
    await eventually((scene.plane.directory(row.id) / "1" / "openings.jsonl").exists)
    scene = await recover(next_node)
    row = await scene.ended(row.id)
    assert (row.state, row.error) == ("stopped", recovery.STOPPED_BY_NODE)
    assert row.files[0]["start"] == WALL * 1000
    assert row.gaps == [{"start": int((WALL + 4) * 1000), "end": row.end}]
    assert not scene.plane.directory(row.id).exists()


async def test_one_that_had_written_nothing_has_failed(scene, next_node):
    row, _ = await scene.recording()
    scene = await recover(next_node)
    row = await scene.ended(row.id)
    assert (row.state, row.files, row.gaps[0]["start"]) == ("failed", [], int(WALL * 1000))


async def test_files_that_were_stored_before_the_end_are_not_forgotten(scene, next_node, monkeypatch):
    """Two files; the node is killed when the first one is in the storage."""
    row, worker = await scene.recording()
    worker.write(b"first")
    worker.end("crashed", "x")
    second = await scene.supervisor.worker(1)
    second.report(Started(WALL + 9))
    put, stored = scene.plane.storage.put_file, asyncio.Event()

    async def one_only(local, path):
        if stored.is_set():
            raise StorageError("gone")
        kept = await put(local, path)
        stored.set()
        return kept

    monkeypatch.setattr(scene.plane.storage, "put_file", one_only)
    await scene.egress.book.recordings[row.id].chronicle.flush()
    await scene.egress.stop_recording(row.id)
    path = second.write(b"second")
    second.report(Done((FileInfo(path.name, WALL + 9, 3.0, 6),)))
    second.end()
    await stored.wait()
    scene = await recover(next_node)
    row = await scene.ended(row.id)
    assert (row.state, row.error) == ("stopped", None)
    assert [file["name"] for file in row.files] == [f"{row.id}-1.mp4", f"{row.id}-2.mp4"]
    assert [scene.plane.storage.local_path(file["path"]).read_bytes() for file in row.files] == [b"first", b"second"]
    assert row.gaps == [{"start": int((WALL + 4) * 1000), "end": int((WALL + 9) * 1000)}]
    assert row.timeline is not None


async def test_one_that_cannot_be_stored_holds_up_no_other(scene, next_node, monkeypatch):
    first, worker = await scene.recording()
    worker.write()
    second, worker = await scene.recording(kind="composite")
    worker.write()
    scene = await next_node()
    put = scene.plane.storage.put_file

    async def refuse_first(local, path):
        if first.id in path:
            raise StorageError("gone")
        return await put(local, path)

    monkeypatch.setattr(scene.plane.storage, "put_file", refuse_first)
    await recovery.finish_left_over(scene.egress, scene.egress._left)
    assert (await scene.ended(second.id)).state == "stopped"
    assert (await scene.store.recordings.get(first.id)).state == "processing"
    assert scene.egress.book.holds(first.session_id)


async def test_folders_that_no_row_knows_are_removed(scene, next_node):
    row, worker = await scene.recording()
    worker.write()
    orphan = scene.plane.directory("orphan") / "1"
    orphan.mkdir(parents=True)
    scene = await recover(next_node)
    assert not orphan.parent.exists()
    assert (await scene.ended(row.id)).state == "stopped"


async def test_what_begins_while_the_past_is_worked_on_is_not_taken_for_it(scene, next_node):
    scene = await next_node()
    row, _ = await scene.recording()
    await recovery.finish_left_over(scene.egress, scene.egress._left)
    assert (await scene.store.recordings.get(row.id)).state == "recording"
    assert scene.plane.directory(row.id).exists()


async def test_a_finaliser_that_dies_costs_no_file(scene, next_node):
    row, worker = await scene.recording()
    worker.write(b"fragments that play")
    scene = await next_node()
    scene.supervisor.finalize = lambda worker: worker.end("crashed", "out of memory")
    await recovery.finish_left_over(scene.egress, scene.egress._left)
    row = await scene.ended(row.id)
    assert row.state == "stopped"
    assert scene.plane.storage.local_path(row.files[0]["path"]).read_bytes() == b"fragments that play"
    assert len(scene.supervisor.finalizers) == 2
