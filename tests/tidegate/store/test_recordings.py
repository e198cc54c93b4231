"""Recordings, broadcasts and transcodings: one contract on both engines."""

from __future__ import annotations

import pytest

from tidegate.store import Store

ROOM = "abcd-efgh-ijkl"


@pytest.fixture
async def project(store):
    return (await store.first_key()).project_id


async def add(store: Store, project: str, **values):
    values = {"kind": "room", "room_id": ROOM, "file_format": "mp4"} | values
    async with store.recordings.transaction() as tx:
        return await store.recordings.add(tx, project_id=project, **values)


async def change(store: Store, row_id: str, **values):
    async with store.recordings.transaction() as tx:
        return await store.recordings.update(tx, row_id, **values)


async def test_a_recording_from_its_start_to_its_file(store, project, clock):
    row = await add(store, project, config={"theme": "DARK"}, meta_data={"x": [1]}, upload_url="https://a.example/put")
    assert (row.state, row.files, row.gaps, row.end, len(row.id)) == ("starting", [], [], None, 24)
    clock.wall += 3
    file = {"name": "a.mp4", "path": "x/a.mp4", "size": 5_000_000_000, "duration": 1.5, "start": int(clock.wall * 1000)}
    changed = await change(store, row.id, state="stopped", files=[file], upload_url=None, end=int(clock.wall * 1000))
    assert changed.updated_at == row.created_at + 3000
    found = await store.recordings.find(project, row.id)
    assert (found.state, found.files, found.config, found.meta_data) == ("stopped", [file], {"theme": "DARK"}, {"x": [1]})
    assert found.upload_url is None and (await store.recordings.get(row.id)).id == row.id


async def test_what_is_not_committed_did_not_happen(store, project):
    with pytest.raises(ZeroDivisionError):
        async with store.recordings.transaction() as tx:
            row = await store.recordings.add(tx, project_id=project, kind="room", room_id=ROOM, file_format="mp4")
            await store.recordings.update(tx, row.id, state="recording")
            raise ZeroDivisionError
    assert await store.recordings.get(row.id) is None


async def test_mistakes_of_ours(store, project):
    row = await add(store, project)
    with pytest.raises(KeyError):
        await change(store, "0" * 24, state="stopped")
    with pytest.raises(TypeError, match="colour"):
        await change(store, row.id, colour="red")


async def test_text_that_postgresql_would_refuse(store, project):
    row = await add(store, project, participant_name="a\0b", error="\ud800", meta_data={"k": "\0"})
    assert "\0" not in (await store.recordings.get(row.id)).participant_name


async def test_another_project_sees_nothing(store, project):
    row = await add(store, project)
    other = (await store.projects.create("other")).id
    assert await store.recordings.find(other, row.id) is None
    assert (await store.recordings.list(other, kind="room")).total == 0
    assert await store.recordings.running(other, ROOM) == []


async def test_what_runs_in_a_room(store, project, clock):
    rows = {}
    for state in ("starting", "recording", "stopping", "processing", "stopped", "failed"):
        clock.wall += 1
        rows[state] = (await add(store, project, state=state)).id
    await add(store, project, room_id="other", state="recording")
    ann = await add(store, project, kind="track", participant_id="ann", track_kind="audio", state="recording")
    running = await store.recordings.running(project, ROOM, kind="room")
    assert [row.id for row in running] == [rows["starting"], rows["recording"], rows["stopping"]]
    of_ann = {"kind": "track", "participant_id": "ann"}
    assert [row.id for row in await store.recordings.running(project, ROOM, **of_ann, track_kind="audio")] == [ann.id]
    assert await store.recordings.running(project, ROOM, **of_ann, track_kind="video") == []
    left = [row.state for row in await store.recordings.left_over()]
    assert sorted(left) == ["processing", "recording", "recording", "recording", "starting", "stopping"]


