"""What is on air: an encoder's FLV stream on one timeline, and what a decoder needs before its first frame.

Here: the timeline that goes on when the encoder begins anew, the latest metadata and sequence headers. Not here: bytes (`flv`),
what one target still has to be sent (`tag_queue`).
"""

from __future__ import annotations

from dataclasses import dataclass

from media.seq import Unwrapper
from rtmp.flv import TAG_AUDIO, TAG_SCRIPT, TAG_VIDEO, FlvReader, FlvTag


@dataclass(frozen=True, slots=True)
class OnAir:
    """What is in force at a tag; another object when it changes."""

    has_video: bool = True
    headers: tuple[FlvTag, ...] = ()  # metadata, then sequence headers, as the stream had them last


def _header_order(tag: FlvTag) -> int:
    return (TAG_SCRIPT, TAG_VIDEO, TAG_AUDIO).index(tag.type)


class Program:
    """FLV bytes -> tags whose timestamps go on over restarts of the source, as plain ints."""

    def __init__(self) -> None:
        self._on_air = OnAir()
        self._reader = FlvReader()
        self._unwrapper = Unwrapper(32)
        self._offset: int | None = None  # from the source's timestamps to ours; None before its first tag
        self._last_ms = 0
        self._last_at: float | None = None

    def receive_data(self, data: bytes, *, now: float) -> list[tuple[FlvTag, OnAir]]:
        """The tags that `data` completes, each with what is in force at it. ParseError when it is no FLV: then `restart`."""
        tags = self._reader.receive_data(data)
        has_video = bool(self._reader.has_video)
        placed = []
        for tag in tags:
            self._place(tag, now)
            headers = self._on_air.headers
            if tag.is_metadata or tag.is_sequence_header:
                others = [header for header in headers if header.type != tag.type]
                headers = tuple(sorted((tag, *others), key=_header_order))
            if headers is not self._on_air.headers or has_video is not self._on_air.has_video:
                self._on_air = OnAir(has_video, headers)
            placed.append((tag, self._on_air))
        return placed

    def restart(self) -> None:
        """The source begins anew, with a file header and its own time 0; what it was amid is forgotten."""
        self._reader = FlvReader()
        self._unwrapper = Unwrapper(32)
        self._offset = None
        self._on_air = OnAir()

    def _place(self, tag: FlvTag, now: float) -> None:
        timestamp = self._unwrapper.unwrap(tag.timestamp_ms)
        if self._offset is None:
            # A new source goes on where the old one would be by now.
            begin = 0 if self._last_at is None else self._last_ms + max(1, round((now - self._last_at) * 1000))
            self._offset = begin - timestamp
        tag.timestamp_ms = max(0, timestamp + self._offset)
        self._last_ms, self._last_at = max(self._last_ms, tag.timestamp_ms), now
