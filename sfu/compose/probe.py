"""What a finished or cut-off media file holds: length, size, streams; and its boxes, where it is MP4."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """`kind` as in `messages.FileInfo`; `duration` in seconds, of the longest stream."""

    duration: float
    size: int
    width: int | None
    height: int | None
    kind: Literal["audio", "video", "audio-video"]
    video_codec: str | None
    audio_codec: str | None


class UnreadableFile(Exception):
    """Nothing can be played from it; the text is for people and names no path but the file's own name."""


def probe(path: Path) -> MediaInfo:
    """UnreadableFile when nothing can be played."""
    raise NotImplementedError
