from __future__ import annotations

import pytest

from media.drops import DropReason
from sfu.config import SfuConfig
from sfu.producer import Encoding
from sfu.stream.resolve import TAKEOVER_SILENCE
from tests.support.rtp_peers import OPUS, VP8, VP8_KEY, Node, rtp

MID, RID, REPAIRED = 4, 10, 11
SIMULCAST = {"encodings": (Encoding(rid="q"), Encoding(rid="h")), "simulcast": True}


@pytest.fixture
def node() -> Node:
    return Node()


def send(endpoint, number: int, payload: bytes = VP8_KEY + b"x", **fields) -> None:
    endpoint.receive_rtp(rtp(number, payload, **fields), now=1.0)


def test_named_ssrcs_need_no_learning(node):
    endpoint, _ = node.endpoint()
    producer = node.producer(endpoint, ssrc=1)
    send(endpoint, 1, ssrc=1)
    assert producer.update_stats().packets == 1


def test_learned_by_mid(node):
    endpoint, _ = node.endpoint()
    one = node.producer(endpoint, ssrc=1, mid="0", encodings=())
    two = node.producer(endpoint, ssrc=2, mid="1", encodings=())
    send(endpoint, 1, ssrc=77, elements=((MID, b"1"),))
    send(endpoint, 2, ssrc=77)
    assert (one.update_stats().packets, two.update_stats().packets) == (0, 2)


def test_learned_by_payload_type_if_only_one_track_has_it(node):
    endpoint, _ = node.endpoint()
    video = node.producer(endpoint, ssrc=1, mid="0", encodings=())
    audio = node.producer(endpoint, (OPUS,), ssrc=2, mid="1", encodings=())
    send(endpoint, 1, b"o", ssrc=50, payload_type=111)
    assert (video.update_stats().packets, audio.update_stats().packets) == (0, 1)
    node.producer(endpoint, (OPUS,), ssrc=3, mid="2", encodings=())
    send(endpoint, 1, b"o", ssrc=51, payload_type=111)
    assert node.drops.counts[DropReason.RTP_UNKNOWN_SSRC] == 1


def test_simulcast_layers_and_their_retransmissions_are_learned_by_rid(node):
    endpoint, _ = node.endpoint()
    producer = node.producer(endpoint, **SIMULCAST)
    send(endpoint, 1, ssrc=20, elements=((MID, b"0"), (RID, b"h")))
    send(endpoint, 1, ssrc=10, elements=((MID, b"0"), (RID, b"q")))
    send(endpoint, 3, ssrc=10)
    rtx = (2).to_bytes(2, "big") + VP8_KEY + b"y"
    send(endpoint, 9, rtx, ssrc=11, payload_type=97, elements=((MID, b"0"), (REPAIRED, b"q")))
    low, high = producer.layers.streams
    assert (low.rid, low.ssrc, low.rtx_ssrc, low.packets, low.recovered) == ("q", 10, 11, 3, 1)
    assert (high.rid, high.ssrc, high.packets) == ("h", 20, 1)


def test_a_layer_that_was_not_negotiated_is_refused(node):
    endpoint, _ = node.endpoint()
    producer = node.producer(endpoint, **SIMULCAST)
    send(endpoint, 1, ssrc=20, elements=((MID, b"0"), (RID, b"x")))
    send(endpoint, 1, ssrc=21, elements=((MID, b"0"),))
    assert producer.layers.streams == []
    assert node.drops.counts[DropReason.RTP_UNKNOWN_SSRC] == 2


def test_a_new_ssrc_of_a_track_takes_the_place_of_the_old(node):
    endpoint, _ = node.endpoint()
    subscriber, wire = node.endpoint()
    producer = node.producer(endpoint, ssrc=1)
    node.consumer(subscriber, producer)
    send(endpoint, 1, ssrc=1)
    send(endpoint, 900, ssrc=60, timestamp=77, elements=((MID, b"0"),))
    send(endpoint, 2, ssrc=1)  # the old one is unknown now, and its number too far for a takeover to matter
    first, second, *_ = wire.packets()
    assert second.sequence_number == first.sequence_number + 1
    assert len(producer.layers.streams) == 1


