from __future__ import annotations

import pytest

from media.clock import ntp_middle
from sfu.rtp.compound import parse_compound, serialize_compound
from sfu.rtp.reports import Bye, ExtendedReport, ReceiverReport, SenderReport, SourceDescription
from sfu.stream.report import MAX_BLOCKS, MAX_SENDERS
from tests.support.rtp_peers import OPUS, VP8_KEY, Node, rtp


def test_a_publisher_is_reported_to_with_our_name_and_reference_time():
    node = Node()
    endpoint, wire = node.endpoint()
    node.producer(endpoint)
    endpoint.receive_rtp(rtp(5, VP8_KEY), now=0.1)
    wire.take()
    endpoint.handle_timer(now=1.6)
    (data,) = wire.rtcp
    report, name, extended = parse_compound(data)
    assert isinstance(report, ReceiverReport) and report.blocks[0].highest_sequence == 5
    assert name == SourceDescription([(report.ssrc, [(1, b"tidegate")])])
    assert extended.rrtr == node.wall_clock.ntp(1.6)


def test_the_answer_to_our_reference_time_is_the_round_trip_time():
    node = Node()
    endpoint, _ = node.endpoint()
    node.producer(endpoint)
    sent = ntp_middle(node.wall_clock.ntp(5.0))
    answer = ExtendedReport(9, dlrr=[(endpoint.link.ssrc, sent, round(0.03 * 65536)), (4711, sent, 0)])
    endpoint.receive_rtcp(serialize_compound([ReceiverReport(9), answer]), now=5.08)
    assert endpoint.link.round_trip_time == pytest.approx(0.05, abs=0.001)


def test_reports_come_at_half_to_one_and_a_half_intervals():
    node = Node()
    endpoint, _ = node.endpoint()
    node.producer(endpoint)
    now, gaps = 0.0, []
    for _ in range(40):
        due = endpoint.get_timer()
        gaps.append(due - now)
        now = due
        endpoint.handle_timer(now=now)
    assert 0.5 <= min(gaps) < 0.8 and 1.2 < max(gaps) <= 1.5


def test_an_endpoint_with_nothing_to_report_is_silent():
    node = Node()
    endpoint, wire = node.endpoint()
    assert endpoint.get_timer() is None
    node.producer(endpoint)
    endpoint.handle_timer(now=2.0)
    assert wire.rtcp == []


def test_many_streams_and_consumers_are_split():
    node = Node()
    endpoint, wire = node.endpoint()
    source, _ = node.endpoint()
    for at in range(40):
        node.producer(endpoint, (OPUS,), ssrc=100 + at, mid=str(at))
        endpoint.receive_rtp(rtp(1, b"o", ssrc=100 + at, payload_type=111), now=0.0)
    producer = node.producer(source, (OPUS,), ssrc=900)
    for _ in range(40):
        node.consumer(endpoint, producer, cname="a participant with a long name")
    source.receive_rtcp(serialize_compound([SenderReport(900, 1 << 60, 0, 0, 0)]), now=0.0)
    source.receive_rtp(rtp(1, b"o", ssrc=900, payload_type=111), now=0.0)
    wire.take()
    endpoint.handle_timer(now=1.6)
    compounds = [parse_compound(data) for data in wire.rtcp]
    assert all(len(data) <= 1400 for data in wire.rtcp)
    blocks = [len(messages[0].blocks) for messages in compounds if isinstance(messages[0], ReceiverReport)]
    senders = [sum(isinstance(m, SenderReport) for m in messages) for messages in compounds]
    assert blocks == [MAX_BLOCKS, 40 - MAX_BLOCKS]
    assert sum(senders) == 40 and max(senders) == MAX_SENDERS
    for messages in compounds:
        if isinstance(messages[0], SenderReport):
            assert [ssrc for ssrc, _ in messages[-1].chunks] == [m.ssrc for m in messages[:-1]]


def test_bye_of_an_unknown_source_is_no_matter():
    node = Node()
    endpoint, _ = node.endpoint()
    endpoint.receive_rtcp(serialize_compound([Bye([1, 2])]), now=0.0)
