"""Datagrams out: runs in one call where the kernel cuts them, one by one where not, from the address that was asked."""

from __future__ import annotations

import errno
import logging
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.drops import DropCounts, DropReason
from sfu.io.sender import (
    GSO_MAX_BYTES,
    GSO_MAX_SEGMENTS,
    GSO_MAX_SIZE,
    IP_PKTINFO,
    PATHS_KEPT,
    SOL_UDP,
    UDP_SEGMENT,
    Sender,
)

PATH = ("192.0.2.1", 4000, b"")
OTHER = ("192.0.2.2", 4000, b"")


class FakeSocket:
    """What the kernel is told. `refuses` runs to these hosts with `error`."""

    def __init__(self, *, gso: bool = True, error: int = errno.EIO) -> None:
        self.gso, self.error = gso, error
        self.refuses: set[str] = set()
        self.full = False
        self.calls: list[tuple[int, str]] = []  # size of a segment (0: no run), host
        self.datagrams: list[bytes] = []
        self.controls: list[list] = []

    def setsockopt(self, *_: int) -> None:
        if not self.gso:
            raise OSError(errno.ENOPROTOOPT, "no")

    def sendmsg(self, buffers, control, flags, address) -> None:
        if self.full:
            raise BlockingIOError(errno.EAGAIN, "full")
        segment = next((int.from_bytes(data, "little") for level, kind, data in control if (level, kind) == (SOL_UDP, UDP_SEGMENT)), 0)
        if address[0] in self.refuses and (segment or self.error == errno.ENETUNREACH):
            raise OSError(self.error, "refused")
        self.calls.append((segment, address[0]))
        self.controls.append(control)
        data = b"".join(buffers)
        if segment:
            assert self.gso and len(data) <= 65_000 and len(buffers) <= 64
            self.datagrams += [data[at : at + segment] for at in range(0, len(data), segment)]
        else:
            self.datagrams.append(data)


def make(**options) -> tuple[Sender, FakeSocket, DropCounts]:
    sock, drops = FakeSocket(**options), DropCounts()
    return Sender(sock, None, drops=drops), sock, drops  # type: ignore[arg-type]


def packets(*sizes: int) -> list[bytes]:
    return [bytes([number % 251]) * size for number, size in enumerate(sizes)]


@given(st.lists(st.sampled_from((1, 100, 1199, 1200, GSO_MAX_SIZE, GSO_MAX_SIZE + 1, 1900)) | st.integers(1, 2000), max_size=300), st.booleans())
def test_whatever_the_sizes_every_packet_leaves_whole_and_in_order(sizes, gso):
    sender, sock, drops = make(gso=gso)
    sent = packets(*sizes)
    sender.send_run(sent, PATH)
    assert sock.datagrams == sent
    assert sender.datagrams == len(sent) and sender.calls == len(sock.calls)
    assert sum(drops.counts.values()) == 0


def test_equal_packets_leave_in_one_call_with_a_shorter_last():
    sender, sock, _ = make()
    sender.send_run(packets(1200, 1200, 1200, 700, 1200), PATH)
    assert [segment for segment, _ in sock.calls] == [1200, 0]


def test_a_run_is_bounded():
    sender, sock, _ = make()
    sender.send_run(packets(*[100] * 200), PATH)
    assert len(sock.calls) == -(-200 // GSO_MAX_SEGMENTS)
    sock.calls.clear()
    sender.send_run(packets(*[1200] * 104), PATH)
    assert len(sock.calls) == -(-104 // (GSO_MAX_BYTES // 1200))


def test_what_a_route_would_fragment_is_in_no_run():
    sender, sock, _ = make()
    sender.send_run(packets(*[GSO_MAX_SIZE + 1] * 5), PATH)
    assert [segment for segment, _ in sock.calls] == [0] * 5
    assert sender.gso


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_route_that_refuses_runs_gets_packets_one_by_one_and_the_others_do_not(error, caplog):
    sender, sock, drops = make(error=error)
    sock.refuses = {"192.0.2.1"}
    sent = packets(*[1200] * 10)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            sender.send_run(sent, PATH)
    assert sock.datagrams == sent * 3 and sum(drops.counts.values()) == 0
    assert sender.calls == 31, "refused once"
    sender.send_run(sent, OTHER)
    assert sock.calls[-1] == (1200, "192.0.2.2")
    assert len(caplog.records) == 1


def test_a_kernel_without_segmentation_is_noticed_before_the_first_packet():
    sender, sock, _ = make(gso=False)
    assert not sender.gso
    sender.send_run(packets(*[1200] * 4), PATH)
    assert [segment for segment, _ in sock.calls] == [0] * 4


def test_the_kernel_of_this_machine_says_what_it_can():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(SOL_UDP, UDP_SEGMENT, 0)
            expected = True
        except OSError:
            expected = False
        assert Sender(sock, None, drops=DropCounts()).gso is expected


def test_a_full_socket_and_an_unreachable_peer_are_counted_not_raised():
    sender, sock, drops = make(error=errno.ENETUNREACH)
    sock.full = True
    sender.send(b"x", PATH)
    sender.send_run(packets(*[1200] * 5), PATH)
    assert drops.counts[DropReason.SEND_QUEUE_FULL] == 6
    sock.full = False
    sock.refuses = {"192.0.2.1"}
    sender.send(b"x", PATH)
    sender.send_run(packets(*[1200] * 5), PATH)
    assert drops.counts[DropReason.SEND_REFUSED] == 6
    assert sender.datagrams == 0


def test_without_a_socket_of_the_family_it_is_a_counted_drop():
    sender, sock, drops = make()
    sender.send(b"x", ("2001:db8::1", 4000, b""))
    sender.send_run([b"x", b"y"], ("2001:db8::1", 4000, b""))
    assert sock.calls == [] and drops.counts[DropReason.SEND_REFUSED] == 3


def test_answers_leave_from_the_address_that_was_asked():
    sender, sock, _ = make()
    asked = struct.pack("@i4s4s", 7, socket.inet_aton("127.0.0.2"), socket.inet_aton("127.0.0.2"))
    sender.send(b"x", ("127.0.0.1", 4000, asked))
    ((level, kind, data),) = sock.controls[0]
    assert (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO)
    assert data == struct.pack("@i4s4s", 0, socket.inet_aton("127.0.0.2"), bytes(4)), "by any interface"


@pytest.mark.parametrize(("host", "scope"), [("2001:db8::1", 0), ("fe80::1", 3)])
def test_only_link_local_addresses_are_bound_to_an_interface(host, scope):
    sock, ours = FakeSocket(), socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    Sender(None, sock, drops=DropCounts()).send(b"x", (host, 4000, struct.pack("@16si", ours, 3)))  # type: ignore[arg-type]
    ((_, kind, data),) = sock.controls[0]
    assert kind == socket.IPV6_PKTINFO and data == struct.pack("@16si", ours, scope)


def test_what_is_kept_for_paths_is_bounded():
    sender, _, _ = make()
    for port in range(PATHS_KEPT + 10):
        sender.send(b"x", ("192.0.2.1", port, b""))
    assert len(sender._ready) <= PATHS_KEPT


def test_what_is_kept_for_refusing_routes_is_bounded():
    sender, sock, _ = make()
    sock.refuses = {"192.0.2.1"}
    for port in range(PATHS_KEPT + 10):
        sender.send_run(packets(9, 9, 9), ("192.0.2.1", port, b""))
    assert len(sender._plain) <= PATHS_KEPT
