"""Finished files into the storage or to the caller's address."""

import pytest

from sfu.compose.messages import FileInfo
from tidegate.egress import delivery
from tidegate.egress.run import MadeFile
from tidegate.storage import StorageError, UploadRefused


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.0)


def made(folder, name, content=b"film"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return MadeFile(folder / name, FileInfo(name, 1.0, 2.0, len(content)))


async def row_of(scene, **more):
    async with scene.store.recordings.transaction() as tx:
        values = {"kind": "room", "room_id": "r", "session_id": "s", "file_format": "mp4"}
        return await scene.store.recordings.add(tx, project_id=scene.project_id, **values, **more)


async def test_a_storage_that_is_away_is_tried_again(scene, tmp_path, monkeypatch):
    row = await row_of(scene)
    put, failures = scene.plane.storage.put_file, [StorageError("away"), StorageError("away")]

    async def sometimes(local, path):
        if failures:
            raise failures.pop()
        return await put(local, path)

    monkeypatch.setattr(scene.plane.storage, "put_file", sometimes)
    files, error = await delivery.deliver(scene.plane, row, (made(tmp_path / "job", "a.mp4"),))
    assert (files[0]["path"], error) == (f"s/{row.id}.mp4", None)
    assert scene.plane.bytes_recorded == 4


async def test_a_file_that_is_nowhere_does_not_cost_the_others(scene, tmp_path):
    row = await row_of(scene)
    lost, kept = made(tmp_path / "job", "a.mp4"), made(tmp_path / "job", "b.mp4")
    lost.path.unlink()
    files, error = await delivery.deliver(scene.plane, row, (lost, kept))
    assert [file["name"] for file in files] == [f"{row.id}-2.mp4"]
    assert error == delivery.LOST


async def test_what_the_callers_address_refuses_is_kept_here(scene, tmp_path, monkeypatch):
    row = await row_of(scene, upload_url="https://bucket.example/x?signature=secret")

    async def refuse(guard, url, local):
        raise UploadRefused("the upload address answered 403")

    monkeypatch.setattr(delivery, "put_presigned", refuse)
    files, error = await delivery.deliver(scene.plane, row, (made(tmp_path / "job", "a.mp4"),))
    assert files[0]["path"] and "403" in error and "secret" not in error


async def test_an_address_that_never_answers_is_given_up(scene, tmp_path, monkeypatch):
    row = await row_of(scene, upload_url="https://bucket.example/x")

    async def away(guard, url, local):
        raise StorageError("the upload failed")

    monkeypatch.setattr(delivery, "put_presigned", away)
    monkeypatch.setattr(delivery, "UPLOAD_PATIENCE", 0.05)
    files, error = await delivery.deliver(scene.plane, row, (made(tmp_path / "job", "a.mp4"),))
    assert files[0]["path"] and error == delivery.GIVEN_UP


async def test_only_the_first_file_goes_to_the_callers_address(scene, tmp_path, monkeypatch):
    row = await row_of(scene, upload_url="https://bucket.example/x")
    seen = []

    async def take(guard, url, local):
        seen.append(local.name)

    monkeypatch.setattr(delivery, "put_presigned", take)
    parts = (made(tmp_path / "job", "a.mp4"), made(tmp_path / "job", "b.mp4"))
    files, error = await delivery.deliver(scene.plane, row, parts)
    assert seen == ["a.mp4"] and error is None
    assert [(file.get("uploaded"), bool(file["path"])) for file in files] == [(True, False), (None, True)]
