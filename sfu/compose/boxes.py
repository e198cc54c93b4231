"""The outermost boxes of an MP4 file: where a killed writer's last whole fragment ends, and how many samples there are.

ISO/IEC 14496-12 sections 4.2 (Box), 8.8.8 (TrackRunBox). FFmpeg reads and writes everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO

HEAD = Struct(">I4s")
LARGE = Struct(">Q")
TRUN_COUNT_AT = 12  # size, type, version and flags before it
MAX_MOOF = 16 << 20  # bounds what a hostile file makes us read at once


@dataclass(frozen=True, slots=True)
class Box:
    type: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Outline:
    """`names` in the file's order. `whole_bytes`: up to here every fragment is whole."""

    names: tuple[str, ...]
    whole_bytes: int
    samples: int

    @property
    def is_fragmented(self) -> bool:
        return "moof" in self.names

    @property
    def is_fast_start(self) -> bool:
        """The index stands before the media."""
        return "moov" in self.names and (
            "mdat" not in self.names or self.names.index("moov") < self.names.index("mdat")
        )


def outline(path: Path) -> Outline:
    """Of any file: what is no MP4 has no names."""
    names: list[str] = []
    whole = samples = waiting = 0
    with path.open("rb") as file:
        for box in _boxes(file, 0, path.stat().st_size):
            names.append(box.type)
            if box.type == "moof":  # belongs to the media data behind it
                waiting = _samples(file, box)
                continue
            samples += waiting
            waiting = 0
            whole = box.offset + box.size
    return Outline(tuple(names), whole, samples)


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[Box]:
    """Whole ones only."""
    while begin + HEAD.size <= end:
        file.seek(begin)
        size, kind = HEAD.unpack(file.read(HEAD.size))
        if size == 1:
            large = file.read(LARGE.size)
            size = LARGE.unpack(large)[0] if len(large) == LARGE.size else 0
        elif size == 0:
            size = end - begin  # "box extends to end of file"
        if size < HEAD.size or begin + size > end or not kind.isalnum():
            return
        yield Box(kind.decode("ascii", "replace"), begin, size)
        begin += size


def _samples(file: BinaryIO, moof: Box) -> int:
    """Samples of a fragment: `sample_count` of all its runs."""
    if moof.size > MAX_MOOF:
        return 0
    total = 0
    for traf in _boxes(file, moof.offset + HEAD.size, moof.offset + moof.size):
        if traf.type != "traf":
            continue
        for run in _boxes(file, traf.offset + HEAD.size, traf.offset + traf.size):
            if run.type == "trun" and run.size >= TRUN_COUNT_AT + 4:
                file.seek(run.offset + TRUN_COUNT_AT)
                total += int.from_bytes(file.read(4), "big")
    return total
