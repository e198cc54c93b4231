"""A media worker: what runs in the child process. `python -m tidegate.workers.worker`, started by `process.py`.

Standard input: the spec on the first line, then controls; standard output: reports; one SOCK_SEQPACKET descriptor with packets, one with the FLV
stream. The end of standard input or of the packets means that the node is dead: the pipeline is stopped well, then so are we.

One thread turns the loop and runs the pipeline. A second one only says that we live: finalising a long file may keep the first
for minutes, and the node tells by `stalled` which of both it is. It also ends us when the node is dead and the pipeline hangs.
"""

from __future__ import annotations

import argparse
import errno
import faulthandler
import importlib
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from media.errors import ParseError
from media.wire import MAX_LINE
from sfu.compose import messages
from sfu.compose.ports import Pipeline
from tidegate.workers.messages import CONTROLS, SPECS, Heartbeat, Ready
from tidegate.workers.output import LogToNode, Output

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL = 1.0
PACKET_INTERVAL = 0.01  # seconds between looks at packets while they come: waking us for each would cost the node 10 us a packet
MAX_IDLE = 0.5  # seconds; the longest sleep, whatever a pipeline says
MAX_DATAGRAM = 2048  # above any path's MTU
PACKETS, LINES = 512, 512  # of one turn; a meeting of many is told in one
READ = 1 << 16  # bytes of standard input at once
STOOD_STILL = 1.0  # seconds between two turns: longer than any sleep. A disk hung, or the machine did
CATCH_UP = 0.5  # seconds at most, for what the node kept for us meanwhile, and
CATCH_UP_PAUSE = 0.01  # between looks: the socket holds little, and the node fills it again
ORPHAN_TIMEOUT = 60.0  # seconds that a pipeline may take to end well when the node is dead
LAST_REPORTS = 10.0  # seconds for the node to read them

Factory = Callable[[Any, int | None], Pipeline]


def make_pipeline(spec: Any, flv_fd: int | None) -> Pipeline:
    """What `spec` asks for. Imported here: a recorder needs no encoder."""
    now = time.monotonic()
    match spec:
        case messages.CompositionSpec():
            from sfu.compose.pipeline import Composition

            return Composition(spec, flv_fd, wall=time.time, now=now)
        case messages.TrackFileSpec():
            from sfu.compose.recorder import TrackFiles

            return TrackFiles(spec, wall=time.time, now=now)
        case messages.MergeSpec():
            from sfu.compose.merge import Merge

            return Merge(spec)
        case messages.FinalizeSpec():
            from sfu.compose.finalize import Finalize

            return Finalize(spec)
    raise AssertionError(type(spec))


def load_libraries() -> None:
    """What takes long, before it is needed; and FFmpeg's words go to standard error, which the node reads."""
    import av.logging

    for name in ("pipeline", "recorder", "merge", "finalize"):
        importlib.import_module(f"sfu.compose.{name}")
    # PyAV's own callback takes the GIL from FFmpeg's threads, which can deadlock; FFmpeg's does not.
    av.logging.set_libav_level(av.logging.WARNING)
    av.logging.restore_default_callback()


