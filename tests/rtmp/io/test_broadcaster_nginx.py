"""Broadcasts to nginx's RTMP module: what arrives there is decoded and looked at."""

import asyncio
import itertools
import json
import socket
from pathlib import Path

import av
import numpy as np
import pytest

from rtmp.io.broadcaster import TargetPhase
from tests.support.broadcast import KEY, encoder, eventually, loopback, staged
from tests.support.flv_source import FPS, GOP, HEIGHT, WIDTH, luma_of, make_flv
from tests.support.rtmp_nginx import running_nginx
from tests.support.rtmp_server import serve

pytestmark = pytest.mark.slow


def decoded(path: Path) -> tuple[list[av.VideoFrame], np.ndarray]:
    """Every picture, and the sound of the first channel."""
    pictures, sounds = [], []
    with av.open(path) as container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame)
            else:
                sounds.append(frame.to_ndarray()[0])
    return pictures, np.concatenate(sounds)


def numbers(pictures: list[av.VideoFrame]) -> list[int]:
    """Which picture each one is, modulo 40: told from its grey."""
    return [round((float(picture.to_ndarray()[:HEIGHT].mean()) - luma_of(0)) / 4) for picture in pictures]


def longest_gap(pictures: list[av.VideoFrame]) -> float:
    times = [picture.time for picture in pictures]
    return max(after - before for before, after in itertools.pairwise(times))


async def test_what_nginx_records_is_what_was_encoded(tmp_path):
    with running_nginx(tmp_path) as nginx:
        async with staged() as stage:
            stage.add(nginx.port)
            await stage.until(TargetPhase.LIVE)
            flv = make_flv(4.0)
            for start in range(0, len(flv), 1000):
                stage.broadcaster.receive_flv(flv[start : start + 1000])
            await stage.broadcaster.stop(10.0)
            state = stage.state()
        assert (state.state, state.error, state.frames_dropped) == (TargetPhase.STOPPED, "", 0)
        assert state.bytes_sent > 0.9 * len(flv)
        await eventually(lambda: "disconnect" in nginx.log())
        assert "deleteStream" in nginx.log()
        pictures, sound = decoded(nginx.recording(KEY))
    assert numbers(pictures) == [n % 40 for n in range(4 * FPS)]
    assert (pictures[0].width, pictures[0].height) == (WIDTH, HEIGHT)
    assert pictures[0].time == 0
    assert [n for n, picture in enumerate(pictures) if picture.key_frame] == list(range(0, 4 * FPS, GOP))
    assert longest_gap(pictures) == pytest.approx(1 / FPS, abs=0.002)
    spectrum = np.abs(np.fft.rfft(sound[4800 : 4800 + 48000]))
    assert int(spectrum.argmax()) == 440  # Hz: one second, so one a bin
    assert len(sound) / 48000 == pytest.approx(4.0, abs=0.1)


async def test_a_viewer_of_the_live_stream_sees_it(tmp_path):
    with running_nginx(tmp_path) as nginx:
        async with staged() as stage, encoder(stage.broadcaster):
            stage.add(nginx.port)
            await stage.until(TargetPhase.LIVE)
            command = ["ffprobe", "-v", "error", "-read_intervals", "%+2", "-show_entries"]
            command += ["stream=codec_name,width,height:frame=media_type,key_frame", "-of", "json"]
            probe = await asyncio.create_subprocess_exec(
                *command, f"rtmp://127.0.0.1:{nginx.port}/live/{KEY}", stdout=asyncio.subprocess.PIPE
            )
            try:
                async with asyncio.timeout(60):
                    seen = json.loads((await probe.communicate())[0])
            finally:
                if probe.returncode is None:
                    probe.kill()
    streams = {stream["codec_name"]: stream for stream in seen["streams"]}
    assert set(streams) == {"h264", "aac"} and streams["h264"]["width"] == WIDTH
    video = [frame for frame in seen["frames"] if frame["media_type"] == "video"]
    assert len(video) >= FPS and video[0]["key_frame"] == 1


async def test_ffmpeg_as_a_server_takes_it_too(tmp_path):
    """A second implementation that is not ours."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    file = tmp_path / "taken.mp4"
    ffmpeg = await asyncio.create_subprocess_exec(
        *(
            "ffmpeg",
            "-v",
            "error",
            "-listen",
            "1",
            "-i",
            f"rtmp://127.0.0.1:{port}/live/{KEY}",
            "-c",
            "copy",
            str(file),
        ),
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        async with staged(connect_timeout=10.0) as stage:
            stage.add(port)
            await stage.until(TargetPhase.LIVE)
            stage.broadcaster.receive_flv(make_flv(3.0))
            await stage.broadcaster.stop(10.0)
        async with asyncio.timeout(30):
            await ffmpeg.wait()
    finally:
        if ffmpeg.returncode is None:
            ffmpeg.kill()
            await ffmpeg.wait()
    pictures, _ = decoded(file)
    assert numbers(pictures) == [n % 40 for n in range(3 * FPS)]


async def test_one_target_dies_and_comes_back_and_the_other_has_no_gap(tmp_path):
    homes = [tmp_path / "mortal", tmp_path / "other"]
    for home in homes:
        home.mkdir()
    with running_nginx(homes[0]) as mortal, running_nginx(homes[1]) as other:
        async with staged() as stage, encoder(stage.broadcaster):
            stage.add(mortal.port, "mortal")
            stage.add(other.port, "other")
            await stage.until(TargetPhase.LIVE, "mortal")
            await stage.until(TargetPhase.LIVE, "other")
            await eventually(lambda: stage.state("mortal").bytes_sent > 30_000)
            mortal.kill()
            await stage.until(TargetPhase.RETRYING, "mortal", words="refused: nothing listens")
            mortal.start()
            await stage.until(TargetPhase.LIVE, "mortal", times=2)
            sent = stage.state("mortal").bytes_sent
            await eventually(lambda: stage.state("mortal").bytes_sent > sent + 30_000)
            await stage.broadcaster.stop(10.0)
            assert stage.state("other").attempts == 1 and stage.state("mortal").attempts >= 2
        for nginx in (mortal, other):
            await eventually(lambda nginx=nginx: "deleteStream" in nginx.log())
        pictures, _ = decoded(other.recording(KEY))
        again, _ = decoded(mortal.recording(KEY, life=2))
    assert [state.state for state in stage.of("other")] == [TargetPhase.LIVE, TargetPhase.STOPPED]
    assert longest_gap(pictures) < 1.9 / FPS
    seen = numbers(pictures)
    assert len(seen) > FPS and seen == [(seen[0] + n) % 40 for n in range(len(seen))]
    assert again[0].key_frame and again[0].time == 0 and len(again) > 2


@pytest.mark.parametrize("answer", ["403 Forbidden", "404 Not Found"])
async def test_a_key_that_nginx_refuses_fails_at_once_and_is_nowhere_shown(tmp_path, answer, caplog):
    asked = []

    async def on_publish(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        length = int(request.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        asked.append(request + await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()  # nginx reads up to the end of the connection

    caplog.set_level(0)
    async with serve(on_publish) as port:
        with running_nginx(tmp_path, more=f"on_publish http://127.0.0.1:{port}/;") as nginx:
            async with staged(loopback) as stage, encoder(stage.broadcaster):
                stage.add(nginx.port)
                failed = await stage.until(TargetPhase.FAILED)
    assert "stream key" in failed.error and asked and KEY.encode() in asked[0]
    assert failed.attempts <= 3
    assert KEY not in caplog.text and KEY not in repr(stage.reported)