def test_the_next_track_of_an_m_line_is_known_by_what_its_ssrcs_said_before(node):
    """Chromium stops writing MID and RID once we have reported on an SSRC, and goes on so when a transceiver is used again."""
    endpoint, _ = node.endpoint()
    first = node.producer(endpoint, **SIMULCAST)
    rtx = (2).to_bytes(2, "big") + VP8_KEY + b"y"
    send(endpoint, 1, ssrc=20, elements=((MID, b"0"), (RID, b"h")))
    send(endpoint, 1, ssrc=10, elements=((MID, b"0"), (RID, b"q")))
    send(endpoint, 9, rtx, ssrc=11, payload_type=97, elements=((MID, b"0"), (REPAIRED, b"q")))
    endpoint.remove_producer(first, now=1.0)
    second = node.producer(endpoint, **SIMULCAST)
    send(endpoint, 50, ssrc=10)
    send(endpoint, 50, ssrc=20)
    send(endpoint, 10, (49).to_bytes(2, "big") + VP8_KEY + b"y", ssrc=11, payload_type=97)
    assert [(stream.rid, stream.ssrc, stream.rtx_ssrc) for stream in second.layers.streams] == [("q", 10, 11), ("h", 20, None)]
    assert second.update_stats().recovered == 1


def test_the_last_packets_of_a_track_that_ended_do_not_become_the_next_one(node):
    endpoint, _ = node.endpoint()
    camera = node.producer(endpoint, ssrc=1, mid="0")
    send(endpoint, 1, ssrc=1)
    endpoint.remove_producer(camera, now=1.0)
    screen = node.producer(endpoint, ssrc=5, mid="1")
    send(endpoint, 2, ssrc=1)
    assert screen.update_stats().packets == 0
    assert node.drops.counts[DropReason.RTP_UNKNOWN_SSRC] == 1


def test_a_stray_ssrc_does_not_take_over_a_track_that_gets_packets(node):
    endpoint, _ = node.endpoint()
    producer = node.producer(endpoint, ssrc=1)
    send(endpoint, 1, ssrc=1)
    send(endpoint, 1, ssrc=90)
    assert node.drops.counts[DropReason.RTP_UNKNOWN_SSRC] == 1
    endpoint.receive_rtp(rtp(2, VP8_KEY + b"x", ssrc=90), now=1.0 + TAKEOVER_SILENCE)
    assert [stream.ssrc for stream in producer.layers.streams] == [90]


def test_what_ssrcs_said_is_remembered_of_so_many_only():
    node = Node(config=SfuConfig(max_ssrcs=4))
    endpoint, _ = node.endpoint()
    node.producer(endpoint, ssrc=1)
    for ssrc in range(100, 120):
        send(endpoint, 1, ssrc=ssrc, elements=((MID, b"7"),))
    assert len(endpoint._streams._names) <= 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ssrc": 9, "elements": ((MID, b"7"),)}, DropReason.RTP_UNKNOWN_SSRC),
        ({"ssrc": 9, "elements": ((MID, b"\xff\xfe"),), "payload_type": 1}, DropReason.RTP_UNKNOWN_SSRC),
        ({"ssrc": 9, "elements": ((MID, b"0"),), "payload_type": 1}, DropReason.RTP_UNKNOWN_PAYLOAD_TYPE),
        ({"ssrc": 1, "payload_type": 1}, DropReason.RTP_UNKNOWN_PAYLOAD_TYPE),
    ],
)
def test_what_belongs_nowhere_is_counted(node, fields, reason):
    endpoint, _ = node.endpoint()
    node.producer(endpoint, ssrc=1)
    send(endpoint, 1, **fields)
    assert node.drops.counts[reason] == 1


def test_learning_is_bounded():
    node = Node(config=SfuConfig(max_ssrcs=3))
    endpoint, _ = node.endpoint()
    node.producer(endpoint, ssrc=1, encodings=(Encoding(1, 2), Encoding(5, 6)))
    node.producer(endpoint, (VP8,), ssrc=8, mid="1", encodings=())
    assert len(endpoint._streams.by_ssrc) <= 4
    for ssrc in range(100, 120):
        send(endpoint, 1, ssrc=ssrc, elements=((MID, b"1"),))
    assert len(endpoint._streams.by_ssrc) <= 4
    assert node.drops.counts[DropReason.RTP_SSRC_LIMIT] > 0


def test_a_removed_track_is_forgotten(node):
    endpoint, _ = node.endpoint()
    producer = node.producer(endpoint, ssrc=1)
    send(endpoint, 1)
    endpoint.remove_producer(producer, now=1.0)
    send(endpoint, 2)
    assert producer.update_stats().packets == 1
    assert node.drops.counts[DropReason.RTP_UNKNOWN_SSRC] == 1
    assert endpoint._streams.by_ssrc == {}
