from __future__ import annotations

import pytest

from sfu.rtp.compound import parse_compound, serialize_compound
from sfu.rtp.reports import ReceiverReport, ReportBlock


@pytest.mark.parametrize(("lost", "written"), [(0, 0), (-1, -1), (1 << 23, (1 << 23) - 1), (-(1 << 24), -(1 << 23))])
def test_cumulative_loss_stays_in_its_24_bits(lost, written):
    report = ReceiverReport(1, [ReportBlock(2, packets_lost=lost)])
    assert parse_compound(serialize_compound([report]))[0].blocks[0].packets_lost == written


def test_thirty_one_blocks_fit():
    report = ReceiverReport(1, [ReportBlock(ssrc) for ssrc in range(31)])
    assert parse_compound(serialize_compound([report])) == [report]
