from __future__ import annotations

from sfu.rtp import packet
from sfu.stream.cache import PacketHistory
from tests.support.rtp_peers import rtp


def put(history: PacketHistory, sequence: int, arrival: float = 0.0) -> packet.RtpPacket:
    parsed = packet.parse(rtp(sequence))
    parsed.sequence, parsed.arrival = sequence, arrival
    history.put(parsed)
    return parsed


def test_holds_what_was_put_until_displaced():
    history = PacketHistory(100, 10.0)
    assert history.capacity == 128
    kept = put(history, 5)
    assert history.get(5, 0.0) is kept and history.holds(5)
    put(history, 5 + 128)
    assert history.get(5, 0.0) is None and not history.holds(5)


def test_gives_nothing_out_that_is_too_old():
    history = PacketHistory(8, 2.0)
    put(history, 1, arrival=1.0)
    assert history.get(1, 3.0) is not None
    assert history.get(1, 3.1) is None
    assert history.holds(1)  # still known as a duplicate


def test_what_was_never_put_is_not_there():
    history = PacketHistory(8, 2.0)
    assert history.get(0, 0.0) is None and history.get(-3, 0.0) is None and not history.holds(8)
