from __future__ import annotations

import os
from pathlib import Path

import pytest

from media.errors import ConfigError
from tidegate.config.egress import StorageConfig
from tidegate.storage import StorageError, Stored, disk, make_storage
from tidegate.storage.disk import DiskStorage


@pytest.fixture
def storage(tmp_path):
    return DiskStorage(tmp_path / "kept")


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    return path


async def test_a_file_is_kept_read_and_deleted(storage, film, tmp_path):
    assert await storage.put_file(film, "a/b/film.mp4") == Stored("a/b/film.mp4", 4)
    assert not film.exists() and storage.local_path("a/b/film.mp4").read_bytes() == b"film"
    assert await storage.find("a/b/film.mp4") == Stored("a/b/film.mp4", 4)
    assert await storage.url("a/b/film.mp4", 60) is None
    await storage.fetch("a/b/film.mp4", tmp_path / "copy.mp4")
    await storage.delete("a/b/film.mp4")
    assert (tmp_path / "copy.mp4").read_bytes() == b"film"
    assert await storage.find("a/b/film.mp4") is None and list(storage.root.iterdir()) == []
    await storage.delete("a/b/film.mp4")
    with pytest.raises(StorageError):
        await storage.fetch("a/b/film.mp4", tmp_path / "again.mp4")


async def test_deleting_leaves_the_neighbours(storage, film):
    await storage.put_file(film, "a/one.mp4")
    film.write_bytes(b"two")
    await storage.put_file(film, "a/two.mp4")
    await storage.delete("a/one.mp4")
    assert storage.local_path("a/two.mp4").read_bytes() == b"two"


async def test_a_killed_node_stores_again_what_it_had_stored(storage, film):
    await storage.put_file(film, "film.mp4")
    assert await storage.put_file(film, "film.mp4") == Stored("film.mp4", 4)
    await storage.delete("film.mp4")
    with pytest.raises(FileNotFoundError):
        await storage.put_file(film, "film.mp4")


@pytest.mark.parametrize("fails", [False, True])
async def test_across_file_systems_nothing_is_lost(storage, film, monkeypatch, fails):
    real, copy = os.replace, disk.shutil.copyfile

    def replace(source, target):
        if Path(source) == film:
            raise OSError(18, "Invalid cross-device link")
        real(source, target)

    def full(source, target):
        copy(source, target)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "replace", replace)
    if not fails:
        await storage.put_file(film, "film.mp4")
        assert storage.local_path("film.mp4").read_bytes() == b"film" and not film.exists()
        return
    monkeypatch.setattr(disk.shutil, "copyfile", full)
    with pytest.raises(StorageError, match="No space left"):
        await storage.put_file(film, "film.mp4")
    assert film.read_bytes() == b"film" and list(storage.root.iterdir()) == []


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\0b"])
async def test_no_path_leads_out(storage, film, path):
    with pytest.raises(StorageError):
        await storage.put_file(film, path)
    with pytest.raises(StorageError):
        storage.local_path(path)
    assert film.exists()


def test_the_configuration_chooses_the_folder(tmp_path):
    assert make_storage(StorageConfig(), tmp_path).root == tmp_path / "recordings"
    assert make_storage(StorageConfig(url="file:///srv/my%20films"), tmp_path).root == Path("/srv/my films")
    with pytest.raises(ConfigError) as caught:
        make_storage(StorageConfig(url="file://films"), tmp_path)
    assert caught.value.path == "storage.url"
