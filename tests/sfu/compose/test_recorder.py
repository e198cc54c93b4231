from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from pathlib import Path as FilePath

import av
import pytest

from media.codecs import Kind
from sfu.compose import passthrough
from sfu.compose.finalize import finalize_file
from sfu.compose.messages import Done, Failed, FileOpened, Progress, SourceAdded, Started, Warned
from sfu.compose.probe import probe
from tests.support.call import WALL, Call, Camera, Microphone, level, pictures, sound
from tests.support.encoded import AV1, H264, VP8, VP9
from tests.support.network import Network, Path

ROOT = FilePath(__file__).parents[3]
BLACK = 40  # brighter than black, darker than any picture here
pytestmark = pytest.mark.slow


def ffprobe(path) -> dict[str, str]:
    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "format=duration:stream=codec_name,width",
        "-of",
        "flat",
        path,
    ]
    out = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert not out.stderr
    return dict(line.split("=", 1) for line in out.stdout.replace('"', "").splitlines())


@pytest.mark.parametrize(
    ("codec", "wanted", "suffix"),
    [
        (VP8, "webm", "webm"),
        (VP8, "mp4", "webm"),  # no MP4 takes it
        (VP9, "webm", "webm"),
        (VP9, "mp4", "mp4"),
        (H264, "mp4", "mp4"),
        (H264, "webm", "mp4"),
        (AV1, "webm", "webm"),
        (AV1, "mp4", "mp4"),
    ],
)
def test_a_participant_is_recorded_as_it_sends(tmp_path, codec, wanted, suffix):
    call, camera, mic = Call(tmp_path, file_format=wanted), Camera(codec), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(4.0)
    (info,) = call.stop()
    assert info.name == f"participant.{suffix}" and info.kind == "audio-video"
    assert info.duration == pytest.approx(4.0, abs=0.1) and info.start == pytest.approx(WALL, abs=0.1)
    assert (info.width, info.height) == camera.size
    path = tmp_path / info.name
    shown = pictures(path)
    assert len(shown) >= 4.0 * 30 - 8 and all(abs(luma - 100) <= 8 for _, luma, _ in shown)
    assert level(sound(path), 0.2, 3.8) > 0.2
    seen = ffprobe(path)
    assert float(seen["format.duration"]) == pytest.approx(4.0, abs=0.1)
    assert seen["streams.stream.0.codec_name"] == codec.name.lower()
    assert not list(tmp_path.glob(".*"))
    assert call.of(Started)[0].at == info.start and call.of(FileOpened)[0].name == info.name
    assert call.of(Progress)[-1].frames > 60 and not call.of(Warned)


@pytest.mark.parametrize(("codec", "wanted"), [(VP8, "webm"), (H264, "mp4"), (VP9, "mp4"), (AV1, "webm")])
def test_while_muted_it_is_black_and_silent_in_the_same_file(tmp_path, codec, wanted):
    call, camera, mic = Call(tmp_path, file_format=wanted), Camera(codec), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(3.0)
    call.mute(camera, True)
    call.run(1.0)
    call.mute(mic, True)
    call.run(4.0)
    call.mute(camera, False)
    call.mute(mic, False)
    camera.luma = 180
    call.run(3.0)
    (info,) = call.stop()
    assert info.duration == pytest.approx(11.0, abs=0.1)
    shown = pictures(tmp_path / info.name)
    dark = [at for at, luma, _ in shown if luma < BLACK]
    assert min(dark) == pytest.approx(3.0, abs=0.1) and max(dark) < 8.1
    assert len(dark) >= 2  # a player can go to places among them
    assert max(b - a for (a, *_), (b, *_) in itertools.pairwise(shown)) < 2.2
    bright = [at for at, luma, _ in shown if abs(luma - 180) < 12]
    assert min(bright) == pytest.approx(8.0, abs=0.4) and max(bright) > 10.8
    assert all(size == camera.size for *_, size in shown)
    heard = sound(tmp_path / info.name)
    assert level(heard, 0.2, 3.9) > 0.2 and level(heard, 8.2, 10.8) > 0.2
    assert level(heard, 4.1, 7.9) < 0.001


@pytest.mark.parametrize(("codec", "wanted"), [(VP8, "webm"), (H264, "mp4"), (VP9, "webm"), (AV1, "mp4")])
def test_a_change_of_size_goes_on_in_the_same_file(tmp_path, codec, wanted):
    call, camera, mic = Call(tmp_path, file_format=wanted), Camera(codec, size=(160, 90)), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(2.0)
    camera.change(size=(640, 360))
    call.run(2.0)
    call.mute(camera, True)
    call.run(1.0)
    (info,) = call.stop()
    raw = probe_sizes(tmp_path / info.name)
    assert [size for size, _ in raw] == [(160, 90), (640, 360)]
    assert raw[0][1] == pytest.approx(60, abs=4)
    assert info.duration == pytest.approx(5.0, abs=0.1)


