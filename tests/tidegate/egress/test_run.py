"""A pipeline whose worker dies, comes back, or must not: with workers that do what the test says."""

import asyncio

import pytest

from sfu.compose.messages import Failed, FileOpened, Progress, Started
from sfu.meeting.participant import CloseReason
from tests.support.egress_plane import PATIENCE, ROOM, WALL
from tidegate.egress.run import GONE
from tidegate.workers.budget import WorkersBusy


async def outcome(run):
    async with asyncio.timeout(PATIENCE):
        return await asyncio.shield(run.finished)


def run_of(scene, row):
    return scene.egress.book.recordings[row.id].run


async def test_a_worker_that_dies_is_followed_by_another_and_the_gap_is_from_file_to_file(scene):
    row, first = await scene.recording()
    run = run_of(scene, row)
    first.write()
    first.report(FileOpened("recording.mp4", WALL))
    await asyncio.sleep(0)
    first.end("crashed", "the media worker crashed (SIGSEGV)")
    second = await scene.supervisor.worker(1)
    second.report(Started(WALL + 9))
    assert second.spec.directory != first.spec.directory
    run.stop()
    second.finish(start=WALL + 9)
    found = await outcome(run)
    assert found.gaps == ((WALL + 4, WALL + 9),), "the finaliser says 4 s, and the node when the file began"
    assert [made.info.start for made in found.files] == [WALL, WALL + 9]
    assert found.error is None


async def test_an_attempt_that_wrote_nothing_lengthens_the_gap(scene):
    row, first = await scene.recording()
    run = run_of(scene, row)
    first.write()
    first.end("crashed", "x")
    second = await scene.supervisor.worker(1)
    second.end("crashed", "y")
    third = await scene.supervisor.worker(2)
    third.report(Started(WALL + 30))
    run.stop()
    third.finish(start=WALL + 30)
    assert (await outcome(run)).gaps == ((WALL + 4, WALL + 30),)


async def test_a_worker_that_dies_too_often_is_given_up_and_its_files_are_kept(scene):
    row, worker = await scene.recording()
    run = run_of(scene, row)
    for number in range(3):
        worker = await scene.supervisor.worker(number)
        worker.report(Started(WALL + number))
        worker.write()
        worker.end("crashed", "x")
    found = await outcome(run)
    assert found.error == GONE and len(found.files) == 3


async def test_what_says_that_it_failed_is_not_begun_again(scene):
    row, worker = await scene.recording()
    worker.report(Failed("no encoder"))
    worker.end("failed", "no encoder")
    row = await scene.ended(row.id)
    assert (row.state, row.error) == ("failed", "no encoder")
    assert len(scene.supervisor.workers) == 1


async def test_no_room_for_the_next_worker_is_tried_again(scene):
    row, worker = await scene.recording()
    scene.supervisor.refusals.append(WorkersBusy("full"))
    worker.end("crashed", "x")
    await scene.supervisor.worker(1)
    assert run_of(scene, row).restarts == 2


async def test_who_stops_does_not_wait_for_the_next_worker(scene):
    row, worker = await scene.recording()
    run = run_of(scene, row)
    worker.end("crashed", "x")
    second = await scene.supervisor.worker(1)
    second.end("crashed", "x")  # the pause is a second now
    await scene.egress.stop_recording(row.id)
    await outcome(run)
    assert len(scene.supervisor.workers) == 2


async def test_a_room_that_ends_meanwhile_is_not_opened_again(scene):
    row, worker = await scene.recording()
    worker.end("crashed", "x")
    scene.server.conference.end_room(ROOM, CloseReason.ROOM_CLOSE, now=2.0)
    scene.server.pump()
    await scene.ended(row.id)
    assert len(scene.supervisor.workers) == 1
    assert ROOM not in scene.server.conference.rooms


async def test_the_end_of_a_room_is_told_to_the_worker_before_its_people_leave(scene):
    _, worker = await scene.recording()
    scene.server.conference.end_room(ROOM, CloseReason.ROOM_CLOSE, now=2.0)
    scene.server.pump()
    assert worker.stopped


async def test_without_its_seat_a_recording_ends(scene):
    """An operator put the recorder out."""
    _, worker = await scene.recording()
    room = scene.server.conference.rooms[ROOM]
    recorder = next(person for person in room.participants.values() if person.hidden)
    scene.server.conference.leave(recorder, CloseReason.REMOVE_PEER, now=2.0)
    scene.server.pump()
    assert worker.stopped
    assert not scene.egress.is_recorder(recorder.inner_id), "nobody is remembered who has left"


async def test_a_seat_that_is_refused_leaves_nothing(scene, monkeypatch):
    scene.server.join("ada")

    def refuse(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(scene.server.conference, "listen", refuse)
    with pytest.raises(RuntimeError):
        await scene.egress.start_recording(scene.request())
    await asyncio.sleep(0)
    assert scene.supervisor.workers[0].killed
    assert [person.participant_id for person in scene.server.conference.rooms[ROOM].participants.values()] == ["ada"]
    assert not scene.egress.book.runs
    assert not list(scene.plane.work_dir.iterdir())


@pytest.mark.parametrize(("dropped", "error"), [(10, None), (20, "the server was too busy: 20 of 120 pictures were left out")])
async def test_a_machine_that_was_too_slow_is_named(scene, dropped, error):
    row, worker = await scene.recording()
    worker.report(Progress(media_time=4.0, frames=100, dropped=dropped))
    await scene.egress.stop_recording(row.id)
    worker.finish()
    row = await scene.ended(row.id)
    assert (row.state, row.error) == ("stopped", error)
