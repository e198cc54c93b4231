"""The outline of an MP4 file: whole, cut anywhere, and of things that are no MP4."""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pytest

from sfu.compose.boxes import outline


def box(kind: bytes, body: bytes = b"") -> bytes:
    return pack(">I4s", 8 + len(body), kind) + body


def fragment(samples: int, media: int = 100) -> bytes:
    run = box(b"trun", bytes(4) + pack(">I", samples))
    return box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", box(b"tfhd", bytes(8)) + run)) + box(
        b"mdat", bytes(media)
    )


HEAD = box(b"ftyp", b"isom") + box(b"moov", bytes(50))


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_whole_fragments_are_counted(tmp_path: Path) -> None:
    found = outline(written(tmp_path / "a", HEAD + fragment(15) + fragment(7)))
    assert found.names == ("ftyp", "moov", "moof", "mdat", "moof", "mdat")
    assert found.samples == 22 and found.is_fragmented and found.is_fast_start


def test_a_cut_anywhere_leaves_the_whole_fragments_before_it(tmp_path: Path) -> None:
    data = HEAD + fragment(15) + fragment(7)
    first, second = len(HEAD), len(HEAD + fragment(15))
    for length in range(len(data)):
        found = outline(written(tmp_path / "a", data[:length]))
        assert found.whole_bytes <= length
        if length >= second:
            assert (found.whole_bytes, found.samples) == (second, 15)
        elif length >= first:
            assert (found.whole_bytes, found.samples) == (first, 0)


def test_an_index_behind_the_media_is_no_fast_start(tmp_path: Path) -> None:
    found = outline(written(tmp_path / "a", box(b"ftyp") + box(b"mdat", bytes(9)) + box(b"moov")))
    assert not found.is_fast_start and not found.is_fragmented


def test_sizes_of_64_bits_and_to_the_end_are_read(tmp_path: Path) -> None:
    large = pack(">I4sQ", 1, b"mdat", 16 + 5) + bytes(5)
    found = outline(written(tmp_path / "a", HEAD + large + pack(">I4s", 0, b"free") + bytes(33)))
    assert found.names == ("ftyp", "moov", "mdat", "free") and found.whole_bytes == len(HEAD) + 21 + 41


@pytest.mark.parametrize(
    "data", [b"", b"\0", bytes(100), b"\xff" * 100, b"hello world, this is text", pack(">I4s", 4, b"ftyp")]
)
def test_what_is_no_mp4_has_no_boxes(tmp_path: Path, data: bytes) -> None:
    assert outline(written(tmp_path / "a", data)).names == ()
