from __future__ import annotations

import pytest

from media.clock import WallClock, wall_to_ntp
from sfu.rtp.feedback import Fir, Nack
from sfu.stream.link import CLOCK_JUMP, PublisherLink
from sfu.stream.stats import RtpStats
from tests.support.rtp_peers import Wire


@pytest.fixture
def link() -> PublisherLink:
    return PublisherLink(Wire(), 7, WallClock(wall=1e9, now=0.0), RtpStats())


def test_the_first_report_sets_the_clock_and_late_ones_do_not_move_it(link):
    assert link.publisher_wall(1.0) is None
    link.receive_sr_time(wall_to_ntp(5e8), now=1.0)
    link.receive_sr_time(wall_to_ntp(5e8 + 1), now=2.3)  # 300 ms late on its way
    assert link.publisher_wall(4.0) == pytest.approx(5e8 + 3, abs=1e-3)


def test_a_publisher_that_sets_its_clock_is_followed(link):
    link.receive_sr_time(wall_to_ntp(5e8), now=1.0)
    link.receive_sr_time(wall_to_ntp(6e8), now=2.0)
    assert link.publisher_wall(3.0) == pytest.approx(6e8 + 1, abs=1e-3)
    assert CLOCK_JUMP >= 0.5  # or jitter of the network would pass for it


def test_a_nack_of_any_length_fits_its_datagrams():
    wire, stats = Wire(), RtpStats()
    link = PublisherLink(wire, 7, WallClock(wall=1e9, now=0.0), stats)
    lost = list(range(0, 512 * 20, 20))  # each needs an item of its own
    link.send_nack(3, lost)
    assert max(map(len, wire.rtcp)) <= 1200
    assert [number for message in wire.messages() if isinstance(message, Nack) for number in message.lost] == lost
    assert stats.nack_out == 512


def test_each_fir_has_a_new_number():
    wire, stats = Wire(), RtpStats()
    link = PublisherLink(wire, 7, WallClock(wall=1e9, now=0.0), stats)
    for _ in range(257):
        link.send_keyframe_request(3, fir=True)
    numbers = [message.requests[0][1] for message in wire.messages() if isinstance(message, Fir)]
    assert numbers == [*range(1, 256), 0, 1]
    assert stats.pli_out == stats.rtcp_out == 257
