"""What a producer counts of the audio levels that its publisher tells (RFC 6464)."""

from __future__ import annotations

import pytest

from sfu.rtp import packet
from tests.support.rtp_peers import IDS, OPUS, VP8, VP8_KEY, Node, rtp


def studio(codecs=(OPUS,), **changes):
    node = Node()
    endpoint, _ = node.endpoint()
    return node, endpoint, node.producer(endpoint, codecs, **changes)


def send(endpoint, number, *levels, **more):
    """The last of `levels` counts if there are several elements of the id."""
    elements = tuple((1, bytes([level])) for level in levels)
    endpoint.receive_rtp(rtp(number, b"o", payload_type=111, elements=elements, **more), now=number / 50)


def test_levels_are_summed_and_taken():
    _, endpoint, producer = studio()
    for number, level in enumerate((0x80 | 20, 30, 0x80 | 49, 50, 127)):
        send(endpoint, number, level)
    assert producer.take_levels() == (5, 3, 107 + 97 + 78 + 77 + 0)
    assert producer.take_levels() == (0, 0, 0)
    assert producer.update_stats().audio_level == (107 + 97 + 78 + 77) // 5 - 127


def test_a_packet_counts_once():
    """Of several elements the first counts; of several copies of a packet too."""
    _, endpoint, producer = studio()
    send(endpoint, 1, 20, 100)
    send(endpoint, 1, 20)
    assert producer.take_levels() == (1, 1, 107)


def test_packets_without_a_level_count_nothing():
    _, endpoint, producer = studio()
    send(endpoint, 1)
    assert producer.take_levels() == (0, 0, 0)
    assert producer.update_stats().audio_level == -127


def test_an_empty_element_is_no_level():
    """RFC 8285 section 4.3: the two-byte form has elements of no length; the octet behind it is another's."""
    _, endpoint, producer = studio()
    data = packet.serialize(
        payload_type=111, sequence_number=1, timestamp=0, ssrc=1, payload=b"\x05", ext_profile=0x1000, extension=bytes([1, 0, 0, 0])
    )  # fmt: skip
    endpoint.receive_rtp(data, now=0.0)
    assert producer.take_levels() == (0, 0, 0)
    assert producer.layers.streams[0].packets == 1


def test_a_muted_track_is_not_heard():
    _, endpoint, producer = studio()
    producer.set_muted(True, now=0.0)
    send(endpoint, 1, 20)
    assert producer.take_levels() == (0, 0, 0)


@pytest.mark.parametrize(
    ("codecs", "ids"),
    [((OPUS,), {}), ((VP8,), IDS)],
    ids=["not negotiated", "video"],
)
def test_publishers_that_tell_no_levels_are_told_apart_from_silent_ones(codecs, ids):
    _, endpoint, producer = studio(codecs, header_extensions=ids)
    endpoint.receive_rtp(rtp(1, VP8_KEY, payload_type=codecs[0].payload_type, elements=((1, b"\x05"),)), now=0.0)
    assert producer.take_levels() is None
