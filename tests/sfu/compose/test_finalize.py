"""Fragmented files into fast-start ones: whole, cut anywhere, without room, and what is no media at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import pytest

from sfu.compose import finalize as finalize_module
from sfu.compose.boxes import outline
from sfu.compose.finalize import Finalize, Rewriting, finalize_file
from sfu.compose.messages import Done, Failed, FinalizeSpec, Progress, Stop, Warned
from sfu.compose.outputs import FileOutput
from sfu.compose.probe import UnreadableFile, probe
from tests.sfu.compose.test_outputs import Media, counted, put


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds as MP4 and WebM, not finalised."""
    directory = tmp_path_factory.mktemp("originals")
    for family, name in (("h264", "a.mp4"), ("webm", "a.webm")):
        media = Media(family, bps=500_000)
        output = FileOutput(directory / name, media.encoders)
        put(media, 6, output)
        output.close()
    return directory


@pytest.fixture
def files(originals: Path, tmp_path: Path) -> Path:
    for path in originals.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def test_an_mp4_gets_its_index_in_front_and_loses_nothing(files: Path) -> None:
    before = counted(files / "a.mp4")
    info = finalize_file(files / "a.mp4")
    found = outline(files / "a.mp4")
    assert found.is_fast_start and not found.is_fragmented and found.names.count("mdat") == 1
    assert counted(files / "a.mp4") == before == (180, 6)
    assert info.duration == pytest.approx(6.0, abs=0.05) and info.kind == "audio-video"
    assert (info.width, info.height, info.size) == (320, 180, (files / "a.mp4").stat().st_size)


def test_a_webm_gets_length_and_cues(files: Path) -> None:
    with av.open(str(files / "a.webm")) as container:
        assert container.duration is None
    finalize_file(files / "a.webm")
    with av.open(str(files / "a.webm")) as container:
        assert container.duration / av.time_base == pytest.approx(6.0, abs=0.05)
        container.seek(4_100_000)
        assert next(container.decode(video=0)).time == pytest.approx(
            4.0, abs=0.05
        )  # straight to a keyframe, by its cue
    assert b"\x1c\x53\xbb\x6b" in (files / "a.webm").read_bytes()[:8192]  # Cues, in front of the media
    assert counted(files / "a.webm") == (180, 6)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_doing_it_twice_changes_nothing(files: Path, name: str) -> None:
    first = finalize_file(files / name)
    second = finalize_file(files / name)
    assert second.duration == pytest.approx(first.duration, abs=0.01)
    assert counted(files / name) == (180, 6)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.parametrize("part", [0.3, 0.55, 0.9, 0.999])
def test_a_cut_file_becomes_a_whole_one_as_far_as_it_goes(files: Path, name: str, part: float) -> None:
    path = files / name
    os.truncate(path, int(path.stat().st_size * part))
    info = finalize_file(path)
    pictures, _ = counted(path)
    assert 6 * part - 1.2 < info.duration <= 6.05
    assert pictures == pytest.approx(info.duration * 30, abs=3)
    assert outline(path).is_fast_start or name == "a.webm"


@pytest.mark.parametrize("data", [b"", b"nothing of the kind" * 100, bytes(5000)])
@pytest.mark.parametrize("name", ["b.mp4", "b.webm"])
def test_what_is_no_media_is_refused_in_words_and_left(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableFile) as error:
        finalize_file(tmp_path / name)
    assert str(tmp_path) not in str(error.value) and name in str(error.value)
    assert (tmp_path / name).read_bytes() == data and len(list(tmp_path.iterdir())) == 1


def test_a_file_that_never_got_a_fragment_is_refused(files: Path) -> None:
    path = files / "a.mp4"
    os.truncate(path, 1200)
    with pytest.raises(UnreadableFile):
        finalize_file(path)
    assert path.exists()


def test_the_original_stays_until_the_new_one_is_whole(files: Path) -> None:
    path = files / "a.mp4"
    before = path.read_bytes()
    work = Rewriting(path)
    assert not work.step(packets=50)
    assert path.read_bytes() == before
    work.close()
    assert path.read_bytes() == before and sorted(p.name for p in files.iterdir()) == ["a.mp4", "a.webm"]


def test_without_room_the_fragments_stay(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(100 << 20, 99 << 20, 1 << 20)
    monkeypatch.setattr(finalize_module.shutil, "disk_usage", lambda path: usage)
    work = run(Finalize(FinalizeSpec("F", str(files), ("a.mp4",))))
    warnings = [report for report in work if isinstance(report, Warned)]
    assert len(warnings) == 1 and "a.mp4 stays in fragments: No space left on device" == warnings[0].text
    assert work[-1].files[0].duration == pytest.approx(6.0, abs=0.1)
    assert outline(files / "a.mp4").is_fragmented and counted(files / "a.mp4") == (180, 6)


def run(pipeline: Finalize) -> list:
    now, reports = 100.0, []
    for _ in range(100_000):
        if pipeline.is_done:
            break
        now = max(pipeline.tick(now=now), now + 0.01)
        while (report := pipeline.next_report()) is not None:
            reports.append(report)
    assert pipeline.is_done
    pipeline.close()
    return reports


def test_the_pipeline_finalises_all_and_names_what_it_could_not(files: Path) -> None:
    (files / "broken.mp4").write_bytes(b"broken")
    reports = run(Finalize(FinalizeSpec("F", str(files), ("a.mp4", "broken.mp4", "gone.mp4", "a.webm"))))
    assert isinstance(reports[-1], Done) and any(isinstance(report, Progress) for report in reports)
    assert [file.name for file in reports[-1].files] == ["a.mp4", "a.webm"]
    assert sum(isinstance(report, Warned) for report in reports) == 2
    assert probe(files / "a.mp4").duration == pytest.approx(6.0, abs=0.05)


def test_when_nothing_can_be_played_it_fails(tmp_path: Path) -> None:
    (reports := run(Finalize(FinalizeSpec("F", str(tmp_path), ("../a.mp4",)))))
    assert isinstance(reports[-1], Failed) and "a.mp4 does not exist" in reports[-1].text


def test_stopping_leaves_the_rest_as_it_is(files: Path) -> None:
    before = (files / "a.mp4").read_bytes()
    work = Finalize(FinalizeSpec("F", str(files), ("a.mp4", "a.webm")))
    work.receive_control(Stop(), now=1.0)
    assert work.is_done and (files / "a.mp4").read_bytes() == before
