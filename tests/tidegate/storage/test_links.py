from __future__ import annotations

import asyncio
import os
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.clock import Clock
from tidegate.storage.links import Links
from tidegate.store import open_store


@pytest.fixture
async def store(tmp_path):
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    yield store
    await store.close()


def make_links(store, clock):
    return Links(store.settings, random_bytes=os.urandom, wall=clock, hours=2)


async def test_a_link_survives_a_restart_and_is_of_one_project(store):
    clock = Clock()
    one, other = (await store.first_key()).project_id, (await store.projects.create("other")).id
    url = (await make_links(store, clock).signer(one)).url("https://a.example", "r1", "ä b.mp4")
    parts = urlsplit(url)
    assert parts.path == "/v2/recordings/files/r1/%C3%A4%20b.mp4"
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    again, foreign = await make_links(store, clock).signer(one), await make_links(store, clock).signer(other)
    assert again.is_signed("r1", "ä b.mp4", int(query["expires"]), query["signature"])
    assert not foreign.is_signed("r1", "ä b.mp4", int(query["expires"]), query["signature"])
    assert not again.is_signed("r1", "ä b.mp4", int(query["expires"]) + 1, query["signature"])
    assert not again.is_signed("r1", "other.mp4", int(query["expires"]), query["signature"])
    assert not again.is_over(int(query["expires"]))
    clock.time += 7200
    assert again.is_over(int(query["expires"]))


async def test_nodes_that_begin_at_once_sign_alike(store):
    project = (await store.first_key()).project_id
    signers = await asyncio.gather(*(make_links(store, Clock()).signer(project) for _ in range(5)))
    assert len({signer.signature("r", "n", 1) for signer in signers}) == 1
