"""Files into one: left and right, side by side, one after the other; and what cannot be merged is said in words."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from sfu.compose.boxes import outline
from sfu.compose.encoder import Encoders
from sfu.compose.merge import Merge
from sfu.compose.messages import Done, EncoderSpec, Failed, MergeInput, MergeSpec, Progress, Stop
from sfu.compose.outputs import FileOutput
from sfu.compose.probe import probe
from tests.support.composing import beep_times, color_at, is_near, pictures
from tests.support.rtp_media import beeps, picture

RED, BLUE = (82, 90, 240), (41, 240, 110)
SECONDS = 3


def write(path: Path, color: tuple[int, int, int] | None, hertz: float, seconds: int = SECONDS) -> str:
    """A film of one colour with a beep each second but the first."""
    family = "webm" if path.suffix == ".webm" else "h264"
    encoders = Encoders(EncoderSpec(), family, (320, 180) if color else None, 30)
    output = FileOutput(path, encoders)
    for index in range(seconds * 30 if color else 0):
        for packet in encoders.encode_video(picture(320, 180, color), index):
            output.write(packet)
    block = encoders.block_samples
    for position in range(0, seconds * 48_000, block):
        times = (position + np.arange(block)) / 48_000
        samples = np.where(times < seconds, beeps(every=1.0, hertz=hertz)(times), 0).astype(np.float32)
        for packet in encoders.encode_audio(np.repeat(samples[:, None], 2, axis=1), position):
            output.write(packet)
    for packet in encoders.flush():
        output.write(packet)
    output.close()
    assert output.error is None
    return str(path)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    directory = tmp_path_factory.mktemp("films")
    return [write(directory / "red.mp4", RED, 1000), write(directory / "blue.webm", BLUE, 2000)]


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    directory = tmp_path_factory.mktemp("voices")
    return [write(directory / "ann.mp4", None, 1000), write(directory / "bob.webm", None, 2000)]


def run(spec: MergeSpec) -> list:
    merge, now, reports = Merge(spec), 10.0, []
    for _ in range(100_000):
        while (report := merge.next_report()) is not None:
            reports.append(report)
        if merge.is_done:
            break
        now = max(merge.tick(now=now), now + 0.01)
    assert merge.is_done
    merge.close()
    return reports


def channels(path: Path) -> np.ndarray:
    """(2, n) at 48 kHz."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=48_000)
        return np.concatenate(
            [part.to_ndarray() for f in container.decode(audio=0) for part in resampler.resample(f)], axis=1
        )


def onsets(samples: np.ndarray, hertz: float) -> list[float]:
    window = 240
    count = len(samples) // window
    times = np.arange(count * window) / 48_000
    mixed = (samples[: count * window] * np.exp(-2j * np.pi * hertz * times)).reshape(count, window)
    loud = 2 * np.abs(mixed.mean(axis=1)) > 0.15
    return [float(at) * window / 48_000 for at in np.flatnonzero(loud & ~np.r_[False, loud[:-1]])]


