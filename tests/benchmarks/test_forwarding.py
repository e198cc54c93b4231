"""The in-memory bench forwards what it says, so that its stages are costs of something."""

from __future__ import annotations

from benchmarks.forwarding import Bench
from sfu.rtp.packet import parse


def test_each_receiver_gets_each_packet_of_a_frame():
    bench = Bench(2)
    bench.forward(bench.frame(), flush=lambda: None)
    assert [len(transport.outgoing) for transport in bench.transports] == [8, 8]
    bench.send()
    for sink in bench._sinks:
        received = [parse(sink.recv(2048)) for _ in range(8)]
        assert [packet.marker for packet in received] == [False] * 7 + [True]
        assert len({packet.timestamp for packet in received}) == 1
    assert bench.sender.calls == 2, "each receiver's frame leaves in one call"


def test_without_protection_packets_leave_in_the_clear_until_restored():
    bench = Bench(1)
    restore = bench.without_protection()
    datagrams = bench.frame()
    bench.forward(datagrams, flush=lambda: None)
    clear = bench.transports[0].outgoing[0]
    assert clear[-100:] == bench.stream._buffer[-100:]
    bench.discard()
    restore()
    bench.forward(bench.frame(), flush=lambda: None)
    assert len(bench.transports[0].outgoing[0]) == len(clear) + 16


def test_pausing_everybody_leaves_only_ingest():
    bench = Bench(2)
    bench.pause_consumers()
    bench.forward(bench.frame(), flush=lambda: None)
    assert [len(transport.outgoing) for transport in bench.transports] == [0, 0]