def probe_sizes(path) -> list[tuple[tuple[int, int], int]]:
    """Sizes of coded pictures in order, and how many there are."""
    out: list[list] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if not out or out[-1][0] != (frame.width, frame.height):
                out.append([(frame.width, frame.height), 0])
            out[-1][1] += 1
    return [(size, count) for size, count in out]


def test_a_change_of_codec_opens_the_next_file(tmp_path):
    call, camera, mic = Call(tmp_path, file_format="mp4"), Camera(VP8), Microphone()
    camera.info = type(camera.info)("TR_v", "PA_1", "webcam", camera.info.kind, 10, (VP8, H264))
    call.add(camera)
    call.add(mic)
    call.run(3.0)
    camera.change(codec=H264)
    camera.luma = 160
    call.run(3.0)
    first, second = call.stop()
    assert (first.name, second.name) == ("participant.webm", "participant-2.mp4")
    assert first.duration == pytest.approx(3.0, abs=0.1) and second.duration == pytest.approx(3.0, abs=0.1)
    assert second.start == pytest.approx(first.start + first.duration, abs=0.05)
    assert all(abs(luma - 100) <= 8 for _, luma, _ in pictures(tmp_path / first.name))
    assert all(abs(luma - 160) <= 8 for _, luma, _ in pictures(tmp_path / second.name))
    for info in (first, second):
        assert level(sound(tmp_path / info.name), 0.2, 2.8) > 0.2
    assert [report.name for report in call.of(FileOpened)] == [first.name, second.name]


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


def test_without_a_camera_it_is_black_from_the_beginning(tmp_path):
    call, mic = Call(tmp_path), Microphone()
    call.add(mic)
    call.run(1.9)
    assert call.of(FileOpened) and call.pipeline._files.bytes_written > 0
    call.run(4.0)
    camera = Camera(size=(320, 180))
    camera._next = call.now
    call.add(camera)
    call.run(3.0)
    (info,) = call.stop()
    shown = pictures(tmp_path / info.name)
    assert shown[0][0] == pytest.approx(0, abs=0.05) and shown[0][1] < BLACK
    assert all(luma < BLACK for at, luma, _ in shown if at < 5.8)
    assert all(luma > BLACK for at, luma, _ in shown if at > 6.3)
    assert info.duration == pytest.approx(8.9, abs=0.1) and info.kind == "audio-video"
    assert level(sound(tmp_path / info.name), 0.2, 8.7) > 0.2


def test_a_camera_that_says_an_absurd_size_and_never_comes_is_black(tmp_path):
    call, mic = Call(tmp_path), Microphone()
    call.add(mic)
    boaster = SourceAdded("TR_v", "ada", "webcam", Kind.VIDEO, 77, (VP8,), width=16_384, height=16_384)
    call.pipeline.receive_control(boaster, now=call.now)
    call.run(3.0)
    (info,) = call.stop()
    assert (info.width, info.height) == (640, 360) and info.duration == pytest.approx(3.0, abs=0.1)
    assert all(luma < BLACK for _, luma, _ in pictures(tmp_path / info.name))


def test_a_muted_participant_is_black_and_silent_and_listed(tmp_path):
    call, camera = Call(tmp_path), Camera()
    camera.on = False
    camera.info = type(camera.info)("TR_v", "PA_1", "webcam", camera.info.kind, 10, (VP8,), True, 640, 480)
    call.add(camera)
    call.run(5.0)
    (info,) = call.stop()
    assert (info.width, info.height, info.kind) == (640, 480, "audio-video")
    assert info.duration == pytest.approx(5.0, abs=0.1)
    assert all(luma < BLACK for _, luma, _ in pictures(tmp_path / info.name))
    assert not sound(tmp_path / info.name).any()


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


def test_published_anew_it_goes_on_in_the_same_file(tmp_path):
    call, camera, mic = Call(tmp_path), Camera(), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(2.0)
    call.remove(camera)
    call.run(2.0)
    again = Camera(name="TR_w", ssrc=30)
    again._next, again.luma = call.now, 150
    call.add(again)
    call.run(2.0)
    (info,) = call.stop()
    shown = pictures(tmp_path / info.name)
    assert all(luma < BLACK for at, luma, _ in shown if 2.1 < at < 4.0)
    assert all(abs(luma - 150) < 8 for at, luma, _ in shown if at > 4.3)
    assert info.duration == pytest.approx(6.0, abs=0.1)


