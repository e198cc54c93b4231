from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.payload import av1


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("0800", True),  # N
        ("8800", False),  # continues an element
        ("100a", True),  # one element, a sequence header
        ("1030", False),  # a frame
        ("000b0a", True),  # W = 0: a length, then the sequence header
        ("20800130", False),
        ("2080010a", True),  # a length of two bytes
        ("2080", False),
        ("08", False),
        ("", False),
    ],
)
def test_keyframes(payload, expected):
    assert av1.is_keyframe(bytes.fromhex(payload)) is expected


@given(st.binary(max_size=6))
def test_garbage_is_no_error(payload):
    assert av1.is_keyframe(payload) in (True, False)
