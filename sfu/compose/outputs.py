"""Containers that encoded packets go into: fragmented MP4, WebM, and FLV into a descriptor. One packet goes to many.

No output ever waits or raises: what breaks (no space, nobody reads) ends that output, and `error` says why.
"""

from __future__ import annotations

import io
import os
from collections import deque
from fractions import Fraction
from pathlib import Path

import av

from sfu.compose.audio import RATE
from sfu.compose.encoder import Encoded, Encoders

FRAGMENT_US = 500_000  # what a killed worker loses at most, and when the first bytes of media are on disk
CLUSTER_MS = 1000
FLV_BUFFER_SECONDS = 4.0  # of the stream's bit rate: what a busy node may be behind; then packets go until a keyframe
FLV_BUFFER_MIN = 1 << 20  # bytes
MP4_OPTIONS = {
    "movflags": "empty_moov+default_base_moof+frag_keyframe",
    "frag_duration": str(FRAGMENT_US),
    "flush_packets": "1",
}
WEBM_OPTIONS = {"cluster_time_limit": str(CLUSTER_MS), "flush_packets": "1"}
FORMATS = {".mp4": ("mp4", MP4_OPTIONS), ".webm": ("webm", WEBM_OPTIONS), ".mp3": ("mp3", {})}
FLV_OPTIONS = {"flvflags": "no_duration_filesize", "flush_packets": "1"}


class FileWriter(io.RawIOBase):
    """Writes at once, without a buffer of its own: a fragment that FFmpeg let go of outlives our SIGKILL.

    An error stays in `error` and what follows is forgotten, because FFmpeg must not see exceptions from below.
    """

    def __init__(self, path: Path, *, seekable: bool = False) -> None:
        self._file = open(path, "wb", buffering=0)
        self._seekable = seekable
        self.written = 0
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        """False makes FFmpeg write as for a live stream, whole at each fragment or cluster."""
        return self._seekable

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        try:
            while len(view) and self.error is None:
                count = self._file.write(view)
                self.written += count
                view = view[count:]
        except OSError as error:
            self.error = error
        return len(data)

    def close(self) -> None:
        if not self.closed:
            try:
                self._file.close()
            except OSError as error:
                self.error = self.error or error
        super().close()


class PipeWriter(io.RawIOBase):
    """Hands bytes to a non-blocking descriptor as fast as it takes them; the rest waits, whoever writes looks at `pending`."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._queue: deque[memoryview] = deque()
        self.pending = 0
        self.written = 0
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: bytes) -> int:
        if self.error is None:
            self._queue.append(memoryview(data))
            self.pending += len(data)
            self.drain()
        return len(data)

    def drain(self) -> None:
        """Writes what the descriptor takes now."""
        try:
            while self._queue and self.error is None:
                count = os.write(self._fd, self._queue[0])
                self.pending -= count
                self.written += count
                if count < len(self._queue[0]):
                    self._queue[0] = self._queue[0][count:]
                else:
                    self._queue.popleft()
        except BlockingIOError:
            return
        except OSError as error:
            self.error = error
            self._queue.clear()
            self.pending = 0

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


class Output:
    """One container. `name` is for people; `path` is None where it is no file."""

    def __init__(
        self, name: str, writer: FileWriter | PipeWriter, form: str, options: dict[str, str], encoders: Encoders
    ) -> None:
        self.name = name
        self.path: Path | None = None
        self._writer = writer
        self._closed = False
        self._failure: str | None = None
        self._container = av.open(writer, "w", format=form, options=options)
        self._video = encoders.video and self._container.add_stream_from_template(encoders.video, opaque=True)
        self._audio = self._container.add_stream_from_template(encoders.audio, opaque=True)
        self._ticks = {True: encoders.time_base, False: Fraction(1, RATE)}
        self._container.start_encoding()

    @property
    def bytes_written(self) -> int:
        return self._writer.written

    @property
    def error(self) -> str | None:
        """Why this output has ended, in words without paths."""
        if self._writer.error is not None:
            return os.strerror(self._writer.error.errno or 0) if self._writer.error.errno else "it cannot be written"
        return self._failure

    def write(self, packet: Encoded) -> None:
        if self._closed or self.error is not None:
            return
        stream = self._video if packet.is_video else self._audio
        copy = av.Packet(packet.data)
        copy.pts = copy.dts = packet.pts
        copy.duration = packet.duration
        copy.time_base = self._ticks[packet.is_video]
        copy.is_keyframe = packet.keyframe
        copy.stream = stream
        try:
            self._container.mux(copy)
        except (av.FFmpegError, ValueError) as error:
            self._failure = type(error).__name__

    def finish(self) -> bool:
        """Ends the container; to be called again until True, which is when nothing waits to be taken."""
        if not self._closed:
            self._closed = True
            try:
                self._container.close()
            except (av.FFmpegError, ValueError) as error:
                self._failure = self._failure or type(error).__name__
        return True

    def close(self) -> None:
        """Lets go of the file, whatever it looks like."""
        self.finish()
        self._writer.close()


class FileOutput(Output):
    """Fragmented MP4 or WebM: playable to the last fragment at any moment, without an index or a length. MP3 as it is."""

    def __init__(self, path: Path, encoders: Encoders) -> None:
        form, options = FORMATS[path.suffix]
        super().__init__(path.name, FileWriter(path, seekable=form == "mp3"), form, options, encoders)
        self.path = path


class FlvOutput(Output):
    """FLV tags into a descriptor. While nobody takes them, `FLV_BUFFER_SECONDS` wait; then whole packets are left out, until
    a keyframe comes and half of the buffer is free again: what goes out can always be decoded."""

    def __init__(self, fd: int, encoders: Encoders) -> None:
        self._pipe = PipeWriter(fd)
        rates = [stream.codec_context.bit_rate for stream in (encoders.video, encoders.audio) if stream]
        self._limit = max(FLV_BUFFER_MIN, round(sum(rates) / 8 * FLV_BUFFER_SECONDS))
        self._skipping = False
        self._has_video = encoders.video is not None
        self.packets_dropped = 0
        super().__init__("broadcast", self._pipe, "flv", FLV_OPTIONS, encoders)

    def write(self, packet: Encoded) -> None:
        self._pipe.drain()
        if self._pipe.pending > self._limit:
            self._skipping = True
        elif self._skipping and self._pipe.pending <= self._limit // 2:
            self._skipping = not (packet.is_video and packet.keyframe) and self._has_video
        if self._skipping:
            self.packets_dropped += 1
        else:
            super().write(packet)

    def finish(self) -> bool:
        super().finish()
        self._pipe.drain()
        return self._pipe.pending == 0
