"""Receivers that answer what S3 answers when it does not want the file. The good way is tried in test_s3."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tidegate.config.model import OutgoingConfig
from tidegate.outgoing import OutgoingGuard
from tidegate.storage import StorageError, UploadRefused, put_presigned

GUARD = OutgoingGuard(OutgoingConfig(allow=("127.0.0.0/8",)))


@pytest.fixture
async def receiver():
    """Answers `status`; keeps what it got in `seen`."""
    app = web.Application(client_max_size=10_000_000)
    seen: list[tuple[str | None, bytes]] = []

    async def put(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Transfer-Encoding"), await request.read()))
        status = int(request.match_info["status"])
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"} if 300 <= status < 400 else None)

    app.router.add_put("/{status}", put)
    async with TestServer(app) as server:
        yield lambda status: str(server.make_url(f"/{status}?X-Amz-Signature=geheim")), seen


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (201, None), (403, UploadRefused), (302, UploadRefused), (307, UploadRefused), (500, StorageError), (503, StorageError)],
)
async def test_answers(receiver, tmp_path, status, error):
    url, seen = receiver
    film = tmp_path / "film.webm"
    film.write_bytes(b"film" * 100_000)
    if error is None:
        await put_presigned(GUARD, url(status), film)
    else:
        with pytest.raises(error) as caught:
            await put_presigned(GUARD, url(status), film)
        assert type(caught.value) is error and str(status) in str(caught.value) and "geheim" not in str(caught.value)
    assert seen == [(None, b"film" * 100_000)] and film.exists()


async def test_nobody_there(tmp_path, unused_tcp_port):
    film = tmp_path / "film.webm"
    film.write_bytes(b"film")
    with pytest.raises(StorageError) as caught:
        await put_presigned(GUARD, f"http://127.0.0.1:{unused_tcp_port}/x?geheim", film)
    assert not isinstance(caught.value, UploadRefused) and "geheim" not in str(caught.value)
