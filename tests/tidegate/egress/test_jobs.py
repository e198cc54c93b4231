"""Which jobs hang on a session, and what its room is told."""

import asyncio

from sfu.compose.messages import Failed
from sfu.meeting.events import RoomStateChanged
from sfu.meeting.participant import CloseReason
from tests.support.egress_plane import ROOM, eventually
from tidegate.egress import jobs


async def test_a_sessions_end_waits_for_its_last_job(scene):
    row, worker = await scene.recording()
    freed = []
    scene.egress.book.when_free(row.session_id, lambda: freed.append("freed"))
    await scene.egress.stop_recording(row.id)
    assert not freed
    worker.finish()
    await scene.ended(row.id)
    assert freed == ["freed"]


async def test_it_waits_only_so_long(scene, monkeypatch):
    monkeypatch.setattr(jobs, "GATE_PATIENCE", 0.01)
    row, _ = await scene.recording()
    freed = asyncio.Event()
    scene.egress.book.when_free(row.session_id, freed.set)
    await asyncio.wait_for(freed.wait(), 5)
    assert scene.egress.book.holds(row.session_id)


async def test_nothing_to_wait_for_is_told_at_once(scene):
    freed = []
    scene.egress.book.when_free("another", lambda: freed.append("freed"))
    assert freed == ["freed"]


async def test_a_node_that_ends_tells_no_session_that_its_jobs_are_over(scene):
    row, _ = await scene.recording()
    freed = []
    scene.egress.book.when_free(row.session_id, lambda: freed.append("freed"))
    await scene.egress.close()
    assert not freed


async def test_the_room_sees_what_is_recorded_and_not_what_was_recorded_before_it(scene):
    row, worker = await scene.recording()
    state = scene.server.conference.rooms[ROOM].state
    await eventually(lambda: state.values["recording"]["status"] == "RECORDING_STARTED")
    assert [one["id"] for one in state.values["recording"]["recordings"]] == [row.id]
    scene.server.conference.end_room(ROOM, CloseReason.ROOM_CLOSE, now=2.0)
    scene.server.pump()
    scene.server.join("bob")
    await scene.until(row.id, "stopping")
    scene.egress.book.tell_room(ROOM)
    assert scene.server.conference.rooms[ROOM].state.values == {}
    worker.finish()
    await scene.ended(row.id)


async def test_the_room_hears_why_a_recording_failed(scene):
    told = []
    scene.server.listeners.append(lambda event: told.append(event) if isinstance(event, RoomStateChanged) else None)
    row, worker = await scene.recording()
    worker.report(Failed("there is no such encoder"))
    worker.end("failed")
    await scene.ended(row.id)
    errors = [event.value["error"] for event in told if event.value and "error" in event.value]
    assert errors == [{"code": 5001, "name": "RECORDING_FAILED", "message": "there is no such encoder"}]
    assert "error" not in scene.server.conference.rooms[ROOM].state.values["recording"]
