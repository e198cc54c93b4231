from __future__ import annotations

import pytest

from media.clock import wall_to_ntp
from media.drops import DropReason
from sfu.config import SfuConfig
from sfu.rtp import packet
from sfu.rtp.reports import SenderReport
from sfu.stream.receive import MAX_DROPOUT, RtpStreamRecv
from tests.support.rtp_peers import START_NUMBERS, rtp

CONFIG = SfuConfig(history_packets=128)


class Feed:
    def __init__(self) -> None:
        self.stream = RtpStreamRecv(1, CONFIG)
        self.now = 0.0
        self.restarts = 0

    def __call__(self, number: int, *, padding: bool = False, recovered: bool = False, step: float = 0.01):
        """The compacted number given, or why the packet is not forwarded."""
        self.now += step
        data = rtp(number, b"" if padding else b"x", timestamp=round(self.now * 90000), padding=4 if padding else 0)
        parsed = packet.parse(data)
        parsed.arrival = self.now
        drop = self.stream.receive(parsed, now=self.now, recovered=recovered)
        if self.stream.restarting:
            self.restarts += 1
            drop = self.stream.receive(parsed, now=self.now)
        return drop or parsed.sequence

    def asked(self) -> list[int]:
        self.now += 0.2
        return self.stream.lost_to_ask(now=self.now, round_trip_time=0.05)


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.mark.parametrize("first", START_NUMBERS)
def test_numbers_grow_over_the_wrap(feed, first):
    got = [feed(first + at) for at in range(40)]
    assert got == list(range(got[0], got[0] + 40))
    assert feed.stream.lost == 0


@pytest.mark.parametrize("first", START_NUMBERS)
def test_reordered_packets_get_their_places(feed, first):
    start = feed(first)
    assert [feed(first + at) - start for at in (2, 1, 4, 5, 3)] == [2, 1, 4, 5, 3]
    assert feed.asked() == []


@pytest.mark.parametrize("first", START_NUMBERS)
def test_duplicates_are_known(feed, first):
    feed(first)
    feed(first + 1)
    assert feed(first + 1) is DropReason.RTP_DUPLICATE
    assert feed(first) is DropReason.RTP_DUPLICATE
    assert feed.stream.packets == 2


@pytest.mark.parametrize("first", START_NUMBERS)
def test_what_overtook_the_first_packet_does_not_lose_it(feed, first):
    start = feed(first)
    assert feed(first - 1) == start - 1


@pytest.mark.parametrize("first", START_NUMBERS)
def test_padding_leaves_no_hole(feed, first):
    start = feed(first)
    assert feed(first + 1, padding=True) is DropReason.RTP_PADDING
    assert feed(first + 1, padding=True) is DropReason.RTP_DUPLICATE
    assert feed(first + 4) == start + 3
    assert feed(first + 2) == start + 1
    assert feed(first + 3) == start + 2
    assert feed.stream.lost == 0 and feed.stream.padding == 1


def test_padding_that_comes_late_fills_its_hole(feed):
    start = feed(10)
    assert feed(12) == start + 2
    assert feed(11, padding=True) == start + 1
    assert feed(13) == start + 3


def test_padding_first_of_all(feed):
    assert feed(10, padding=True) is DropReason.RTP_PADDING
    start = feed(11)
    assert feed(12) == start + 1


@pytest.mark.parametrize("first", START_NUMBERS)
def test_holes_are_asked_for_by_their_wire_numbers(feed, first):
    feed(first)
    feed(first + 4)
    feed(first + 2)
    assert feed.asked() == [(first + 1) & 0xFFFF, (first + 3) & 0xFFFF]


def test_padding_is_no_hole_to_ask_for(feed):
    feed(1)
    feed(2, padding=True)
    feed(3)
    assert feed.asked() == []


@pytest.mark.parametrize("first", START_NUMBERS)
@pytest.mark.parametrize("jump", [MAX_DROPOUT + 1, 20000, 32768, 40000, 65000])
def test_a_huge_jump_is_a_restart_once_a_second_packet_says_so(feed, first, jump):
    start = feed(first)
    assert feed(first + jump) is DropReason.RTP_TOO_OLD
    assert feed.restarts == 0
    assert feed(first + jump + 1) == start + 1
    assert feed.restarts == 1
    assert feed(first + jump + 2) == start + 2
    assert feed(first + jump - 1) is DropReason.RTP_TOO_OLD  # belongs to no run
    assert feed.asked() == []


def test_a_report_of_before_a_restart_tells_nothing_of_the_times_after_it(feed):
    feed.stream.receive_sr(SenderReport(1, wall_to_ntp(1e9), 5, 0, 0), now=0.0)
    feed(1)
    assert feed.stream.sr is not None
    feed(20000)
    feed(20001)
    assert feed.restarts == 1
    assert feed.stream.sr is None


def test_one_stray_packet_changes_nothing(feed):
    start = feed(1)
    assert feed(30000) is DropReason.RTP_TOO_OLD
    assert feed(2) == start + 1
    assert feed(30002) is DropReason.RTP_TOO_OLD
    assert feed(3) == start + 2


def test_a_retransmission_never_restarts_a_stream(feed):
    feed(1)
    feed(30000, recovered=True)
    assert feed(30001, recovered=True) is DropReason.RTP_TOO_OLD


def test_older_than_the_history_is_too_old(feed):
    start = feed(1)
    feed(2)
    feed(500)
    assert feed(500 - 127) == start + 499 - 127
    assert feed(500 - 128) is DropReason.RTP_TOO_OLD


def test_more_loss_than_is_asked_for_is_told(feed):
    feed(1)
    feed(2000)
    assert feed.stream.overrun and feed.asked() == []


def test_reports_count_as_rfc_3550_does(feed):
    feed.stream.receive_sr(SenderReport(1, wall_to_ntp(1000.0), 0, 0, 0), now=feed.now)
    for number in (65534, 65535, 1, 2):  # 0 is lost
        feed(number)
    feed.now += 0.46
    block = feed.stream.report_block(now=feed.now)
    assert block.fraction_lost == 256 // 5
    assert block.packets_lost == 1
    assert block.highest_sequence == (1 << 16) + 2
    assert block.dlsr == round(0.5 * 65536)
    assert block.lsr == (wall_to_ntp(1000.0) >> 16) & 0xFFFFFFFF
    for number in (3, 4):
        feed(number)
    assert feed.stream.report_block(now=feed.now).fraction_lost == 0
    assert feed.stream.report_block(now=feed.now).packets_lost == 1


def test_what_was_retransmitted_stays_lost_in_reports(feed):
    feed(1)
    feed(3)
    feed(2, recovered=True)
    assert feed.stream.report_block(now=feed.now).packets_lost == 1
    assert feed.stream.recovered == 1


def test_jitter_is_zero_for_an_even_stream_and_converges_for_another():
    even = Feed()
    for number in range(200):
        even(number)
    assert even.stream.report_block(now=even.now).jitter == 0
    stream = RtpStreamRecv(1, CONFIG)
    for number in range(400):
        parsed = packet.parse(rtp(number, b"x", timestamp=number * 900))
        parsed.arrival = now = number * 0.01 + 0.005 * (number % 2)
        stream.receive(parsed, now=now)
    assert stream.report_block(now=5).jitter == pytest.approx(450, rel=0.02)  # 5 ms back and forth
