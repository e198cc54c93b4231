"""The node's ends of a worker's sockets: packets in and RTCP out over a SOCK_SEQPACKET pair, an FLV byte stream from it.

A datagram goes out in one system call at once. When the pair is full (its size is what net.core.wmem_max allows, often 208 KiB), packets wait
here, bounded; beyond that, and when the worker is dead, they are counted and lost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

SOCKET_BUFFER = 4 << 20  # bytes; a keyframe of everybody at once
MAX_WAITING = 4 << 20  # bytes in this process for a pair that is full; then the newest are lost and a decoder asks for a keyframe
MAX_DATAGRAM = 2048  # above any path's MTU
BATCH = 256  # datagrams of one turn of the loop
FLV_READ = 1 << 16  # bytes of one turn: ten times what a broadcast makes in 10 ms


@dataclass(slots=True)
class LinkStats:
    packets: int = 0
    bytes: int = 0
    delayed: int = 0
    """Packets that found the pair full and waited."""
    dropped_full: int = 0
    dropped_dead: int = 0
    rtcp_in: int = 0
    flv_bytes: int = 0


class WorkerLink:
    """A `media.ports.PacketSource` that ends in a worker. `on_rtcp(data)` gets each packet that comes back, `on_flv(data)` the
    FLV stream in pieces, the last of them empty. Callbacks run on the loop's thread and must not block."""

    def __init__(self, packets: socket.socket, flv: socket.socket) -> None:
        self.stats = LinkStats()
        self._sock = packets
        self._flv = flv
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._on_rtcp: Callable[[bytes], None] | None = None
        self._on_flv: Callable[[bytes], None] | None = None
        self._dead = False
        for sock in (packets, flv):
            sock.setblocking(False)

    def listen(self, on_rtcp: Callable[[bytes], None] | None, on_flv: Callable[[bytes], None] | None) -> None:
        """Begin to read. Without `on_flv` the FLV stream's end is closed: the pipeline has none."""
        self._on_rtcp, self._on_flv = on_rtcp, on_flv
        self._loop.add_reader(self._sock.fileno(), self._on_packets)
        if on_flv is not None:
            self._loop.add_reader(self._flv.fileno(), self._on_flv_readable)
        else:
            self._flv.close()

    def send_rtp(self, data: bytes) -> None:
        if self._waiting:
            self._keep(data)
            return
        try:
            self._sock.send(data)
        except BlockingIOError:
            self._keep(data)
        except OSError:
            self.stats.dropped_dead += 1
        else:
            self.stats.packets += 1
            self.stats.bytes += len(data)

    send_rtcp = send_rtp

    def close(self) -> None:
        """What the worker has written is read to its end first, if it is dead. Twice is harmless."""
        if not self._dead:
            self._dead = True
            self._loop.remove_writer(self._sock.fileno())
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
        if self._flv.fileno() >= 0:
            while self._on_flv is not None and self._on_flv_readable():
                pass
            self._close_flv()
        self.stats.dropped_dead += len(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _keep(self, data: bytes) -> None:
        if self._dead:
            self.stats.dropped_dead += 1
        elif self._waiting_bytes + len(data) > MAX_WAITING:
            self.stats.dropped_full += 1
        else:
            if not self._waiting:
                self._loop.add_writer(self._sock.fileno(), self._on_writable)
            self.stats.delayed += 1
            self._waiting.append(data)
            self._waiting_bytes += len(data)

    def _on_writable(self) -> None:
        waiting, stats = self._waiting, self.stats
        for _ in range(min(BATCH, len(waiting))):
            data = waiting[0]
            try:
                self._sock.send(data)
            except BlockingIOError:
                return
            except OSError:
                stats.dropped_dead += 1
            else:
                stats.packets += 1
                stats.bytes += len(data)
            waiting.popleft()
            self._waiting_bytes -= len(data)
        if not waiting:
            self._loop.remove_writer(self._sock.fileno())

    def _on_packets(self) -> None:
        for _ in range(BATCH):
            if self._dead:  # closed by what a packet led to
                return
            try:
                data = self._sock.recv(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:  # the worker's end is closed: nothing more comes, and the process's end is noticed elsewhere
                self._loop.remove_reader(self._sock.fileno())
                return
            self.stats.rtcp_in += 1
            if self._on_rtcp is not None:
                try:
                    self._on_rtcp(data)
                except Exception:
                    log.exception("a worker's RTCP packet made its reader fail")

    def _on_flv_readable(self) -> bool:
        """True when there may be more."""
        try:
            data = self._flv.recv(FLV_READ)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._close_flv()
            self._tell_flv(b"")
            return False
        self.stats.flv_bytes += len(data)
        self._tell_flv(data)
        return True

    def _tell_flv(self, data: bytes) -> None:
        if self._on_flv is not None:
            try:
                self._on_flv(data)
            except Exception:
                log.exception("a worker's FLV stream made its reader fail")

    def _close_flv(self) -> None:
        if self._flv.fileno() >= 0:
            self._loop.remove_reader(self._flv.fileno())
            self._flv.close()


def make_pair(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    """Node's end and worker's end, with large buffers both ways."""
    node, worker = socket.socketpair(socket.AF_UNIX, kind)
    for sock in (node, worker):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
    return node, worker
