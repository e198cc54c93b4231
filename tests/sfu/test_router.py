from __future__ import annotations

from media.drops import DropReason
from tests.support.rtp_peers import VP8_DELTA, VP8_KEY, Node, rtp


def test_a_shared_packet_is_never_modified_and_everybody_gets_it():
    node = Node()
    publisher, _ = node.endpoint()
    producer = node.producer(publisher)
    wires = []
    for _ in range(5):
        endpoint, wire = node.endpoint()
        node.consumer(endpoint, producer)
        wires.append(wire)
    data = rtp(1, VP8_KEY + b"x", elements=((13, b"\x02"),))
    publisher.receive_rtp(data, now=0.0)
    assert data == rtp(1, VP8_KEY + b"x", elements=((13, b"\x02"),))
    packets = [wire.packets() for wire in wires]
    assert [len(sent) for sent in packets] == [1] * 5
    assert len({sent[0].ssrc for sent in packets}) == 5
    assert len({sent[0].timestamp for sent in packets}) == 5
    assert (node.stats.packets_in, node.stats.packets_out) == (1, 5)
    assert node.stats.bytes_out == sum(len(sent[0].data) for sent in packets)


def test_who_waits_for_a_keyframe_is_counted():
    node = Node()
    publisher, _ = node.endpoint()
    producer = node.producer(publisher)
    publisher.receive_rtp(rtp(1, VP8_DELTA), now=0.0)
    assert node.drops.counts[DropReason.RTP_WAITING_KEYFRAME] == 0  # nobody waits
    endpoint, _ = node.endpoint()
    node.consumer(endpoint, producer)
    publisher.receive_rtp(rtp(2, VP8_DELTA), now=0.1)
    assert node.drops.counts[DropReason.RTP_WAITING_KEYFRAME] == 1


def test_consumers_that_leave_leave_nothing():
    node = Node()
    publisher, _ = node.endpoint()
    producer = node.producer(publisher)
    endpoint, _ = node.endpoint()
    waiting = node.consumer(endpoint, producer)
    endpoint.remove_consumer(waiting, now=0.0)
    assert producer.router.pending == [] and producer.router.consumers == []
    forwarding = node.consumer(endpoint, producer)
    publisher.receive_rtp(rtp(1, VP8_KEY), now=0.1)
    endpoint.remove_consumer(forwarding, now=0.2)
    assert producer.layers.streams[0].groups == []


def test_one_subscriber_may_take_the_same_track_twice():
    node = Node()
    publisher, _ = node.endpoint()
    producer = node.producer(publisher)
    endpoint, wire = node.endpoint()
    one, two = node.consumer(endpoint, producer), node.consumer(endpoint, producer, mid="9")
    publisher.receive_rtp(rtp(1, VP8_KEY), now=0.1)
    assert sorted(p.ssrc for p in wire.packets()) == sorted((one.params.ssrc, two.params.ssrc))
