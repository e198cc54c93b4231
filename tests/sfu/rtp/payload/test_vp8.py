from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp.payload import vp8

KEY = bytes.fromhex("9001009d012a80026801")  # frame tag with P = 0, start code, 640 x 360


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("10" + "00", True),
        ("10" + "01", False),
        ("00" + "00", False),  # continues a partition
        ("11" + "00", False),  # partition 1
        ("9080" + "7f" + "00", True),  # 7-bit picture id
        ("90e0" + "8001" + "05" + "20" + "00", True),
        ("90e0" + "8001" + "05" + "20" + "01", False),
        ("90", False),
        ("", False),
    ],
)
def test_keyframes(payload, expected):
    assert vp8.is_keyframe(bytes.fromhex(payload)) is expected


def test_the_height_of_a_keyframe():
    assert vp8.frame_height(b"\x10" + KEY) == 360
    assert vp8.frame_height(b"\x10\x01" + KEY[1:]) is None
    assert vp8.frame_height(b"\x10" + KEY[:9]) is None


@pytest.mark.parametrize(
    ("payload", "picture", "tl0", "expected"),
    [
        ("90e0ffff05200099", 1, 1, "90e0800006200099"),  # 15 bits wrap
        ("90c07fff99", 1, 2, "90c0000199"),  # 7 bits and 8 bits wrap
        ("9080800099", 0x7FFF, 9, "9080ffff99"),
        ("1099", 5, 5, "1099"),  # nothing to renumber
        ("90", 5, 5, "90"),  # unreadable
    ],
)
def test_renumbering(payload, picture, tl0, expected):
    assert vp8.renumber(bytes.fromhex(payload), picture, tl0).hex() == expected


@given(st.binary(max_size=12), st.integers(0, 0x7FFF), st.integers(0, 255))
def test_renumbering_any_bytes_keeps_their_length(payload, picture, tl0):
    out = vp8.renumber(payload, picture, tl0)
    assert len(out) == len(payload)
    try:
        before, after = vp8.parse(payload), vp8.parse(out)
    except ParseError:
        assert out == payload
        return
    assert out[after.size :] == payload[before.size :]
    if before.picture_id is not None:
        assert (after.picture_id - before.picture_id - picture) % (1 << before.picture_id_bits) == 0
    vp8.is_keyframe(payload)
    vp8.frame_height(payload)
