"""Commands of the egress: callers that go away, rooms that end meanwhile, disks that are full, nodes that end."""

import asyncio

import pytest

from media.errors import PeerError
from sfu.compose.messages import Started
from sfu.meeting.participant import CloseReason, Mode
from tests.support.egress_plane import ROOM, WALL, eventually
from tidegate.storage import DiskFull, StorageError


async def test_a_start_whose_caller_goes_away_goes_on(scene):
    scene.server.join("ada")
    asking = asyncio.create_task(scene.egress.start_recording(scene.request()))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    worker = await scene.supervisor.worker(0)
    await eventually(lambda: scene.egress.book.recordings)
    (row_id,) = scene.egress.book.recordings
    await scene.egress.stop_recording(row_id)
    worker.finish()
    assert (await scene.ended(row_id)).state == "stopped"


async def test_a_room_that_ends_while_the_row_is_written_ends_the_recording(scene, monkeypatch):
    scene.server.join("ada")
    write = scene.events.write

    async def end_first(*events, change=None):
        if events and events[0].type == "recording-starting":
            scene.server.conference.end_room(ROOM, CloseReason.ROOM_CLOSE, now=2.0)
            scene.server.pump()
            assert scene.egress.book.holds(events[0].session_id), "its end waits for the recording's"
        return await write(*events, change=change)

    monkeypatch.setattr(scene.events, "write", end_first)
    row = await scene.egress.start_recording(scene.request())
    worker = scene.supervisor.workers[0]
    assert worker.stopped
    worker.finish()
    assert (await scene.ended(row.id)).state == "stopped"
    assert await scene.told() == ["recording-starting", "recording-stopping", "recording-stopped"]
    assert not scene.egress.book.holds(row.session_id)


async def test_a_row_that_cannot_be_written_leaves_no_pipeline_and_no_folder(scene, monkeypatch):
    scene.server.join("ada")

    async def fail(*events, change=None):
        raise RuntimeError("no such table")

    monkeypatch.setattr(scene.events, "write", fail)
    with pytest.raises(RuntimeError):
        await scene.egress.start_recording(scene.request())
    worker = scene.supervisor.workers[0]
    assert worker.stopped
    worker.finish()
    await eventually(lambda: not list(scene.plane.work_dir.iterdir()))
    assert not scene.egress.book.runs and not scene.egress.book.recordings


async def test_of_two_starts_at_once_one_is_refused(scene):
    scene.server.join("ada")
    results = await asyncio.gather(
        *(scene.egress.start_recording(scene.request()) for _ in range(2)), return_exceptions=True
    )
    assert [getattr(result, "code", None) for result in results] == [None, 4018]
    assert len(scene.supervisor.workers) == 1
    assert not scene.egress._turns


async def test_a_file_that_waits_for_its_storage_does_not_keep_the_room_from_being_recorded(scene):
    row, worker = await scene.recording()
    scene.supervisor.finalize = lambda worker: None  # for ever
    worker.write()
    await scene.egress.stop_recording(row.id)
    worker.end("crashed", "x")
    job = scene.egress.book.recordings[row.id]
    await job.process()
    again, _ = await scene.recording()
    assert again.id != row.id
    with pytest.raises(PeerError) as refused:
        await scene.egress.stop_recording(row.id)
    assert refused.value.code == 4012


async def test_a_full_disk_ends_what_is_recorded_and_lets_nothing_begin(scene):
    row, worker = await scene.recording()
    scene.has_room = False
    await scene.egress.note_disk_low()
    await scene.egress.note_disk_low()
    assert worker.stopped
    worker.finish()
    row = await scene.ended(row.id)
    assert (row.state, row.error) == ("stopped", "the disk is almost full")
    assert (await scene.told()).count("recording-stopping") == 1
    with pytest.raises(DiskFull):
        await scene.egress.start_recording(scene.request())


async def test_a_node_that_ends_begins_nothing(scene):
    scene.server.join("ada")
    await scene.egress.drain(0.1)
    with pytest.raises(PeerError) as refused:
        await scene.egress.start_recording(scene.request())
    assert refused.value.code == 4098
    assert not scene.supervisor.workers


async def test_a_composite_recording_of_nobody_in_particular_takes_who_can_be_seen(scene):
    for name in ("eve", "eva", "evi"):
        scene.server.join(name, mode=Mode.RECV_ONLY)
    scene.server.join("ada")
    _, worker = await scene.recording(kind="composite")
    assert [c.participant_id for c in worker.told if type(c).__name__ == "PersonJoined"] == ["ada"]


async def test_started_after_it_was_stopped_is_no_news(scene):
    scene.server.join("ada")
    row = await scene.egress.start_recording(scene.request())
    await scene.egress.stop_recording(row.id)
    worker = scene.supervisor.workers[0]
    worker.report(Started(WALL))
    worker.finish()
    row = await scene.ended(row.id)
    assert row.start == WALL * 1000
    assert await scene.told() == ["recording-starting", "recording-stopping", "recording-stopped"]


async def test_a_node_that_ends_does_not_wait_for_a_storage_that_is_away(scene, monkeypatch):
    async def put_file(local, path):
        raise StorageError("it cannot be reached")

    monkeypatch.setattr(scene.plane.storage, "put_file", put_file)
    row, worker = await scene.recording()
    scene.server.conference.end_room(ROOM, CloseReason.ROOM_CLOSE, now=2.0)
    scene.server.pump()
    worker.finish()
    await scene.until(row.id, "processing")
    await asyncio.wait_for(scene.egress.drain(3600.0), 30)
    assert [task.get_name() for task in scene.egress._lives] == [f"life of {row.id}"]
    assert "session-ended" not in await scene.told()