@pytest.mark.parametrize("file_format", ["mp4", "mp3", "webm"])
def test_speech_left_and_right_where_offsets_say(tmp_path: Path, voices: list[str], file_format: str) -> None:
    inputs = (MergeInput(voices[0], 0.0, 0), MergeInput(voices[1], 0.5, 1))
    reports = run(MergeSpec("M", str(tmp_path), "stereo", inputs, file_format))
    assert isinstance(reports[-1], Done), reports
    (file,) = reports[-1].files
    assert file.name == f"merged.{file_format}" and file.kind == "audio"
    assert file.duration == pytest.approx(3.5, abs=0.1)
    left, right = channels(tmp_path / file.name)
    assert onsets(left, 1000) == pytest.approx([1.0, 2.0], abs=0.03) and not onsets(left, 2000)
    assert onsets(right, 2000) == pytest.approx([1.5, 2.5], abs=0.03) and not onsets(right, 1000)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_side_by_side(tmp_path: Path, films: list[str]) -> None:
    inputs = (MergeInput(films[0], 0.0), MergeInput(films[1], 1.0))
    reports = run(MergeSpec("M", str(tmp_path), "grid", inputs))
    (file,) = reports[-1].files
    path = tmp_path / "merged.mp4"
    assert (file.width, file.height, file.kind) == (1280, 720, "audio-video") and outline(path).is_fast_start
    assert file.duration == pytest.approx(4.0, abs=0.1)
    for at, frame in pictures(path):
        assert is_near(color_at(frame, 0.25, 0.5), RED if at < 2.95 else (16, 128, 128)) or 2.95 <= at < 3.05
        if at > 1.05:
            assert is_near(color_at(frame, 0.75, 0.5), BLUE)
    assert beep_times(path) == pytest.approx([1.0, 2.0], abs=0.03)
    assert beep_times(path, 2000) == pytest.approx([2.0, 3.0], abs=0.03)
    assert any(isinstance(report, Progress) for report in reports)


def test_one_after_the_other(tmp_path: Path, films: list[str]) -> None:
    reports = run(MergeSpec("M", str(tmp_path), "concat", tuple(map(MergeInput, films))))
    (file,) = reports[-1].files
    path = tmp_path / "merged.mp4"
    assert (file.width, file.height) == (320, 180) and file.duration == pytest.approx(6.0, abs=0.15)
    for at, frame in pictures(path):
        if not 2.9 < at < 3.1:
            assert is_near(color_at(frame, 0.5, 0.5), RED if at < 3 else BLUE)
    assert beep_times(path) == pytest.approx([1.0, 2.0], abs=0.03)
    assert beep_times(path, 2000) == pytest.approx([4.0, 5.0], abs=0.06)


def test_sound_of_films_as_mp3(tmp_path: Path, films: list[str]) -> None:
    (file,) = run(MergeSpec("M", str(tmp_path), "concat", (MergeInput(films[0]),), "mp3"))[-1].files
    assert file.kind == "audio" and file.duration == pytest.approx(3.0, abs=0.1)
    assert probe(tmp_path / "merged.mp3").audio_codec.startswith("mp3")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [("a.mp4", b"no film", "a.mp4 cannot be read"), ("gone.mp4", None, "gone.mp4 does not exist")],
)
def test_a_bad_input_fails_in_words(
    tmp_path: Path, voices: list[str], name: str, data: bytes | None, words: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    inputs = (MergeInput(voices[0]), MergeInput(str(tmp_path / name)))
    (failed,) = run(MergeSpec("M", str(tmp_path), "stereo", inputs))
    assert isinstance(failed, Failed) and words in failed.text and str(tmp_path) not in failed.text
    assert not (tmp_path / "merged.mp4").exists()


def test_nothing_to_merge_and_films_without_sound(tmp_path: Path) -> None:
    assert "1 to 25 files" in run(MergeSpec("M", str(tmp_path), "grid", ()))[-1].text
    silent = tmp_path / "silent.mp4"
    with av.open(str(silent), "w") as container:
        stream = container.add_stream("libx264", rate=30, width=64, height=64, pix_fmt="yuv420p")
        for _ in range(30):
            container.mux(stream.encode(picture(64, 64, RED)))
        container.mux(stream.encode(None))
    spec = MergeSpec("M", str(tmp_path), "stereo", (MergeInput(str(silent)),))
    assert "silent.mp4 has no sound" in run(spec)[-1].text


def test_stopping_leaves_nothing(tmp_path: Path, voices: list[str]) -> None:
    merge = Merge(MergeSpec("M", str(tmp_path), "stereo", tuple(map(MergeInput, voices))))
    merge.tick(now=1.0)
    merge.receive_control(Stop(), now=2.0)
    assert merge.is_done and not list(tmp_path.iterdir())
