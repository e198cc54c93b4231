from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp import packet
from sfu.rtp.packet import parse, serialize

# wire, then marker, payload type, number, time, ssrc, csrcs, profile, extension, payload, padding
TABLE = [
    ("8060ffff0000000100000002", (False, 96, 65535, 1, 2, "", 0, "", "", 0)),
    ("80ef00000000000100000002aabb", (True, 111, 0, 1, 2, "", 0, "", "aabb", 0)),
    ("8260000000000001000000020000000300000004cc", (False, 96, 0, 1, 2, "0000000300000004", 0, "", "cc", 0)),
    ("906000000000000100000002bede000110ff0000dd", (False, 96, 0, 1, 2, "", 0xBEDE, "10ff0000", "dd", 0)),
    ("906000000000000100000002abcd0000dd", (False, 96, 0, 1, 2, "", 0xABCD, "", "dd", 0)),
    ("a06000000000000100000002ee000003", (False, 96, 0, 1, 2, "", 0, "", "ee", 3)),
    ("a0600000000000010000000201", (False, 96, 0, 1, 2, "", 0, "", "", 1)),
    ("b16000000000000100000002 00000009 1000000103020102 ff0002".replace(" ", ""),
     (False, 96, 0, 1, 2, "00000009", 0x1000, "03020102", "ff", 2)),
]  # fmt: skip


def fields(parsed: packet.RtpPacket) -> tuple:
    return (
        parsed.marker,
        parsed.payload_type,
        parsed.sequence_number,
        parsed.timestamp,
        parsed.ssrc,
        parsed.csrcs.hex(),
        parsed.ext_profile,
        parsed.extension.hex(),
        parsed.payload.hex(),
        len(parsed.data) - parsed.payload_end,
    )


def write(values: tuple) -> bytes:
    marker, payload_type, number, timestamp, ssrc, csrcs, profile, extension, payload, padding = values
    return serialize(
        payload_type=payload_type,
        sequence_number=number,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=bytes.fromhex(payload),
        marker=marker,
        csrcs=bytes.fromhex(csrcs),
        ext_profile=profile,
        extension=bytes.fromhex(extension),
        padding=padding,
    )


@pytest.mark.parametrize(("wire", "values"), TABLE)
def test_table_parses(wire, values):
    assert fields(parse(bytes.fromhex(wire))) == values


@pytest.mark.parametrize(("wire", "values"), TABLE)
def test_table_serializes(wire, values):
    assert write(values) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "80600000000000010000",  # shorter than the header
        "40600000000000010000000200",  # version 1
        "8160000000000001000000020000",  # CSRC cut off
        "906000000000000100000002bede",  # extension head cut off
        "906000000000000100000002bede000210000000",  # extension cut off
        "a0600000000000010000000200",  # padding of nothing
        "a0600000000000010000000205",  # more padding than payload
    ],
)
def test_what_does_not_fit_is_refused(wire):
    with pytest.raises(ParseError):
        parse(bytes.fromhex(wire))


@given(st.binary(max_size=80))
def test_garbage_parses_or_is_refused(data):
    check(data)


@given(
    st.sampled_from([bytes.fromhex(wire) for wire, _ in TABLE]),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=5),
)
def test_mutations_parse_or_are_refused(wire, changes):
    data = bytearray(wire)
    for at, value in changes:
        data[at % len(data)] = value
    check(bytes(data))


def check(data: bytes) -> None:
    try:
        parsed = parse(data)
    except ParseError:
        return
    assert fields(parse(write(fields(parsed)))) == fields(parsed)
