"""A publisher, the forwarding plane and its subscribers over lossy networks in virtual time; and the dispatch of packets."""

from __future__ import annotations

from itertools import pairwise

import pytest

from media.drops import DropReason
from sfu.config import SfuConfig
from sfu.producer import Encoding
from sfu.rtp.compound import serialize_compound
from sfu.rtp.feedback import Nack, Pli
from sfu.rtp.twcc import TransportFeedback
from tests.support.network import Path
from tests.support.rtp_peers import START_NUMBERS, VP8_KEY, Node, Publisher, Simulcast, World, rtp
from tests.support.rtp_tables import RTCP_TABLE, from_hex

LOSSY = Path(delay=0.020, jitter=0.004, loss=0.05, reorder=0.02, duplicate=0.01)


def settle(world: World) -> None:
    world.run(1.5, publish=False)


@pytest.mark.parametrize("first", START_NUMBERS)
def test_at_five_percent_loss_on_both_legs_everything_arrives(first):
    config = SfuConfig(history_seconds=1.0)
    world = World(
        Publisher(seed=first, first=first), path=LOSSY, back=LOSSY, seed=first + 1, subscribers=2, config=config
    )
    world.run(5.0)
    settle(world)
    assert world.up.lost > 20 and world.up.duplicated > 0 and world.up.reordered > 0
    for *_, consumer, receiver, down, _ in world.legs:
        assert down.lost > 20
        assert receiver.missing == []
        indexes = receiver.indexes()
        # From a keyframe to the end, each packet once, in the publisher's order. Only of the very last no later one tells.
        assert indexes == list(range(indexes[0], indexes[-1] + 1))
        assert indexes[-1] >= world.publisher.count - 3
        assert indexes[0] < 60
        assert consumer.update_stats().retransmitted > 20


def test_without_loss_nothing_is_asked_for_twice():
    world = World(Publisher(seed=3, first=65500), path=Path(delay=0.02), back=Path(delay=0.02), seed=3)
    world.run(3.0)
    settle(world)
    stats = world.node.stats
    assert (stats.nack_out, stats.rtx_in, stats.rtx_out) == (0, 0, 0)
    assert world.publisher.keyframes == 1  # its first packet was one: none is asked for
    receiver = world.legs[0][3]
    assert receiver.missing == [] and receiver.duplicates == 0


def test_reordering_alone_is_not_asked_for():
    path = Path(delay=0.02, reorder=0.1, reorder_delay=0.006)
    world = World(Publisher(seed=4), path=path, back=Path(delay=0.02), seed=4)
    world.run(3.0)
    settle(world)
    assert world.up.reordered > 10
    assert world.node.stats.nack_out == 0
    assert world.legs[0][3].missing == []


def test_switching_layers_under_loss_leaves_no_hole():
    low, high = Publisher(seed=1, first=65000), Publisher(seed=2, first=32700, ssrc=11)
    world = World(
        Simulcast(low, high, start=1.0, stop=3.0),
        path=LOSSY,
        back=LOSSY,
        seed=8,
        subscribers=2,
        encodings=(Encoding(1, 2, "q"), Encoding(11, 12, "h")),
        simulcast=True,
    )
    world.run(6.0)
    settle(world)
    for *_, receiver, down, _ in world.legs:
        assert down.lost > 20
        assert receiver.missing == []
        numbers = sorted(receiver.payloads)
        times = [receiver.got[number].timestamp for number in numbers]
        # Forward, and by no more than it takes to notice that a layer stopped.
        assert all(((b - a) & 0xFFFFFFFF) < 1.3 * 90000 for a, b in pairwise(times))
        # Counts go up by one within a layer; where they do not, the layer changes, and with a keyframe.
        indexes = receiver.indexes()
        switches = [at for at in range(1, len(indexes)) if indexes[at] != indexes[at - 1] + 1]
        assert len(switches) == 2
        assert all(receiver.payloads[numbers[at]][:2] == VP8_KEY for at in [0, *switches])


# Dispatch