class Inbox:
    """Standard input as lines, without blocking."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._data = bytearray()
        self.is_ended = False
        os.set_blocking(fd, False)

    def next_line(self) -> bytes | None:
        """A line with its end; None when there is none yet."""
        while True:
            end = self._data.find(b"\n")
            if end >= 0:
                line = bytes(self._data[: end + 1])
                del self._data[: end + 1]
                return line
            if self.is_ended:
                return None
            try:
                data = os.read(self._fd, READ)
            except BlockingIOError:
                return None
            if not data or len(self._data) > MAX_LINE:  # the node writes no such line
                self.is_ended = True
            self._data += data


class Runner:
    """The loop of one worker, from its spec to the end of its pipeline."""

    def __init__(self, packets: socket.socket, flv_fd: int, output: Output, stdin_fd: int = 0) -> None:
        self._output = output
        self._packets = packets
        self._flv_fd = flv_fd
        self._inbox = Inbox(stdin_fd)
        self._selector = selectors.DefaultSelector()
        self._pipeline: Pipeline | None = None
        self._stopping = False
        self._node_is_dead = False
        self._has_more = False
        self._is_quiet = False  # no packets come, so that the next one may wake us
        self.turned_at = time.monotonic()
        self.orphaned_at: float | None = None
        self._packets.setblocking(False)
        self._selector.register(stdin_fd, selectors.EVENT_READ)
        self._stdin_fd = stdin_fd
        self._wake_up, wake_up = socket.socketpair()  # signals interrupt the sleep
        for sock in (self._wake_up, wake_up):
            sock.setblocking(False)
        self._wake_up_writer = wake_up
        self._selector.register(self._wake_up, selectors.EVENT_READ)
        signal.set_wakeup_fd(wake_up.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self._request_stop())

    def run(self, factory: Factory) -> int:
        """The exit code: 0 when everything was said that there is to say."""
        try:
            spec = self._wait_for_spec()
            if spec is None:
                return 0
            flv = getattr(spec, "flv", False)
            if not flv:
                os.close(self._flv_fd)
            self._pipeline = factory(spec, self._flv_fd if flv else None)
            self._run_pipeline(self._pipeline)
            return 0
        except Exception as error:
            log.exception("the pipeline failed")
            self._output.say(messages.Failed(words_for(error)))
            return 1
        finally:
            self._close_pipeline()
            self._output.finish(LAST_REPORTS)

    def _wait_for_spec(self) -> Any:
        while not self._stopping:
            self.turned_at = time.monotonic()
            line = self._inbox.next_line()
            if line is not None:
                return SPECS.parse(line)
            if self._inbox.is_ended:
                return None
            self._sleep(MAX_IDLE)
        return None

    def _run_pipeline(self, pipeline: Pipeline) -> None:
        told_stop = False
        batch: list[bytes] = []
        due = time.monotonic()
        while not pipeline.is_done:
            stood_still = time.monotonic() - self.turned_at > STOOD_STILL
            now = self.turned_at = time.monotonic()
            if stood_still:
                batch += self._catch_up()
            # Packets are read before lines and handed on after all of them: whatever the node wrote before a packet is known by then.
            batch = batch or self._read_packets()
            moved = self._receive_controls(pipeline, now)
            busy = bool(batch)
            if not self._has_more:
                for data in batch:
                    pipeline.receive_datagram(data, now=now)
                batch = []
            if self._stopping and not told_stop and not self._has_more:
                told_stop = moved = True
                pipeline.receive_control(messages.Stop(), now=now)
            if moved or now >= due:
                due = pipeline.tick(now=now)
            self._drain(pipeline)
            if not pipeline.is_done:
                self._sleep_until(due, busy)
        self._drain(pipeline)

    def _sleep_until(self, due: float, busy: bool) -> None:
        """Until something is to be done. While packets come they wait for us in the socket, at most `PACKET_INTERVAL`."""
        if busy == self._is_quiet and not self._node_is_dead:
            self._is_quiet = not busy
            if self._is_quiet:
                self._selector.register(self._packets, selectors.EVENT_READ)
            else:
                self._selector.unregister(self._packets)
        longest = PACKET_INTERVAL if busy or self._output.is_waiting else MAX_IDLE
        self._sleep(0.0 if self._has_more else min(longest, due - time.monotonic()))

    def _sleep(self, timeout: float) -> None:
        for key, _ in self._selector.select(max(0.0, timeout)):
            if key.fileobj is self._wake_up:
                self._wake_up.recv(64)

    def _read_packets(self) -> list[bytes]:
        batch: list[bytes] = []
        if self._node_is_dead:
            return batch
        recv = self._packets.recv
        try:
            while len(batch) < PACKETS:
                data = recv(MAX_DATAGRAM)
                if not data:
                    self._notice_death()
                    break
                batch.append(data)
        except BlockingIOError:
            pass
        except OSError:
            self._notice_death()
        return batch

    def _catch_up(self) -> list[bytes]:
        """Packets that waited for us, all of them at once: a pipeline takes what has not come by now for lost."""
        batch: list[bytes] = []
        deadline = time.monotonic() + CATCH_UP
        while time.monotonic() < deadline and (more := self._read_packets()):
            batch += more
            if len(more) < PACKETS:
                time.sleep(CATCH_UP_PAUSE)
        return batch

    def _receive_controls(self, pipeline: Pipeline, now: float) -> bool:
        """True when there was one."""
        moved = self._has_more = False
        for _ in range(LINES):
            line = self._inbox.next_line()
            if line is None:
                if self._inbox.is_ended:
                    self._notice_death()
                return moved
            moved = True
            try:
                control = CONTROLS.parse(line)
            except ParseError as error:
                log.error("not a control: %s", error)
                continue
            if isinstance(control, messages.Stop):
                self._request_stop()
            else:
                pipeline.receive_control(control, now=now)
        self._has_more = True  # in our hands, where no descriptor tells of them
        return moved

    def _drain(self, pipeline: Pipeline) -> None:
        while (report := pipeline.next_report()) is not None:
            self._output.say(report)
        for data in pipeline.datagrams_to_send():
            try:
                self._packets.send(data)
            except OSError:  # full: the node is behind, and whoever wants a keyframe asks again; dead: noticed by reading
                break
        if self._output.is_waiting:
            self._output.flush()

    def _request_stop(self) -> None:
        self._stopping = True

    def _notice_death(self) -> None:
        """Nobody is there any more: what has come is brought home, nothing else comes."""
        if not self._node_is_dead:
            self._node_is_dead = True
            self.orphaned_at = time.monotonic()
            self._selector.unregister(self._stdin_fd)
            if self._is_quiet:
                self._selector.unregister(self._packets)
            self._request_stop()

    def _close_pipeline(self) -> None:
        if self._pipeline is not None:
            try:
                self._pipeline.close()
            except Exception:
                log.exception("the pipeline could not be closed")


def words_for(error: Exception) -> str:
    """What people are told; the rest is in the log."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.ENOENT):
        return "the folder of the files cannot be written"
    if isinstance(error, MemoryError):
        return "the server has no memory left"
    return "an error of the media worker ended it; the server's log says which"


