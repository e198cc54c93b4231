"""A participant's recording in trouble: loss, garbage, absurd senders, a full disk, an end by force."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path as FilePath

import pytest

from media.codecs import Kind
from sfu.compose import passthrough
from sfu.compose.finalize import finalize_file
from sfu.compose.messages import Done, Failed, SourceAdded, Warned
from sfu.compose.probe import probe
from tests.support.call import BLACK, WALL, Call, Camera, Microphone, ffprobe, level, pictures, sound
from tests.support.encoded import H264, VP8
from tests.support.network import Network, Path

ROOT = FilePath(__file__).parents[3]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("continuous", [True, False])
def test_a_camera_that_changes_its_codec_for_ever_makes_no_files_for_ever(tmp_path, monkeypatch, continuous):
    monkeypatch.setattr(passthrough, "MAX_FILES", 4)
    call, camera, mic = Call(tmp_path, continuous=continuous), Camera(VP8), Microphone()
    camera.info = type(camera.info)("TR_v", "PA_1", "webcam", camera.info.kind, 10, (VP8, H264))
    call.add(camera)
    call.add(mic)
    for number in range(8):
        camera.change(codec=H264 if number % 2 else VP8)
        camera.ask()
        call.run(0.5)
    infos = call.stop()
    assert len(infos) == 4 and isinstance(call.reports[-1], Done)
    ends = [info.start - WALL + info.duration for info in infos if info.kind != "video"]
    assert max(ends) == pytest.approx(4.0, abs=0.1), "sound goes on"


def test_a_camera_that_says_an_absurd_size_and_never_comes_is_black(tmp_path):
    call, mic = Call(tmp_path), Microphone()
    call.add(mic)
    boaster = SourceAdded("TR_v", "ada", "webcam", Kind.VIDEO, 77, (VP8,), width=16_384, height=16_384)
    call.pipeline.receive_control(boaster, now=call.now)
    call.run(3.0)
    (info,) = call.stop()
    assert (info.width, info.height) == (640, 360) and info.duration == pytest.approx(3.0, abs=0.1)
    assert all(luma < BLACK for _, luma, _ in pictures(tmp_path / info.name))


@pytest.mark.parametrize("continuous", [True, False])
def test_where_nobody_came_there_is_no_file(tmp_path, continuous):
    call = Call(tmp_path, continuous=continuous)
    call.run(3.0)
    assert call.stop() == () and not list(tmp_path.iterdir())


def test_a_picture_that_stops_coming_turns_black(tmp_path):
    call, camera, mic = Call(tmp_path), Camera(), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(2.0)
    camera.on = False  # and nobody says so
    call.run(8.0)
    camera.on = True
    call.run(2.0)
    (info,) = call.stop()
    shown = pictures(tmp_path / info.name)
    dark = [at for at, luma, _ in shown if luma < BLACK]
    assert min(dark) == pytest.approx(7.0, abs=0.3) and max(dark) < 10.2
    assert [luma > BLACK for _, luma, _ in shown][-30:] == [True] * 30
    assert info.duration == pytest.approx(12.0, abs=0.1)


@pytest.mark.parametrize("first", [0, 1, 127, 32767, 65535])
def test_lost_and_disordered_packets_cost_what_they_carried(tmp_path, first):
    call, camera, mic = Call(tmp_path), Camera(), Microphone()
    camera.track.sequence = mic.track.sequence = first
    network = Network(Path(delay=0.02, jitter=0.04, loss=0.02, reorder=0.03), seed=first)
    deliver = call.pipeline.receive_datagram
    call.pipeline.receive_datagram = lambda data, *, now: network.push(data, now)  # type: ignore[method-assign]
    call.add(camera)
    call.add(mic)
    for _ in range(1000):
        call.run(0.01)
        for data in network.pop_due(call.now):
            deliver(data, now=call.now)
    (info,) = call.stop()
    assert info.duration == pytest.approx(10.0, abs=0.1)
    shown = pictures(tmp_path / info.name)
    assert all(abs(luma - 100) <= 8 for _, luma, _ in shown) and len(shown) > 60
    heard = sound(tmp_path / info.name)
    assert level(heard, 1.0, 9.0) > 0.2


def test_a_full_disk_ends_it_with_what_there_is(tmp_path):
    call, camera = Call(tmp_path), Camera()
    call.add(camera)
    call.add(Microphone())
    call.run(5.0)
    call.pipeline._files.all[0].file._writer.error = OSError(28, "No space left on device")
    for _ in range(100):
        call.run(0.1)
        if call.pipeline.is_done:
            break
    failed = call.reports[-1]
    assert isinstance(failed, Failed) and "No space left" in failed.text
    assert failed.files[0].duration > 3


KILLED = """
import sys, time
from pathlib import Path
from tests.support.call import Call, Camera, Microphone
from tests.support.encoded import VIDEO_CODECS
call = Call(Path(sys.argv[1]), file_format=sys.argv[2])
call.add(Camera(VIDEO_CODECS[sys.argv[3]]))
call.add(Microphone())
call.run(8.0)
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("wanted", "codec"), [("webm", "VP8"), ("mp4", "H264"), ("mp4", "AV1")])
def test_killed_it_leaves_a_file_that_plays_and_can_be_finalised(tmp_path, wanted, codec):
    command = [sys.executable, "-c", KILLED, str(tmp_path), wanted, codec]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"there\n"
        process.send_signal(signal.SIGKILL)
    path = tmp_path / f"participant.{wanted}"
    assert probe(path).duration > 5.5 and len(pictures(path)) > 5.5 * 30
    finalised = finalize_file(path)
    assert finalised.duration > 5.5 and finalised.kind == "audio-video"
    assert len(pictures(path)) > 5.5 * 30 and float(ffprobe(path)["format.duration"]) > 5.5


def test_a_recording_begun_again_goes_on_in_another_file(tmp_path):
    for _ in range(2):
        call = Call(tmp_path)
        call.add(Camera())
        call.run(2.0)
        call.stop()
    assert {path.name for path in tmp_path.iterdir()} == {"participant.webm", "participant-2.webm"}


def test_garbage_and_foreign_codecs_cost_nothing_else(tmp_path):
    call, camera, mic = Call(tmp_path), Camera(), Microphone()
    strange = Camera(name="TR_x", ssrc=50)
    strange.info = type(strange.info)("TR_x", "PA_1", "webcam", strange.info.kind, 50, ())
    call.add(strange)
    call.add(camera)
    call.add(mic)
    call.run(1.0)
    for data in (b"", b"\x80", b"\x80\x60" + bytes(30), b"\x81\xc9\x00\xff"):
        call.pipeline.receive_datagram(data, now=call.now)
    call.pipeline.receive_control(object(), now=call.now)
    call.run(2.0)
    (info,) = call.stop()
    assert info.duration == pytest.approx(3.0, abs=0.1)
    assert [warned.track_id for warned in call.of(Warned)] == ["TR_x"]
    assert isinstance(call.reports[-1], Done)
