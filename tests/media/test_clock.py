from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clock import NTP_UNIX_OFFSET, WallClock, ntp_middle, ntp_to_wall, wall_to_ntp


def test_the_unix_epoch_in_ntp():
    assert wall_to_ntp(0.0) == NTP_UNIX_OFFSET << 32
    assert wall_to_ntp(0.5) & 0xFFFF_FFFF == 1 << 31
    assert ntp_to_wall(NTP_UNIX_OFFSET << 32) == 0.0


@given(st.floats(0, 2_000_000_000))
def test_wall_time_survives_ntp(wall: float):
    assert ntp_to_wall(wall_to_ntp(wall)) == pytest.approx(wall, abs=2e-6)


def test_ntp_wraps_with_its_era():
    era = (1 << 32) - NTP_UNIX_OFFSET  # 2036-02-07
    assert wall_to_ntp(era) == 0
    assert wall_to_ntp(era + 1.0) == 1 << 32


def test_the_middle_is_seconds_and_fractions_of_16_bits():
    assert ntp_middle(0x1234_5678_9ABC_DEF0) == 0x5678_9ABC


def test_wall_clock_is_a_fixed_offset():
    clock = WallClock(wall=1_800_000_000.0, now=50.0)
    assert clock.wall(50.0) == 1_800_000_000.0
    assert clock.wall(60.25) - clock.wall(50.0) == 10.25
    assert clock.ntp(51.0) - clock.ntp(50.0) == 1 << 32
    assert clock.ntp(50.0) == wall_to_ntp(1_800_000_000.0)