async def test_lists(store, project, clock):
    made = []
    for number in range(4):
        clock.wall += 1
        values = {"custom_room_id": "standup", "session_id": "s1" if number < 2 else "s2", "participant_id": f"p{number}"}
        made.append((await add(store, project, **values)).id)
    await add(store, project, kind="track", session_id="s1")
    page = await store.recordings.list(project, kind="room", page=2, per_page=3)
    assert ([row.id for row in page.rows], page.total) == ([made[0]], 4)

    async def ids(**wanted):
        return [row.id for row in (await store.recordings.list(project, kind="room", **wanted)).rows]

    assert await ids(rooms=("standup",)) == await ids(rooms=(ROOM, "standup")) == made[::-1]
    assert await ids(rooms=("standup", "other")) == []
    assert await ids(session_id="s1") == await ids(query="s1") == [made[1], made[0]]
    assert await ids(participant_id="p3") == await ids(query=made[3]) == [made[3]]
    assert len(await store.recordings.of_session(project, "s1")) == 3


async def test_deleted_ones_are_seen_by_nobody_and_wait_for_clearing(store, project, clock):
    day = 86_400_000
    now = int(clock.wall * 1000)
    old = await add(store, project, state="stopped", end=now - 9 * day)
    new = await add(store, project, state="stopped", end=now)
    failed = await add(store, project, state="failed")
    running = await add(store, project, state="recording")
    async with store.recordings.transaction() as tx:
        await store.recordings.delete(tx, new.id)
    assert await store.recordings.find(project, new.id) is None
    assert new.id not in [row.id for row in (await store.recordings.list(project, kind="room")).rows]
    assert [row.id for row in await store.recordings.to_clear(None, 10)] == [new.id]
    clock.wall += 1
    found = {row.id for row in await store.recordings.to_clear(now - 7 * day, 10)}
    assert found == {new.id, old.id} and len(await store.recordings.to_clear(now - 7 * day, 1)) == 1
    assert failed.id in {row.id for row in await store.recordings.to_clear(now + day, 10)}
    assert running.id not in {row.id for row in await store.recordings.to_clear(now + day, 10)}
    await change(store, new.id, is_cleared=True)
    assert await store.recordings.to_clear(None, 10) == []


async def test_broadcasts(store, project):
    async with store.broadcasts.transaction() as tx:
        row = await store.broadcasts.add(tx, project_id=project, room_id=ROOM, outputs=[{"id": "o", "url": "rtmp://a/b", "state": "live"}])
        done = await store.broadcasts.add(tx, project_id=project, room_id=ROOM, state="stopped", session_id="s1")
    assert [found.id for found in await store.broadcasts.running(project, ROOM)] == [row.id]
    assert [found.id for found in await store.broadcasts.left_over()] == [row.id]
    assert (await store.broadcasts.list(project, session_id="s1")).rows[0].id == done.id
    assert (await store.broadcasts.find(project, row.id)).outputs[0]["state"] == "live"
    other = (await store.projects.create("other")).id
    assert await store.broadcasts.find(other, row.id) is None and (await store.broadcasts.list(other)).total == 0


async def test_transcodings(store, project):
    values = {"project_id": project, "inputs": [{"recordingId": "r"}], "file_format": "mp4"}
    async with store.transcodings.transaction() as tx:
        stereo = await store.transcodings.add(tx, task="stereo-merge", room_id=ROOM, **values)
        grid = await store.transcodings.add(tx, task="composite-merge", state="completed", **values)
    assert stereo.state == "pending" and [row.id for row in await store.transcodings.left_over()] == [stereo.id]
    assert [row.id for row in (await store.transcodings.list(project, tasks=("stereo-merge",))).rows] == [stereo.id]
    assert [row.id for row in (await store.transcodings.list(project, state="completed")).rows] == [grid.id]
    assert (await store.transcodings.list(project)).total == 2
    assert (await store.transcodings.list(project, rooms=("other",))).total == 0


async def test_a_setting_is_made_once(store, project):
    assert await store.settings.once(project, "secret", "a") == "a"
    assert await store.settings.once(project, "secret", "b") == "a"
    await store.settings.set(project, "secret", "c")
    assert await store.settings.once(project, "secret", "b") == "c"
