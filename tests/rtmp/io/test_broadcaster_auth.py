"""Servers that ask for user and password; the asking server is itself held against ffmpeg's client."""

import asyncio

import pytest

from rtmp.io.broadcaster import TargetPhase
from tests.support.broadcast import KEY, staged
from tests.support.flv_source import make_flv
from tests.support.rtmp_auth import PASSWORD, USER, AskingServer
from tests.support.rtmp_server import serve


@pytest.mark.parametrize("opaque", [True, False])
async def test_user_and_password_of_the_address_are_given_when_asked_for(opaque, caplog):
    caplog.set_level(0)
    server = AskingServer(opaque=opaque)
    async with serve(server) as port, staged() as stage:
        stage.broadcaster.add_target("t", f"rtmp://{USER}:{PASSWORD}@localhost:{port}/live", KEY)
        live = await stage.until(TargetPhase.LIVE)
    assert live.attempts == 1 and len(server.apps) == 3
    assert PASSWORD not in "".join(server.apps)
    for secret in (USER, PASSWORD, KEY):
        assert secret not in caplog.text + repr(stage.reported)


@pytest.mark.parametrize(
    ("user", "words"),
    [(f"{USER}:wrong@", "refused user and password"), ("", "as rtmp://user:password@host/app")],
)
async def test_wrong_ones_and_none_fail_at_once(user, words):
    async with serve(AskingServer()) as port, staged() as stage:
        stage.broadcaster.add_target("t", f"rtmp://{user}localhost:{port}/live", KEY)
        failed = await stage.until(TargetPhase.FAILED, words=words)
    assert failed.attempts == 1 and "wrong" not in failed.error


@pytest.mark.slow
@pytest.mark.parametrize("opaque", [True, False])
async def test_ffmpeg_is_let_in_by_the_same_server(tmp_path, opaque):
    server, file = AskingServer(opaque=opaque), tmp_path / "some.flv"
    file.write_bytes(make_flv(1.0))
    async with serve(server) as port:
        url = f"rtmp://{USER}:{PASSWORD}@127.0.0.1:{port}/live/{KEY}"
        ffmpeg = await asyncio.create_subprocess_exec(
            "ffmpeg", "-v", "error", "-i", file, "-c", "copy", "-f", "flv", url
        )
        async with asyncio.timeout(30):
            assert await ffmpeg.wait() == 0
    assert "publish" in server.connections[-1].commands and len(server.connections[-1].media) > 20
