from __future__ import annotations

import re

from media.drops import DropCounts, DropReason


def test_each_reason_starts_at_zero_and_counts_alone():
    drops = DropCounts()
    assert drops.counts == dict.fromkeys(DropReason, 0)
    drops.count(DropReason.SRTP_AUTH)
    drops.count(DropReason.SRTP_AUTH, 3)
    assert drops.counts.pop(DropReason.SRTP_AUTH) == 4
    assert not any(drops.counts.values())


def test_counts_are_not_shared():
    DropCounts().count(DropReason.SRTP_AUTH)
    assert DropCounts().counts[DropReason.SRTP_AUTH] == 0


def test_names_fit_a_metrics_label_and_differ():
    values = [reason.value for reason in DropReason]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", value) for value in values)
    assert len(set(values)) == len(values) == len(DropReason.__members__)
