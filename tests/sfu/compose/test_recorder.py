"""What a participant's recording holds: pictures and sound as they were sent, muted, changed, published anew; which files."""

from __future__ import annotations

import itertools

import av
import pytest

from sfu.compose.messages import FileOpened, Progress, Started, Warned
from tests.support.call import BLACK, WALL, Call, Camera, Microphone, ffprobe, level, pictures, sound
from tests.support.encoded import AV1, H264, VP8, VP9

pytestmark = pytest.mark.slow


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