def _beat(runner: Runner, output: Output) -> None:
    """The second thread."""
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        now = time.monotonic()
        with open("/proc/self/statm", encoding="ascii") as statm:
            rss = int(statm.read().split()[1]) * page
        output.say(Heartbeat(time.process_time(), rss, now - runner.turned_at))
        if output.is_broken and runner.orphaned_at is None:
            runner.orphaned_at = now
        if runner.orphaned_at is not None and now - runner.orphaned_at > ORPHAN_TIMEOUT:
            os._exit(1)
        time.sleep(HEARTBEAT_INTERVAL)


def run(pipeline_factory: Factory = make_pipeline, load: Callable[[], None] = load_libraries) -> int:
    """The child's life, from its arguments and descriptors. The exit code."""
    began = time.monotonic()
    parser = argparse.ArgumentParser()
    for name in ("--packets-fd", "--flv-fd", "--nice"):
        parser.add_argument(name, type=int, required=True)
    arguments = parser.parse_args()
    os.nice(arguments.nice)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node ends us
    output = Output(os.dup(1))
    os.dup2(2, 1)  # what libraries print is no report
    logging.getLogger().addHandler(LogToNode(output))
    logging.getLogger().setLevel(logging.INFO)
    runner = Runner(socket.socket(fileno=arguments.packets_fd), arguments.flv_fd, output)
    threading.Thread(target=_beat, args=(runner, output), name="heartbeat", daemon=True).start()
    load()
    output.say(Ready(os.getpid(), time.monotonic() - began))
    return runner.run(pipeline_factory)


if __name__ == "__main__":
    sys.exit(run())