def test_a_screen_beside_a_camera_is_not_recorded_until_the_camera_goes(tmp_path):
    call, camera, screen = Call(tmp_path, audio=False), Camera(), Camera(name="TR_s", ssrc=40, source="screen")
    screen.luma = 200
    call.add(camera)
    call.add(screen)
    call.run(2.0)
    call.remove(camera)
    call.run(2.0)
    (info,) = call.stop()
    assert info.kind == "video"
    shown = pictures(tmp_path / info.name)
    assert all(abs(luma - 100) < 8 for at, luma, _ in shown if at < 1.9)
    assert all(abs(luma - 200) < 8 for at, luma, _ in shown if at > 2.4)


def test_lips_stay_in_sync(tmp_path):
    """A flash and a beep of the same instant; pictures take 150 ms more on their way than sound."""
    call, camera, mic = Call(tmp_path), Camera(), Microphone()
    camera.path = 0.18
    call.add(camera)
    call.add(mic)
    call.run(3.0)
    mic.on = False
    call.run(2.0)
    mic.on = True
    call.run(0.15)  # pictures of this instant leave later
    camera.luma = 220
    call.run(1.85)
    (info,) = call.stop()
    path = tmp_path / info.name
    flash = min(at for at, luma, _ in pictures(path) if luma > 180)
    heard = sound(path)
    beep = next(at / 100 for at in range(400, 700) if level(heard, at / 100, at / 100 + 0.01) > 0.05)
    assert abs(flash - beep) < 0.04
    assert flash == pytest.approx(5.0, abs=0.1)


def test_each_run_of_a_track_is_a_file(tmp_path):
    call, camera, mic = Call(tmp_path, continuous=False), Camera(), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(2.0)
    call.mute(camera, True)
    call.run(1.0)
    call.mute(camera, False)
    call.run(2.0)
    call.remove(camera)
    call.run(1.0)
    again = Camera(name="TR_w", ssrc=30)
    again._next = call.now
    call.add(again)
    call.run(1.0)
    infos = {info.name: info for info in call.stop()}
    assert set(infos) == {"webcam-1.webm", "webcam-2.webm", "webcam-3.webm", "mic-1.webm"}
    expected = {
        "webcam-1.webm": (0, 2.0),
        "webcam-2.webm": (3.0, 2.0),
        "webcam-3.webm": (6.0, 1.0),
        "mic-1.webm": (0, 7.0),
    }
    for name, (start, duration) in expected.items():
        assert infos[name].start - WALL == pytest.approx(start, abs=0.3)
        end = infos[name].start - WALL + infos[name].duration
        assert end == pytest.approx(start + duration, abs=0.1)
    assert infos["webcam-3.webm"].track_id == "TR_w" and infos["mic-1.webm"].kind == "audio"
    for name in ("webcam-1.webm", "webcam-2.webm", "webcam-3.webm"):
        assert infos[name].kind == "video"
        assert all(abs(luma - 100) <= 8 for _, luma, _ in pictures(tmp_path / name))
    assert level(sound(tmp_path / "mic-1.webm"), 0.1, 6.8) > 0.2


def test_sound_alone_as_mp3(tmp_path):
    call, mic = Call(tmp_path, continuous=False, file_format="mp3", video=False), Microphone()
    call.add(mic)
    call.run(3.0)
    mic.on = False
    call.run(1.0)
    mic.on = True
    call.run(1.0)
    (info,) = call.stop()
    assert info.name == "mic-1.mp3" and info.kind == "audio"
    assert info.duration == pytest.approx(5.0, abs=0.1)
    heard = sound(tmp_path / info.name)
    assert level(heard, 0.3, 2.8) > 0.2 and level(heard, 3.2, 3.8) < 0.01 and level(heard, 4.3, 4.8) > 0.2


def test_a_participants_sound_as_one_mp3(tmp_path):
    call, camera, mic = Call(tmp_path, file_format="mp3"), Camera(), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(2.0)
    call.mute(mic, True)
    call.run(2.0)
    (info,) = call.stop()
    assert (info.name, info.kind) == ("participant.mp3", "audio")
    assert info.duration == pytest.approx(4.0, abs=0.1)
    assert level(sound(tmp_path / info.name), 2.2, 3.8) < 0.01


def test_a_player_can_go_into_the_dark(tmp_path):
    call, camera, mic = Call(tmp_path), Camera(), Microphone()
    call.add(camera)
    call.add(mic)
    call.run(2.0)
    call.mute(camera, True)
    call.run(10.0)
    (info,) = call.stop()
    with av.open(str(tmp_path / info.name)) as container:
        stream = container.streams.video[0]
        container.seek(round(9.0 / stream.time_base), stream=stream)
        frame = next(container.decode(stream))
        assert 6.5 < frame.time <= 9.0


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
