from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CONTENT = bytes(range(256)) * 4000  # more than one chunk of anything


@pytest.fixture
async def link(api):
    """Path and query of a finished recording's fileUrl."""
    room = await api.room("standup")
    said = await api.call("POST", "/v2/recordings/start", json={"roomId": room.room_id})
    await api.egress.finish(said["id"], CONTENT, timeline=b'{"a": 1}')
    parts = urlsplit((await api.call("GET", f"/v2/recordings/{said['id']}"))["file"]["fileUrl"])
    return f"{parts.path}?{parts.query}"


async def get(api, address, method="GET", **headers):
    async with api.client.request(method, address, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_whole(api, link):
    status, body, headers = await get(api, link)
    assert (status, body) == (200, CONTENT)
    assert headers["Content-Type"] == "video/mp4" and headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Disposition"] == 'inline; filename="recording.mp4"'
    assert "no-referrer" in headers["Referrer-Policy"] and headers["Cache-Control"].startswith("private")
    status, body, headers = await get(api, link + "&download=1")
    assert headers["Content-Disposition"].startswith("attachment") and body == CONTENT
    status, body, headers = await get(api, link, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(CONTENT)))


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("0-0", 0, 0), ("100-199", 100, 199), ("1023000-", 1_023_000, 1_023_999), ("-500", 1_023_500, 1_023_999), ("5-99999999", 5, 1_023_999)],
)
async def test_ranges(api, link, wanted, first, last):
    status, body, headers = await get(api, link, Range=f"bytes={wanted}")
    assert (status, headers["Content-Range"]) == (206, f"bytes {first}-{last}/{len(CONTENT)}")
    assert body == CONTENT[first : last + 1]


@pytest.mark.parametrize("wanted", ["items=0-9", "bytes=0-1,5-6", "bytes=-", "bytes=-0", "bytes=a-b", "bytes", "bytes=0-9x"])
async def test_ranges_that_we_do_not_know_give_the_whole_file(api, link, wanted):
    status, body, headers = await get(api, link, Range=wanted)
    assert (status, body) == (200, CONTENT) and "Content-Range" not in headers


async def test_pages_of_other_origins_can_read_in_parts(api, link):
    _, _, headers = await get(api, link, Range="bytes=0-9", Origin="https://app.example")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert {"Content-Range", "Accept-Ranges", "ETag"} <= set(headers["Access-Control-Expose-Headers"].split(", "))


@pytest.mark.parametrize("wanted", ["1024000-", "99999999-"])
async def test_what_cannot_be_satisfied(api, link, wanted):
    status, _, headers = await get(api, link, Range=f"bytes={wanted}")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


async def test_ranges_on_conditions(api, link):
    _, _, headers = await get(api, link)
    tag, date = headers["ETag"], headers["Last-Modified"]
    for condition, status in (
        (tag, 206), (date, 206),
        ('"another"', 200), ("W/" + tag, 200), ("Tue, 01 Jan 2019 00:00:00 GMT", 200),
    ):  # fmt: skip
        answer = await get(api, link, **{"Range": "bytes=0-9", "If-Range": condition})
        assert (answer[0], len(answer[1])) == (status, 10 if status == 206 else len(CONTENT)), condition
    assert (await get(api, link, **{"If-None-Match": tag}))[0] == 304


async def test_a_link_is_good_for_its_file_only(api, link):
    path, _, query = link.partition("?")
    tampered = [
        path + "?" + query[:-1] + ("0" if query[-1] != "0" else "1"),
        path.replace("recording.mp4", "timeline.json") + "?" + query,
        path.replace("recording.mp4", "..%2f..%2f..%2fstore.db") + "?" + query,
        path.replace(path.split("/")[4], "0" * 24) + "?" + query,
        path + "?" + query.replace("expires=", "expires=9"),
        path + "?" + query.partition("&")[0] + "&signature=" + "é" * 10,
    ]
    for address in tampered:
        status, body, _ = await get(api, address)
        assert status == 403 and b"signature" in body, address
    for address in (path, path + "?expires=x&signature=y", path + "?expires=1"):
        assert (await get(api, address))[0] == 400


async def test_no_name_leads_out_of_the_storage(api, link):
    """Even with a good signature: names are looked up in the row, and never joined to a path."""
    owner = link.split("/")[4]
    signer = await api.context.links.signer(api.key.project_id)
    for name in ("../../store.db", "..%2f..%2fstore.db", "/etc/passwd", "nothing.mp4", "."):
        parts = urlsplit(signer.url("http://x", owner, name))
        assert (await get(api, f"{parts.path}?{parts.query}"))[0] in (403, 404), name


async def test_links_expire(api, link):
    api.wall.time += 3599
    assert (await get(api, link))[0] == 200
    api.wall.time += 2
    status, body, _ = await get(api, link)
    assert status == 410 and b"expired" in body


async def test_a_file_that_is_not_whole_or_gone(api, link):
    owner = link.split("/")[4]
    row = await api.store.recordings.get(owner)
    async with api.store.recordings.transaction() as tx:
        await api.store.recordings.update(tx, owner, state="processing")
    assert (await get(api, link))[0] == 409
    async with api.store.recordings.transaction() as tx:
        await api.store.recordings.update(tx, owner, state="stopped")
    api.context.storage.local_path(row.files[0]["path"]).unlink()
    assert (await get(api, link))[0] == 404


async def test_a_long_file_does_not_stop_the_loop(api, link, tmp_path: Path):
    """A reader that takes nothing leaves everybody else alone, and a file is never read as a whole."""
    owner = link.split("/")[4]
    kept = api.context.storage.local_path((await api.store.recordings.get(owner)).files[0]["path"])
    with kept.open("r+b") as file:
        os.ftruncate(file.fileno(), 2_000_000_000)  # sparse
    parts = urlsplit(link)
    _, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
    writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await writer.drain()
    assert (await get(api, link, Range="bytes=-10"))[1] == bytes(10)
    writer.close()


async def test_what_is_elsewhere_is_redirected_to(api, link):
    class Elsewhere:
        def local_path(self, path):
            return None

        async def url(self, path, expires, *, method):
            return f"https://bucket.example/{path}?for={int(expires)}&method={method}"

    api.context.storage = Elsewhere()
    status, _, headers = await get(api, link)
    assert status == 302 and headers["Location"].startswith("https://bucket.example/") and headers["Cache-Control"] == "no-store"
    assert headers["Location"].endswith("method=GET")
    assert (await get(api, link, "HEAD"))[2]["Location"].endswith("method=HEAD"), "a store's address is signed for a method"
