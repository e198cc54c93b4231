"""Files as a recording leaves them (fragments, live WebM) into files as players like them (index first, length known).

Nothing is encoded anew. The index gets its place at the head reserved, so that a long file is written once and not twice.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import deque
from pathlib import Path
from typing import Any

import av

from sfu.compose.boxes import outline
from sfu.compose.messages import Done, Failed, FileInfo, FinalizeSpec, Progress, Stop, Warned
from sfu.compose.probe import MediaInfo, UnreadableFile, open_input, probe

STEP_PACKETS = 2000  # a few milliseconds: a worker stays alive to its node
PROGRESS_INTERVAL = 1.0
SYNC_BYTES = 64 << 20  # written back in such pieces, or the last one would block for minutes
MOOV_BYTES = 16_384  # headers of the index, and
MOOV_SAMPLE_BYTES = 36  # of each sample: size 4, time 8, chunk 12, its place 8, keyframe 4; 13 were measured
CUES_BYTES, CUE_BYTES_A_SECOND = 4096, 64  # of a WebM's index
SPARE_BYTES = 4 << 20  # of disk, beyond the file itself


class Rewriting:
    """One file in steps: `step` until it says True. The original stays until the new one is whole; `close` when it is not
    to go on. UnreadableFile when nothing can be played; OSError (ENOSPC) when the disk has no room for a second one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._result: MediaInfo | None = None
        self._partial = path.with_name(f".{path.name}.partial")
        size = self._cut()
        # Raised before anything is written: what is there can be played as it is.
        if shutil.disk_usage(path.parent).free < size + SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._input = open_input(path)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _cut(self) -> int:
        """Without the fragment that was being written when its writer was killed: of no use to anybody."""
        if not self.path.is_file():
            raise UnreadableFile(f"{self.path.name} does not exist")
        size = self.path.stat().st_size
        self._samples = 0
        if self.path.suffix != ".webm":
            found = outline(self.path)
            self._samples = found.samples
            if found.is_fragmented and found.whole_bytes < size:
                os.truncate(self.path, found.whole_bytes)
        return size

    def _begin(self) -> None:
        webm = self.path.suffix == ".webm"
        length = self._input.size
        if webm:
            seconds = length / 4000  # sound at 32 kbit/s is the least
            options = {"reserve_index_space": str(CUES_BYTES + round(min(seconds, 90_000) * CUE_BYTES_A_SECOND / 16))}
        elif self._samples:
            options = {"moov_size": str(MOOV_BYTES + self._samples * MOOV_SAMPLE_BYTES)}
        else:
            options = {"movflags": "faststart"}
        self._output = av.open(str(self._partial), "w", format="webm" if webm else "mp4", options=options)
        streams = [stream for stream in self._input.streams if stream.type in ("video", "audio")]
        self._streams = {s.index: self._output.add_stream_from_template(s, opaque=True) for s in streams}
        if not streams:
            raise UnreadableFile(f"{self.path.name} has neither sound nor picture")
        self._packets = self._input.demux(streams)
        self._unsynced = self._copied = 0

    def step(self, packets: int = STEP_PACKETS) -> bool:
        """Copies some packets; True once the new file stands under the old name."""
        if self._result is not None:
            return True
        try:
            for _ in range(packets):
                if not self._copy_one():
                    self._end()
                    return True
        except (av.FFmpegError, OSError) as error:
            self.close()
            raise _plain(error) from None
        return False

    def _copy_one(self) -> bool:
        try:
            packet = next(self._packets, None)
        except av.FFmpegError:  # the end of a file that was cut off
            return False
        if packet is None:
            return False
        if packet.dts is not None:
            self._unsynced += packet.size
            self._copied += 1
            packet.stream = self._streams[packet.stream_index]
            self._output.mux(packet)
            if self._unsynced > SYNC_BYTES:
                self._unsynced = 0
                self._sync()
        return True

    def _sync(self) -> None:
        fd = os.open(self._partial, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _end(self) -> None:
        if not self._copied:
            self.close()
            raise UnreadableFile(f"{self.path.name} holds nothing: it ended before its first half second")
        self._output.close()
        self._input.close()
        self._sync()
        result = probe(self._partial)
        os.replace(self._partial, self.path)
        self._result = result

    @property
    def result(self) -> MediaInfo:
        assert self._result is not None
        return self._result

    def close(self) -> None:
        """The original stays; the copy goes, unless it is whole."""
        for container in (getattr(self, "_output", None), self._input):
            try:
                if container is not None:
                    container.close()
            except (av.FFmpegError, OSError):
                continue
        self._partial.unlink(missing_ok=True)


def _plain(error: Exception) -> OSError:
    """FFmpeg's errors name the path."""
    code = getattr(error, "errno", None) or errno.EIO
    return OSError(code, os.strerror(code) if code > 0 else "it cannot be rewritten")


def finalize_file(path: Path) -> MediaInfo:
    """Rewrites `path` at once, atomically. Errors as of `Rewriting`: then the file is as it was."""
    work = Rewriting(path)
    while not work.step():
        pass
    return work.result


class Finalizer:
    """Files one after the other. What cannot be rewritten stays as it is, and `warnings` says so."""

    def __init__(self, files: list[tuple[Path, float]]) -> None:
        """Paths, and Unix time of their beginnings."""
        self._waiting = deque(files)
        self._work: Rewriting | None = None
        self.warnings: list[str] = []
        self.done: list[FileInfo] = []

    def step(self) -> bool:
        """Some of the work; True when all is done."""
        if not self._waiting:
            return True
        path, start = self._waiting[0]
        try:
            if self._work is None:
                self._work = Rewriting(path)
            if not self._work.step():
                return False
            info: MediaInfo | None = self._work.result
        except UnreadableFile as error:
            self.warnings.append(str(error))
            info = None
        except OSError as error:
            self.warnings.append(f"{path.name} stays in fragments: {error.strerror}")
            info = _as_it_is(path)
        if info is not None:
            self.done.append(file_info(path, start, info))
        self._work = None
        self._waiting.popleft()
        return not self._waiting

    def close(self) -> None:
        if self._work is not None:
            self._work.close()
            self._work = None


def _as_it_is(path: Path) -> MediaInfo | None:
    try:
        return probe(path)
    except UnreadableFile:
        return None


def file_info(path: Path, start: float, info: MediaInfo) -> FileInfo:
    return FileInfo(path.name, start, info.duration, info.size, info.width, info.height, info.kind)


class Finalize:
    """`ports.Pipeline` that finalises the files of a killed worker. Takes no media. `FileInfo.start` of its files is 0: when
    they began is known to the node."""

    def __init__(self, spec: FinalizeSpec) -> None:
        directory = Path(spec.directory)
        self._finalizer = Finalizer([(directory / Path(name).name, 0.0) for name in spec.names])
        self._count = len(spec.names)
        self._reports: deque[Any] = deque()
        self._began: float | None = None
        self._reported = 0.0  # so that the first step is told of
        self._done = False

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        """There is no media."""

    def receive_control(self, message: Any, *, now: float) -> None:
        """Stop leaves the files that were not reached as they are."""
        if isinstance(message, Stop) and not self._done:
            self._finish()

    def tick(self, *, now: float) -> float:
        if self._done:
            return now + PROGRESS_INTERVAL
        self._began = now if self._began is None else self._began
        if self._finalizer.step():
            self._finish()
        elif now - self._reported >= PROGRESS_INTERVAL:
            self._reported = now
            self._reports.append(Progress(media_time=now - self._began))
        return now

    def _finish(self) -> None:
        self.close()
        self._done = True
        self._reports.extend(Warned(text) for text in self._finalizer.warnings)
        files = tuple(self._finalizer.done)
        if self._count and not files:
            text = self._finalizer.warnings[0] if self._finalizer.warnings else "nothing was finalised"
            self._reports.append(Failed(text))
        else:
            self._reports.append(Done(files))

    def next_report(self) -> Any | None:
        return self._reports.popleft() if self._reports else None

    def datagrams_to_send(self) -> list[bytes]:
        return []

    @property
    def is_done(self) -> bool:
        return self._done

    def close(self) -> None:
        self._finalizer.close()