def test_arrivals_of_every_kind_are_fed_back_to_the_publisher():
    node = Node()
    endpoint, wire = node.endpoint()
    node.producer(endpoint, now=1.0)
    numbered = [((3, number.to_bytes(2, "big")),) for number in (65534, 65535, 0, 1, 2)]
    endpoint.receive_rtp(rtp(1, VP8_KEY, elements=numbered[0]), now=1.000)
    endpoint.receive_rtp(rtp(2, b"", padding=200, elements=numbered[1]), now=1.001)  # a probe
    endpoint.receive_rtp(rtp(7, b"\0\1x", ssrc=2, payload_type=97, elements=numbered[2]), now=1.002)  # a retransmission
    endpoint.receive_rtp(rtp(7, ssrc=4242, payload_type=33, elements=numbered[4]), now=1.003)  # of an unknown stream
    assert endpoint.get_timer() == pytest.approx(1.1)
    endpoint.handle_timer(now=1.1)
    (feedback,) = [m for m in wire.messages() if isinstance(m, TransportFeedback)]
    assert feedback.base_sequence == 65534
    assert [delta is not None for delta in feedback.deltas] == [True, True, True, False, True]
    assert node.stats.twcc_out == 1
    endpoint.handle_timer(now=1.3)
    assert not any(isinstance(m, TransportFeedback) for m in wire.messages())


def test_an_endpoint_without_tracks_takes_nothing_in():
    node = Node()
    endpoint, wire = node.endpoint()
    endpoint.receive_rtp(rtp(1), now=0.0)
    endpoint.receive_rtp(b"\x80", now=0.0)
    endpoint.receive_rtcp(b"\x80\xc9", now=0.0)
    assert node.drops.counts[DropReason.RTP_UNKNOWN_SSRC] == 1
    assert node.drops.counts[DropReason.RTP_MALFORMED] == 1
    assert node.drops.counts[DropReason.RTCP_MALFORMED] == 1
    assert wire.take() == [] and endpoint.next_event() is None


def test_a_closed_endpoint_holds_nothing():
    node = Node()
    endpoint, wire = node.endpoint()
    producer = node.producer(endpoint)
    subscriber, _ = node.endpoint()
    node.consumer(subscriber, producer)
    endpoint.receive_rtp(rtp(1, VP8_KEY), now=0.0)
    endpoint.close(now=0.1)
    wire.take()
    endpoint.receive_rtp(rtp(2, VP8_KEY), now=0.2)
    endpoint.handle_timer(now=9.0)
    assert endpoint.producers == [] and endpoint.get_timer() is None and wire.take() == []


def test_garbage_of_a_peer_never_raises_and_the_call_goes_on():
    """What comes here is authenticated: a hostile peer has the keys. Random bytes, and mutations of what is right."""
    node = Node(seed=9)
    endpoint, _ = node.endpoint()
    subscriber, wire = node.endpoint()
    producer = node.producer(endpoint)
    consumer = node.consumer(subscriber, producer)
    elements = ((3, b"\0\1"), (4, b"0"), (10, b"q"), (13, b"\1"))
    seeds = [
        rtp(1, VP8_KEY + b"abc", elements=elements),
        rtp(2, b"\x90\xe0\x80\x01\x05\x20\x00abc", elements=elements),
        rtp(3, b"\0\1" + VP8_KEY, ssrc=2, payload_type=97, elements=elements),
        rtp(4, b"", padding=30),
    ]
    reports = [from_hex(text) for text, _ in RTCP_TABLE]
    reports.append(serialize_compound([Nack(1, consumer.params.ssrc, list(range(100))), Pli(1, consumer.params.ssrc)]))
    rng, now = node.random, 1.0
    for turn in range(6000):
        now += rng.random() * 0.01
        base = rng.choice(seeds if turn % 2 else reports)
        data = bytearray(base if rng.random() < 0.9 else rng.randbytes(rng.randrange(60)))
        for _ in range(rng.randrange(5)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        for side in (endpoint, subscriber):
            (side.receive_rtp if turn % 2 else side.receive_rtcp)(bytes(data), now=now)
        if turn % 50 == 0:
            endpoint.handle_timer(now=now)
            subscriber.handle_timer(now=now)
    assert node.drops.counts[DropReason.RTP_MALFORMED] > 100
    assert len(endpoint._streams.by_ssrc) <= node.config.max_ssrcs + 1
    wire.take()
    for number in range(20000, 20005):
        endpoint.receive_rtp(rtp(number, VP8_KEY + b"still here"), now=now + 5)
    assert any(sent.payload == VP8_KEY + b"still here" for sent in wire.packets())
