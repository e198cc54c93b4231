"""Runs of datagrams leave in few calls and arrive one by one, whole and in order."""

from __future__ import annotations

import errno
import socket

import pytest

from media.drops import DropCounts, DropReason
from sfu.io.sender import GSO_MAX_SEGMENTS, IN_PKTINFO, Sender

ASKED = socket.inet_aton("127.0.0.2")  # where the peer sent its packets to, in 127.0.0.0/8


@pytest.fixture
def pair():
    """A sender on all addresses, and a peer with its path."""
    out, peer = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    out.setblocking(False)
    out.bind(("0.0.0.0", 0))
    peer.bind(("127.0.0.1", 0))
    peer.settimeout(5)
    sender = Sender(out, None, drops=DropCounts())
    yield sender, peer, (*peer.getsockname(), IN_PKTINFO.pack(0, ASKED, ASKED))
    out.close()
    peer.close()


def packets(*sizes: int) -> list[bytes]:
    return [bytes((index,)) * size for index, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "calls"),
    [
        ((100,), 1),
        ((100, 100), 1),
        ((100, 101), 2),
        ((1200,) * 8, 1),
        ((1200,) * 7 + (300,), 1),  # the last of a run may be shorter
        ((1200, 300, 1200, 1200), 2),
        ((100,) * (GSO_MAX_SEGMENTS + 1), 2),
        ((1000,) * 64, 2),  # 63,000 bytes at most
        ((1460, 1460), 2),  # longer than what any route leaves whole is not cut by the kernel
    ],
)
def test_a_run_of_equal_sizes_is_one_call_and_arrives_as_it_was(pair, sizes, calls):
    sender, peer, path = pair
    if not sender.gso:
        pytest.skip("this kernel has no UDP_SEGMENT")
    sent = packets(*sizes)
    sender.send_run(sent, path)
    assert [peer.recv(2048) for _ in sent] == sent
    assert (sender.calls, sender.datagrams) == (calls, len(sent))


def test_answers_leave_from_the_address_that_was_asked(pair):
    sender, peer, path = pair
    for count in (1, 8):
        sender.send_run(packets(*[200] * count), path)
        assert {peer.recvfrom(2048)[1][0] for _ in range(count)} == {"127.0.0.2"}


def test_without_segmentation_everything_arrives_too(pair):
    sender, peer, path = pair
    sender.gso = False
    sent = packets(*[1200] * 5)
    sender.send_run(sent, path)
    assert [peer.recv(2048) for _ in sent] == sent
    assert sender.calls == 5


class Refusing:
    """A socket whose route refuses to cut runs, or anything at all."""

    def __init__(self, error: int, *, runs_only: bool) -> None:
        self.error, self.runs_only = error, runs_only
        self.sent: list[bytes] = []

    def setsockopt(self, *_):
        pass

    def sendmsg(self, buffers, ancillary, flags, address):
        if len(buffers) > 1 or not self.runs_only:
            raise OSError(self.error, "refused")
        self.sent += buffers


@pytest.mark.parametrize("error", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP])
def test_a_route_that_refuses_runs_gets_packets_one_by_one_and_others_keep_theirs(error):
    refusing = Refusing(error, runs_only=True)
    drops = DropCounts()
    sender = Sender(refusing, None, drops=drops)
    path, sent = ("192.0.2.1", 1, b""), packets(*[100] * 4)
    sender.send_run(sent, path)
    assert refusing.sent == sent
    assert sender.calls == 5
    sender.send_run(sent, path)
    assert sender.calls == 9, "it was asked again"
    sender.send_run(sent[:2], ("192.0.2.2", 1, b""))
    assert sender.calls == 12, "another route was given up unasked"
    assert not any(drops.counts.values())


def test_what_the_kernel_does_not_take_is_counted():
    for error, reason in ((errno.EAGAIN, DropReason.SEND_QUEUE_FULL), (errno.EPERM, DropReason.SEND_REFUSED)):
        drops = DropCounts()
        sender = Sender(Refusing(error, runs_only=False), None, drops=drops)
        sender.send_run(packets(*[100] * 4), ("192.0.2.1", 1, b""))
        sender.send(b"stun", ("192.0.2.1", 1, b""))
        assert drops.counts[reason] == 5


def test_an_address_family_without_a_socket_is_counted(pair):
    sender, _, _ = pair
    sender.send_run([b"x"], ("2001:db8::1", 1, b""))
    assert sender._drops.counts[DropReason.SEND_REFUSED] == 1
