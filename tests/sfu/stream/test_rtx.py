from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp import packet
from sfu.stream import rtx
from tests.support.rtp_peers import START_NUMBERS, rtp


@pytest.mark.parametrize("number", START_NUMBERS)
@pytest.mark.parametrize("elements", [(), ((1, b"abc"),)])
def test_what_is_wrapped_unwraps(number, elements):
    plain = rtp(number, b"payload", marker=True, elements=elements)
    wrapped = rtx.wrap(
        plain, payload_offset=packet.parse(plain).payload_offset, ssrc=9, payload_type=97, sequence_number=4
    )
    seen = packet.parse(wrapped)
    assert (seen.ssrc, seen.payload_type, seen.sequence_number, seen.marker) == (9, 97, 4, True)
    assert seen.payload == number.to_bytes(2, "big") + b"payload"
    assert seen.extension == packet.parse(plain).extension
    original = rtx.unwrap(seen, ssrc=1, payload_type=96)
    assert original.payload == b"payload"
    assert (original.ssrc, original.payload_type, original.sequence_number) == (1, 96, number)
    assert (original.timestamp, original.marker) == (seen.timestamp, True)
    assert seen.payload_type == 97  # the packet that came is as it was


@given(st.binary(max_size=20))
def test_any_payload_unwraps_or_is_refused(payload):
    parsed = packet.parse(rtp(1, payload))
    if len(payload) < 2:
        with pytest.raises(ParseError):
            rtx.unwrap(parsed, ssrc=1, payload_type=96)
    else:
        assert rtx.unwrap(parsed, ssrc=1, payload_type=96).payload == payload[2:]
