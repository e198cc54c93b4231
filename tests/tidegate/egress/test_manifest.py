"""The note of a job's files."""

from sfu.compose.messages import FileInfo
from tidegate.egress import manifest
from tidegate.egress.run import MadeFile


def test_what_was_noted_is_read_again_wherever_the_folder_is(tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    files = (
        MadeFile(folder / "1" / "recording.mp4", FileInfo("recording.mp4", 1.5, 2.5, 10, 1280, 720)),
        MadeFile(folder / "2" / "a.webm", FileInfo("a.webm", 9.0, 1.0, 5, kind="audio", track_id="TR_1")),
    )
    manifest.save(folder, files)
    assert manifest.load(folder) == files
    moved = folder.rename(tmp_path / "moved")
    assert manifest.load(moved)[0].path == moved / "1" / "recording.mp4"


def test_no_files_are_other_than_no_note(tmp_path):
    assert manifest.load(tmp_path) is None
    manifest.save(tmp_path, ())
    assert manifest.load(tmp_path) == ()


def test_half_a_note_is_none(tmp_path):
    (tmp_path / manifest.NAME).write_text('[{"path": "1/a.mp4", "inf')
    assert manifest.load(tmp_path) is None
