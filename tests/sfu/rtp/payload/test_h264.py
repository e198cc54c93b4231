from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.payload import h264


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("6788", True),  # SPS
        ("6588", False),  # IDR: a subscriber that begins here, its SPS lost or just gone by, sees nothing
        ("4188", False),
        ("6888", False),  # PPS alone
        ("78" + "000267aa" + "000268bb", True),  # STAP-A with SPS
        ("78" + "00020901" + "000267bb", True),  # delimiter, then SPS
        ("78" + "00020901" + "000265bb", False),  # delimiter, then IDR
        ("78" + "000241aa", False),
        ("78" + "ff", False),
        ("7c87", True),  # FU-A, first of an SPS
        ("7c07", False),  # FU-A, later of an SPS
        ("7c85", False),  # FU-A, first of an IDR
        ("7c81", False),
        ("7c", False),
        ("", False),
    ],
)
def test_keyframes(payload, expected):
    assert h264.is_keyframe(bytes.fromhex(payload)) is expected


@given(st.binary(max_size=12))
def test_garbage_is_no_error(payload):
    assert h264.is_keyframe(payload) in (True, False)
