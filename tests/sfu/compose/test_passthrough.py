from __future__ import annotations

import av
import numpy as np
import pytest

from sfu.compose.blank import SILENCE, black_keyframe
from sfu.compose.passthrough import FileSet, Form, MediaFile, suffix_for
from sfu.compose.source import AccessUnit
from tests.support.call import level, pictures, sound
from tests.support.encoded import OPUS, OpusEncoder

ZERO = 1_750_000_000.0
FORM = Form("VP8", 320, 180)


def tone(at: float, data: bytes) -> AccessUnit:
    return AccessUnit(data, OPUS, ZERO + at, True, False, 0)


def audio_times(path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.pts is not None]


@pytest.mark.parametrize(
    ("codec", "wanted", "suffix"),
    [
        ("VP8", "mp4", "webm"),
        ("VP8", "webm", "webm"),
        ("VP8", "mp3", "webm"),
        ("H264", "webm", "mp4"),
        ("VP9", "mp4", "mp4"),
        ("AV1", "webm", "webm"),
        (None, "mp3", "mp3"),
        (None, "mp4", "mp4"),
    ],
)
def test_each_codec_gets_a_container_that_takes_it(codec, wanted, suffix):
    assert suffix_for(codec and Form(codec, 640, 360), wanted) == suffix


def test_sound_stands_where_it_was_heard(tmp_path):
    file, encoder = MediaFile(tmp_path / "a.webm", ZERO, None, audio=True), OpusEncoder()
    for at in (-1.0, -0.5):  # before the beginning
        file.write_audio(tone(at, encoder.encode()))
    starts = [0.005, 0.024, 0.045, 1.0, 1.021, 1.022, 1.05]  # jitter of the clock; a hole; one that overlaps
    for at in starts:
        file.write_audio(tone(at, encoder.encode()))
    file.write_audio(tone(1.3, b""))  # unreadable
    file.finish(ZERO + 1.5)
    times = audio_times(file.path)
    assert times == pytest.approx(list(np.arange(0, 1.5, 0.02)), abs=0.002)
    heard = sound(file.path)
    assert level(heard, 0.01, 0.06) > 0.1 and level(heard, 0.2, 0.9) < 0.001 and level(heard, 1.02, 1.06) > 0.03
    assert file.error is None


def test_pictures_never_go_back_and_the_last_reaches_the_end(tmp_path):
    file = MediaFile(tmp_path / "v.webm", ZERO, FORM, audio=False)
    data = black_keyframe("VP8", 320, 180)
    for at in (-0.2, 0.5, 0.5, 0.4, 1.0):
        file.write_video(data, ZERO + at, keyframe=True)
    file.finish(ZERO + 2.0)
    assert [round(at, 3) for at, *_ in pictures(file.path)] == [0, 0.5, 0.501, 0.502, 1.0]
    with av.open(str(file.path)) as container:
        assert [packet.duration for packet in container.demux(video=0) if packet.pts is not None][-1] in (1000, None, 0)
    assert file.frames == 5


def test_what_is_written_after_the_end_is_forgotten(tmp_path):
    file = MediaFile(tmp_path / "a.webm", ZERO, None, audio=True)
    file.write_audio(tone(0.0, SILENCE))
    file.finish()
    size = file.path.stat().st_size
    file.write_audio(tone(1.0, SILENCE))
    file.write_video(b"x", ZERO, keyframe=True)
    file.fill_audio(ZERO + 9)
    file.finish(ZERO + 9)
    file.close()
    assert file.path.stat().st_size == size


def test_names_count_on_over_containers_and_restarts(tmp_path):
    told: list[str] = []
    files = FileSet(tmp_path, "mp4", lambda name, at: told.append(name))
    files.open("participant", ZERO, FORM, audio=True)
    files.open("participant", ZERO, Form("H264", 64, 64), audio=True)
    files.close()
    again = FileSet(tmp_path, "mp4", lambda name, at: told.append(name))
    again.open("participant", ZERO, None, audio=True)
    again.open("mic", ZERO, None, audio=True, number=True)
    again.open("mic", ZERO, None, audio=True, number=True)
    again.close()
    assert told == ["participant.webm", "participant-2.mp4", "participant-3.mp4", "mic-1.mp4", "mic-2.mp4"]


def test_nothing_is_raised_where_nothing_can_be_written(tmp_path):
    file = MediaFile(tmp_path / "a.webm", ZERO, FORM, audio=True)
    file._writer.error = OSError(28, "No space left on device")
    file.write_video(black_keyframe("VP8", 320, 180), ZERO, keyframe=True)
    file.fill_audio(ZERO + 1000)
    file.finish(ZERO + 1000)
    assert file.error == "No space left on device"
