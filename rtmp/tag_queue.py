"""What one connection is still to be sent: begins at a keyframe, from time 0, and is bounded.

Policy when full: the video that waits is dropped, and what follows up to the next keyframe; if that is not enough, the oldest
sound. Sequence headers are never dropped.
"""

from __future__ import annotations

from collections import deque

from rtmp.flv import FlvTag
from rtmp.program import OnAir


class TagQueue:
    """Tags of a program in, tags of a connection out. Payloads are shared, never copied."""

    def __init__(self, *, max_bytes: int, max_seconds: float) -> None:
        self.frames_dropped = 0  # pictures; of a program without any, sound
        self._has_video = True
        self._max_bytes = max_bytes
        self._max_ms = int(max_seconds * 1000)
        self._tags: deque[FlvTag] = deque()
        self._bytes = 0
        self._base_ms: int | None = None  # None before the first keyframe
        self._skipping = False  # to the next keyframe
        self._configured: tuple[FlvTag, ...] = ()  # the headers this connection has or will be sent

    def __len__(self) -> int:
        return len(self._tags)

    def put(self, tag: FlvTag, on_air: OnAir) -> None:
        """Whatever comes before the first keyframe (of sound alone: before the first sound) is not for this connection."""
        self._has_video = on_air.has_video
        begins = tag.is_keyframe if self._has_video else tag.is_audio and not tag.is_sequence_header
        if self._base_ms is None:
            if not begins:
                return
            self._base_ms = tag.timestamp_ms
        if begins:
            self._skipping = False
            self._configure(tag, on_air.headers)
        if _is_header(tag):
            self._configure(tag, on_air.headers)
        elif self._skipping and tag.is_video:
            self.frames_dropped += 1
        else:
            self._append(tag)
            if self._is_full():
                self._shed()

    def get(self) -> FlvTag | None:
        """The next tag, its time counted from the connection's first keyframe."""
        if not self._tags:
            return None
        tag = self._tags.popleft()
        self._bytes -= len(tag.data)
        assert self._base_ms is not None
        return FlvTag(tag.type, max(0, tag.timestamp_ms - self._base_ms), tag.data)

    def _configure(self, tag: FlvTag, headers: tuple[FlvTag, ...]) -> None:
        """Queue the headers that are new, at the time of the tag that needs them."""
        for header in headers:
            if not any(header is known for known in self._configured):
                self._append(FlvTag(header.type, tag.timestamp_ms, header.data))
        self._configured = headers

    def _append(self, tag: FlvTag) -> None:
        self._tags.append(tag)
        self._bytes += len(tag.data)

    def _is_full(self) -> bool:
        span = self._tags[-1].timestamp_ms - self._tags[0].timestamp_ms
        return self._bytes > self._max_bytes or span > self._max_ms

    def _shed(self) -> None:
        if any(_is_picture(tag) for tag in self._tags):
            self._keep([tag for tag in self._tags if not _is_picture(tag)])
            self._skipping = True
        newest = self._tags[-1].timestamp_ms if self._tags else 0
        excess = self._bytes - self._max_bytes
        kept = []
        for tag in self._tags:
            if not _is_header(tag) and (excess > 0 or newest - tag.timestamp_ms > self._max_ms):
                excess -= len(tag.data)
            else:
                kept.append(tag)
        if len(kept) < len(self._tags):
            self._keep(kept)

    def _keep(self, tags: list[FlvTag]) -> None:
        dropped = len(self._tags) - len(tags)
        pictures = sum(map(_is_picture, self._tags)) - sum(map(_is_picture, tags))
        self.frames_dropped += pictures if self._has_video else dropped
        self._tags = deque(tags)
        self._bytes = sum(len(tag.data) for tag in tags)


def _is_header(tag: FlvTag) -> bool:
    return tag.is_metadata or tag.is_sequence_header


def _is_picture(tag: FlvTag) -> bool:
    return tag.is_video and not tag.is_sequence_header
