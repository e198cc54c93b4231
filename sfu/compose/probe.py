"""What a finished or cut-off media file holds: length, size, streams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av


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


def open_input(path: Path) -> av.container.InputContainer:
    """UnreadableFile, without FFmpeg's own words: they hold the path."""
    if not path.is_file():
        raise UnreadableFile(f"{path.name} does not exist")
    try:
        return av.open(str(path))
    except (av.FFmpegError, ValueError):
        raise UnreadableFile(f"{path.name} cannot be read: it is no media file, or nothing of it was written") from None


def probe(path: Path) -> MediaInfo:
    """UnreadableFile when nothing can be played. A file without a length of its own is read once through."""
    with open_input(path) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        if video is None and audio is None:
            raise UnreadableFile(f"{path.name} has neither sound nor picture")
        duration = container.duration / av.time_base if container.duration else _last_time(container)
        return MediaInfo(
            duration=duration,
            size=path.stat().st_size,
            width=video.width if video else None,
            height=video.height if video else None,
            kind="audio-video" if video and audio else "video" if video else "audio",
            video_codec=video.codec_context.name if video else None,
            audio_codec=audio.codec_context.name if audio else None,
        )


def _last_time(container: av.container.InputContainer) -> float:
    end = 0.0
    try:
        for packet in container.demux():
            if packet.pts is not None and packet.time_base:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except av.FFmpegError:  # a cut end
        return end
    return end
