from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp.payload import red

TWO = bytes.fromhex("ef0f0002" + "6f" + "aabb" + "cccc")  # 2 redundant bytes of 111, then the primary of 111


def test_blocks_are_found():
    assert red.parse(TWO) == ([0, 4], 5, 7)
    assert red.parse(b"\x6fab") == ([0], 1, 1)


def test_the_primary_block_alone():
    assert red.primary(TWO) == b"\xcc\xcc"


def test_block_types_are_renamed():
    assert red.rename(TWO, {111: 109}) == bytes.fromhex("ed0f0002" + "6d" + "aabb" + "cccc")


@pytest.mark.parametrize("wire", ["", "ef", "ef0f0002", "ef0f00026f", "ef0f00026faa"])
def test_what_is_cut_off_is_refused(wire):
    payload = bytes.fromhex(wire)
    with pytest.raises(ParseError):
        red.parse(payload)
    assert red.rename(payload, {111: 1}) == payload
    assert red.primary(payload) == b""


@given(st.binary(max_size=40))
def test_renaming_any_bytes_moves_nothing(payload):
    renamed = red.rename(payload, {111: 109, 0: 5})
    assert len(renamed) == len(payload)
    assert red.primary(renamed) == red.primary(payload)
