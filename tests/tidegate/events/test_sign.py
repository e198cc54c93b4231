"""The keys that sign webhooks, as they are kept. That signatures are good is checked where they arrive (test_deliver, test_webhooks)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media.errors import ConfigError
from tidegate.events.sign import KEY_FILE, OVERLAP_MS, ProjectSecrets, RsaSigner


async def test_each_project_has_a_secret_of_its_own_and_keeps_it(store):
    secrets, again = (ProjectSecrets(store.settings, os.urandom) for _ in range(2))
    one, other = (await store.first_key()).project_id, (await store.projects.create("other")).id
    assert await secrets.current(one) == await again.current(one) != await secrets.current(other)


async def test_the_secret_before_the_last_rotation_signs_for_a_day_and_older_ones_not_at_all(store):
    secrets = ProjectSecrets(store.settings, os.urandom)
    project_id = (await store.first_key()).project_id
    first = await secrets.current(project_id)
    second = await secrets.rotate(project_id, 0)
    assert await secrets.signing(project_id, OVERLAP_MS - 1) == [second, first]
    assert await secrets.signing(project_id, OVERLAP_MS) == [second]
    third = await secrets.rotate(project_id, 1000)
    assert await secrets.signing(project_id, 1001) == [third, second]


def test_a_start_that_was_killed_while_it_wrote_the_key_stops_no_later_one(tmp_path: Path):
    (tmp_path / f"webhook-key.pem.{os.getpid()}").write_text("half of a k")
    assert RsaSigner.load_or_create(tmp_path).public_pem.startswith("-----BEGIN PUBLIC KEY")


def test_a_key_that_another_wrote_first_is_the_key(tmp_path: Path, monkeypatch):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    other, link = RsaSigner.load_or_create(theirs), os.link

    def too_late(source, target):
        link(theirs / KEY_FILE, ours / KEY_FILE)
        link(source, target)

    monkeypatch.setattr(os, "link", too_late)
    assert RsaSigner.load_or_create(ours).public_pem == other.public_pem
    assert [path.name for path in ours.iterdir()] == [KEY_FILE]


def test_the_key_is_kept_and_nobody_else_can_read_it(tmp_path: Path):
    first = RsaSigner.load_or_create(tmp_path)
    assert RsaSigner.load_or_create(tmp_path).public_pem == first.public_pem
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError):
        RsaSigner.load_or_create(tmp_path)
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(ConfigError):
        RsaSigner.load_or_create(tmp_path)
