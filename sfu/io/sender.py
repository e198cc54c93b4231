"""Datagrams out: runs of equal-sized packets to one peer leave in one `sendmsg` with UDP_SEGMENT (GSO) where the kernel has it.

Every datagram leaves from the local address that its peer asked (IP_PKTINFO, RFC 3542 for IPv6).
"""

from __future__ import annotations

import errno
import logging
import socket
import struct

from media.drops import DropCounts, DropReason

log = logging.getLogger(__name__)

UDP_SEGMENT = 103  # linux/udp.h
SOL_UDP = 17
IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
GSO_MAX_SEGMENTS = 64  # UDP_MAX_SEGMENTS of older kernels
GSO_MAX_BYTES = 63_000  # below the 64 KiB of one datagram with its headers
GSO_MIN_RUN = 2  # already two leave for 2.7 us each instead of 4.2
GSO_MAX_SIZE = 1452  # a segment with IPv6 and UDP headers in 1500 bytes; the kernel cuts none that its route would fragment
IN_PKTINFO = struct.Struct("@i4s4s")
IN6_PKTINFO = struct.Struct("@16si")
PATHS_KEPT = 8192  # ready-made send arguments; cleared whole when full

GSO_REFUSED = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})

Path = tuple[str, int, bytes]
Ancillary = list[tuple[int, int, bytes]]


class Sender:
    """Writes to the two sockets of a node; never blocks, never raises for a peer's sake."""

    def __init__(self, socket4: socket.socket | None, socket6: socket.socket | None, *, drops: DropCounts) -> None:
        self._socket4 = socket4
        self._socket6 = socket6
        self._drops = drops
        self._ready: dict[Path, tuple[socket.socket, tuple, Ancillary]] = {}
        self._plain: set[Path] = set()  # routes that refuse UDP_SEGMENT (IPsec, a small MTU); cleared whole when full
        self.gso = _has_gso(socket4 or socket6)
        self.datagrams = 0
        self.calls = 0

    def send(self, data: bytes, path: Path) -> None:
        """One datagram, for STUN and DTLS."""
        prepared = self._ready.get(path) or self._prepare(path)
        if prepared is None:
            self._drops.count(DropReason.SEND_REFUSED)
            return
        self._call([data], 1, *prepared)

    def send_run(self, packets: list[bytes], path: Path) -> None:
        """All of one peer's packets of a batch, in order."""
        prepared = self._ready.get(path) or self._prepare(path)
        if prepared is None:
            self._drops.count(DropReason.SEND_REFUSED, len(packets))
            return
        sock, address, ancillary = prepared
        total = len(packets)
        if total < GSO_MIN_RUN:
            for data in packets:
                self._call([data], 1, sock, address, ancillary)
            return
        gso = self.gso and path not in self._plain
        start = 0
        while start < total:
            size = len(packets[start])
            end = start + 1
            if gso and size <= GSO_MAX_SIZE:
                limit = min(total, start + min(GSO_MAX_SEGMENTS, GSO_MAX_BYTES // size))
                while end < limit and len(packets[end]) == size:
                    end += 1
                if end < limit and len(packets[end]) < size:
                    end += 1  # the last segment may be shorter
            if end - start >= GSO_MIN_RUN:
                control = [*ancillary, (SOL_UDP, UDP_SEGMENT, size.to_bytes(2, "little"))]
                if not self._call(packets[start:end], end - start, sock, address, control):
                    gso = False
                    self._refuse(path)
                    continue
            else:
                for index in range(start, end):
                    self._call([packets[index]], 1, sock, address, ancillary)
            start = end

    def _refuse(self, path: Path) -> None:
        """Runs to this peer leave one by one from now on."""
        if not self._plain:
            log.warning("a route refuses UDP_SEGMENT; packets to it leave one by one from now on")
        elif len(self._plain) >= PATHS_KEPT:
            self._plain.clear()
        self._plain.add(path)

    def _call(self, buffers: list[bytes], count: int, sock: socket.socket, address: tuple, control: Ancillary) -> bool:
        """False when it was a run and the kernel does not cut it; what else goes wrong is counted."""
        self.calls += 1
        try:
            sock.sendmsg(buffers, control, 0, address)
            self.datagrams += count
        except BlockingIOError:
            self._drops.count(DropReason.SEND_QUEUE_FULL, count)
        except OSError as error:
            if count > 1 and error.errno in GSO_REFUSED:
                return False
            self._drops.count(DropReason.SEND_REFUSED, count)
        return True

    def _prepare(self, path: Path) -> tuple[socket.socket, tuple, Ancillary] | None:
        host, port, info = path
        ancillary: Ancillary = []
        if ":" in host:
            sock = self._socket6
            if len(info) == IN6_PKTINFO.size:
                address, interface = IN6_PKTINFO.unpack(info)
                scope = interface if host.lower().startswith("fe80") else 0
                ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, IN6_PKTINFO.pack(address, scope))]
        else:
            sock = self._socket4
            if len(info) == IN_PKTINFO.size:
                _interface, specific, _destination = IN_PKTINFO.unpack(info)
                ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, IN_PKTINFO.pack(0, specific, bytes(4)))]
        if sock is None:
            return None
        if len(self._ready) >= PATHS_KEPT:
            self._ready.clear()
        prepared = self._ready[path] = (sock, (host, port), ancillary)
        return prepared


def _has_gso(sock: socket.socket | None) -> bool:
    """A kernel before 4.18 ignores the ancillary data and would send a run as one datagram, so it is asked first."""
    if sock is None:
        return False
    try:
        sock.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
    except OSError:
        log.info("no UDP_SEGMENT here: packets leave one by one")
        return False
    return True
