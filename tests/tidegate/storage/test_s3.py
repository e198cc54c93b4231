"""Against servers that are not ours: moto's, s3rver, and versitygw where it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import aiohttp
import pytest

from media.errors import ConfigError
from tests.support.s3 import S3, VERSITYGW, free_port, moto_server, s3rver_server, versitygw_server
from tidegate.config.egress import StorageConfig
from tidegate.config.model import OutgoingConfig
from tidegate.outgoing import OutgoingGuard
from tidegate.storage import StorageError, Stored, UploadRefused, make_storage, put_presigned
from tidegate.storage import s3 as module

pytestmark = pytest.mark.slow

PATH = "rooms/a b/50%/é~+.mp4"  # what needs escaping in an address
CONTENT = os.urandom(1_000_000)


SERVERS = ["moto", "s3rver", *(["versitygw"] if VERSITYGW else [])]
CHECKED_KEYS = [
    (server, key)
    for server, keys in {"s3rver": ("access_key_id",), "versitygw": ("access_key_id", "secret_access_key")}.items()
    for key in keys
    if server in SERVERS
]  # moto takes any


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    folder = tmp_path_factory.mktemp("s3") / "buckets"
    folder.mkdir()
    makers = {"moto": moto_server, "s3rver": lambda: s3rver_server(folder), "versitygw": lambda: versitygw_server(folder)}
    with makers[request.param]() as server:
        yield server


@pytest.fixture
def storage(server, tmp_path):
    return make_storage(server.config(), tmp_path)


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(CONTENT)
    return path


async def read(url: str, **headers: str) -> tuple[int, bytes, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("Content-Type", "")


async def test_a_file_goes_there_and_comes_back(storage, film, tmp_path):
    assert await storage.put_file(film, PATH) == Stored(PATH, len(CONTENT))
    assert not film.exists()
    assert await storage.find(PATH) == Stored(PATH, len(CONTENT))
    assert storage.local_path(PATH) is None and storage.root is None
    url = await storage.url(PATH, 60)
    assert "some/prefix/rooms" in url
    assert await read(url) == (200, CONTENT, "video/mp4")
    assert (await read(url, Range="bytes=10-19"))[:2] == (206, CONTENT[10:20])
    copy = tmp_path / "copy.mp4"
    await storage.fetch(PATH, copy)
    assert copy.read_bytes() == CONTENT
    await storage.delete(PATH)
    assert await storage.find(PATH) is None and (await read(url))[0] == 404
    await storage.delete(PATH)
    with pytest.raises(StorageError):
        await storage.fetch(PATH, copy)


@pytest.mark.parametrize("server", [name for name in SERVERS if name != "s3rver"], indirect=True)  # which spins for ever after a HEAD
async def test_an_address_is_signed_for_what_is_asked(storage, film):
    await storage.put_file(film, PATH)
    async with aiohttp.ClientSession() as http, http.head(await storage.url(PATH, 60, method="HEAD")) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))


async def test_large_files_go_in_parts(storage, film, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 5 * 1024 * 1024)  # the least that S3 takes
    content = os.urandom(12_000_000)
    film.write_bytes(content)
    await storage.put_file(film, "large.mp4")
    assert (await read(await storage.url("large.mp4", 60)))[1] == content
    await storage.delete("large.mp4")


async def test_a_killed_node_stores_again_what_it_had_stored(storage, film):
    await storage.put_file(film, PATH)
    assert await storage.put_file(film, PATH) == Stored(PATH, len(CONTENT))
    await storage.delete(PATH)
    with pytest.raises(FileNotFoundError):
        await storage.put_file(film, PATH)


async def test_uploading_leaves_the_loop_alone(storage, film):
    """Turns of the loop go on while megabytes are read, signed and sent."""
    film.write_bytes(os.urandom(30_000_000))
    turns = 0

    async def count():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    await storage.put_file(film, "loop.mp4")
    counting.cancel()
    assert turns > 100
    await storage.delete("loop.mp4")


async def test_a_bucket_that_is_not_there(server, film, tmp_path):
    storage = make_storage(server.config(url="s3://nothing-here/x"), tmp_path)
    with pytest.raises(StorageError) as caught:
        await storage.put_file(film, PATH)
    assert film.read_bytes() == CONTENT
    assert "S3RVER" not in str(caught.value) and "Signature" not in str(caught.value)


async def test_a_server_that_is_not_there(film, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FEW_RETRIES", {"max_retries": 0})
    storage = make_storage(S3(f"http://127.0.0.1:{free_port()}").config(), tmp_path)
    with pytest.raises(StorageError, match="cannot be reached"):
        await storage.put_file(film, PATH)
    assert film.read_bytes() == CONTENT
    with pytest.raises(StorageError):
        await storage.delete(PATH)


@pytest.mark.parametrize(("server", "wrong"), CHECKED_KEYS, indirect=["server"])
async def test_a_wrong_key_is_refused(server, film, tmp_path, wrong):
    storage = make_storage(server.config(**{wrong: "wrong"}), tmp_path)
    with pytest.raises(StorageError, match=r"our key|or the key"):
        await storage.put_file(film, PATH)
    assert film.read_bytes() == CONTENT


async def test_an_upload_to_an_address_that_the_caller_signed(server, storage, film):
    import obstore

    loopback = OutgoingGuard(OutgoingConfig(allow=("127.0.0.0/8",)))
    url = await obstore.sign_async(storage._store, "PUT", "given.mp4", module.timedelta(seconds=60))
    await put_presigned(loopback, url, film)
    assert film.exists(), "it is the caller's to delete"
    assert (await read(await storage.url("given.mp4", 60)))[1] == CONTENT
    await storage.delete("given.mp4")


async def test_an_upload_address_inside_our_network_is_refused(server, film):
    with pytest.raises(UploadRefused) as caught:
        await put_presigned(OutgoingGuard(OutgoingConfig()), f"{server.endpoint}/meetings/x?secret=geheim", film)
    assert "geheim" not in str(caught.value)


def test_configurations_that_cannot_be(tmp_path):
    for wrong, path in (
        ({"url": "s3:///x"}, "storage.url"),
        ({"url": "s3://b", "endpoint": "http://a.example"}, "storage.endpoint"),
    ):
        with pytest.raises(ConfigError) as caught:
            make_storage(StorageConfig(**wrong), tmp_path)
        assert caught.value.path == path
