from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.payload import vp9


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("08", True),  # begins a frame, not predicted
        ("48", False),  # predicted
        ("00", False),  # middle of a frame
        ("88" + "05", True),
        ("a8" + "05" + "00" + "00", True),  # spatial layer 0
        ("a8" + "8005" + "02" + "00", False),  # spatial layer 1
        ("a8" + "80", False),
        ("", False),
    ],
)
def test_keyframes(payload, expected):
    assert vp9.is_keyframe(bytes.fromhex(payload)) is expected


@given(st.binary(max_size=6))
def test_garbage_is_no_error(payload):
    assert vp9.is_keyframe(payload) in (True, False)
