from __future__ import annotations

import pytest

from tidegate.storage import StorageError, retention
from tidegate.storage.disk import DiskStorage
from tidegate.store import open_store

DAY = 86_400


@pytest.fixture
async def store(tmp_path):
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}", wall=lambda: 10 * DAY)
    yield store
    await store.close()


@pytest.fixture
def storage(tmp_path):
    return DiskStorage(tmp_path / "kept")


async def add(store, storage, tmp_path, name, *, end_days, state="stopped", kind="room", **more):
    local = tmp_path / "local"
    local.write_bytes(b"film")
    await storage.put_file(local, f"{name}/film.mp4")
    local.write_bytes(b"{}")
    await storage.put_file(local, f"{name}/timeline.json")
    values = {"files": [{"name": "film.mp4", "path": f"{name}/film.mp4"}, {"name": "b", "path": None}], "end": end_days * DAY * 1000}
    project = (await store.first_key()).project_id
    async with store.recordings.transaction() as tx:
        if kind == "merge":
            return await store.transcodings.add(
                tx, id=name, project_id=project, task="x", inputs=[], file_format="mp4", state="completed", **values
            )
        return await store.recordings.add(
            tx, id=name, project_id=project, kind="room", room_id="r", file_format="mp4", state=state,
            timeline=f"{name}/timeline.json", **values, **more,
        )  # fmt: skip


def kept(storage):
    return sorted(path.parent.name for path in storage.root.rglob("film.mp4"))


async def test_old_files_go_and_the_rest_stays(store, storage, tmp_path):
    for name, days, more in (
        ("new", 9, {}), ("old", 2, {}), ("running", 2, {"state": "recording"}), ("deleted", 9, {"deleted_at": 1}), ("merged", 2, {"kind": "merge"}),
    ):  # fmt: skip
        await add(store, storage, tmp_path, name, end_days=days, **more)
    assert await retention.tidy(store, storage, 0, 10 * DAY) == 1
    assert kept(storage) == ["merged", "new", "old", "running"]
    assert await retention.tidy(store, storage, 5, 10 * DAY) == 2
    assert kept(storage) == ["new", "running"] and not (storage.root / "old").exists()
    assert (await store.recordings.get("old")).is_cleared and not (await store.recordings.get("new")).is_cleared
    assert await retention.tidy(store, storage, 5, 10 * DAY) == 0


async def test_what_the_storage_does_not_delete_is_tried_again(store, storage, tmp_path):
    await add(store, storage, tmp_path, "old", end_days=1)
    real = storage.delete

    async def refuse(path):
        raise StorageError("not now")

    storage.delete = refuse
    assert await retention.tidy(store, storage, 5, 10 * DAY) == 0 and kept(storage) == ["old"]
    storage.delete = real
    assert await retention.tidy(store, storage, 5, 10 * DAY) == 1 and kept(storage) == []
