from __future__ import annotations

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.rtp import packet
from sfu.rtp.payload import KEYFRAME_DETECTORS, av1, depacketize, h264, vp9
from sfu.rtp.payload.depacketize import DEPACKETIZERS
from tests.support import encoded

DECODERS = {"VP8": "vp8", "VP9": "vp9", "H264": "h264", "AV1": "libdav1d"}


def units(name: str, count: int = 12) -> list[bytes]:
    encoder = encoded.VideoEncoder(encoded.VIDEO_CODECS[name], 640, 360)
    made = [encoder.encode(40 + 10 * index) for index in range(count)]
    return [unit for unit in made if unit]


def join(parts: list[bytes]) -> bytes:
    return b"".join(parts)


@pytest.mark.parametrize("name", DECODERS)
def test_what_an_encoder_made_decodes_after_the_trip(name):
    codec, depacketizer = encoded.VIDEO_CODECS[name], DEPACKETIZERS[name]()
    decoder = av.CodecContext.create(DECODERS[name], "r")
    decoder.thread_count = 1
    lumas, most = [], 0
    for index, unit in enumerate(units(name)):
        payloads = encoded.payloads_of(codec, unit, picture=index)
        most = max(most, len(payloads))
        assert KEYFRAME_DETECTORS[name](payloads[0]) is (index == 0)
        for frame in decoder.decode(av.Packet(depacketizer.unit(payloads))) or ():
            lumas.append(round(float(np.median(frame.to_ndarray()[:360]))))
    lumas += [round(float(np.median(frame.to_ndarray()[:360]))) for frame in decoder.decode(None)]
    assert len(lumas) >= 10
    assert all(abs(luma - (40 + 10 * index)) <= 6 for index, luma in enumerate(lumas))
    assert most > 1 or name == "AV1"  # the first frame was cut into packets


def test_av1_obus_are_the_encoders_own():
    """Byte by byte, but for the temporal delimiter."""
    unit = units("AV1", 3)[0]
    fed = DEPACKETIZERS["AV1"]().unit(encoded.payloads_of(encoded.AV1, unit))
    assert list(encoded.obus_of(fed)) == list(encoded.obus_of(unit))
    assert fed in unit or unit.endswith(fed)


@pytest.mark.parametrize("size", [1, 5, 50, 700])
def test_av1_obus_cut_anywhere_are_joined(size):
    obus = [bytes((0x08, *range(20))), bytes((0x30,)) + bytes(600), bytes((0x34, 0x08)) + b"tile"]
    elements = join([encoded.leb128(len(obu)) + obu for obu in obus[:2]]) + obus[2]
    whole = [bytes((0x30,)) + elements]  # W = 3
    pieces, out = [obus[1][at : at + size] for at in range(0, len(obus[1]), size)], []
    for index, piece in enumerate(pieces):  # each in a packet of its own, W = 1
        out.append(bytes((0x10 | (index > 0) << 7 | (index < len(pieces) - 1) << 6,)) + piece)
    assert av1.unpack(out) == av1.unpack(whole)[1:2]
    assert [next(iter(encoded.obus_of(obu))) for obu in av1.unpack(whole)] == obus


def test_h264_packets_of_every_kind_become_annex_b():
    nals = [b"\x67sps", b"\x68pps", b"\x65" + bytes(range(256)) * 12, b"\x06sei"]
    payloads = H264Encoder._packetize(iter(nals))
    assert {payload[0] & 31 for payload in payloads} >= {h264.NAL_STAP_A, h264.NAL_FU_A}
    assert DEPACKETIZERS["H264"]().unit(payloads) == join([h264.START_CODE + nal for nal in nals])


def test_h264_pictures_without_parameter_sets_get_the_last_ones():
    depacketizer = DEPACKETIZERS["H264"]()
    depacketizer.unit([b"\x67sps", b"\x68pps", b"\x65one"])
    code = h264.START_CODE
    assert depacketizer.unit([b"\x65two"]) == join([code + b"\x67sps", code + b"\x68pps", code + b"\x65two"])
    assert depacketizer.unit([b"\x41delta"]) == code + b"\x41delta"


def test_vp9_layers_leave_as_a_superframe():
    # B|E with L: a base and an enhancement layer frame of one picture, each in one packet
    low, high = bytes((0x80 | 0x20 | 0x0C, 0x01, 0x00, 0x07)), bytes((0x80 | 0x20 | 0x0C, 0x01, 0x02, 0x07))
    joined = DEPACKETIZERS["VP9"]().unit([low + b"aaaa", high + b"bbbbbb"])
    assert joined == b"aaaabbbbbb" + bytes((0xC1, 4, 6, 0xC1))


@pytest.mark.parametrize(
    ("head", "size"),
    [
        ("0c", 1),
        ("8c 05", 2),
        ("8c 85 05", 3),
        ("ac 05 02 09", 4),  # L, non-flexible: TID byte and TL0PICIDX
        ("bc 05 02", 3),  # F
        ("fc 05 02 03 02", 5),  # P and F: two references
        ("8e 05 18 0140 00b4 01 04 05", 10),  # V: one size, one picture with one reference
    ],
)
def test_vp9_descriptors_of_every_form_are_stripped(head, size):
    payload = bytes.fromhex(head.replace(" ", ""))
    assert vp9.parse(payload + b"x").size == size == len(payload)
    for end in range(len(payload)):
        with pytest.raises(ParseError):
            vp9.parse(payload[:end])


def test_vp8_temporal_layers_say_what_can_go_on():
    def payload(tl0: int, tid: int, sync: bool = False) -> bytes:
        return bytes((0x90, 0x60, tl0, tid << 6 | sync << 5)) + b"\x01"

    base, upper = payload(255, 0), payload(255, 1)
    assert depacketize.continues("VP8", base, payload(0, 0))  # an upper one was lost
    assert not depacketize.continues("VP8", base, payload(1, 0))  # a base one was
    assert not depacketize.continues("VP8", upper, payload(255, 1))  # perhaps one that it refers to
    assert depacketize.continues("VP8", upper, payload(255, 1, sync=True))
    assert not depacketize.continues("VP9", base, payload(0, 0))
    assert not depacketize.continues("VP8", b"", payload(0, 0))
    assert not depacketize.continues("VP8", base, b"\x90")


RED = bytes.fromhex("ef0f0002" + "6f" + "aabb" + "cccc")  # 2 redundant bytes of 111, 960 ticks ago, then the primary


@pytest.mark.parametrize("number", [0, 1, 127, 32767, 65535])
def test_red_blocks_become_the_packets_they_repeat(number):
    outer = packet.parse(packet.serialize(payload_type=63, sequence_number=number, timestamp=5, ssrc=9, payload=RED))
    blocks = depacketize.unwrap_red(outer)
    assert [(b.sequence_number, b.payload, b.payload_type) for b in blocks] == [
        ((number - 1) & 0xFFFF, b"\xaa\xbb", 111),
        (number, b"\xcc\xcc", 111),
    ]
    assert [b.timestamp for b in blocks] == [(5 - 960) & 0xFFFFFFFF, 5]


@pytest.mark.parametrize(
    ("name", "payload", "most"),
    [("AV1", b"\x00" + b"\x01\x30" * 100, av1.MAX_OBUS), ("H264", b"\x18" + b"\x00\x01\x61" * 100, h264.MAX_NALS)],
)
def test_pieces_of_a_picture_are_bounded(name, payload, most):
    """Tiny ones cost far more than the bytes they are made of."""
    assert DEPACKETIZERS[name]().unit([payload] * (most // 100))
    with pytest.raises(ParseError, match="too many"):
        DEPACKETIZERS[name]().unit([payload] * (most // 100 + 2))


@pytest.mark.parametrize(("count", "fits"), [(depacketize.MAX_BLOCKS, True), (depacketize.MAX_BLOCKS + 1, False)])
def test_blocks_of_a_red_packet_are_bounded(count, fits):
    payload = bytes.fromhex("ef0f0001") * (count - 1) + b"\x6f" + bytes(count)
    outer = packet.parse(packet.serialize(payload_type=63, sequence_number=9, timestamp=5, ssrc=9, payload=payload))
    if fits:
        assert len(depacketize.unwrap_red(outer)) == count
    else:
        with pytest.raises(ParseError, match="too many"):
            depacketize.unwrap_red(outer)


@given(st.sampled_from(sorted(DEPACKETIZERS)), st.lists(st.binary(max_size=40), max_size=4))
def test_garbage_is_a_parse_error_and_nothing_else(name, payloads):
    try:
        data = DEPACKETIZERS[name]().unit(payloads)
    except ParseError:
        return
    assert data


@given(st.sampled_from(sorted(DECODERS)), st.data())
def test_damaged_packets_are_a_parse_error_and_nothing_else(name, data):
    seed = {"VP8": "90e08005ff20", "VP9": "ac0502090102", "H264": "7c8565aabb", "AV1": "18020a0b3000ff"}[name]
    payload = bytearray(bytes.fromhex(seed))
    for _ in range(data.draw(st.integers(0, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))
    try:
        assert DEPACKETIZERS[name]().unit([bytes(payload[:cut]), bytes(payload)])
    except ParseError:
        pass


@given(st.binary(max_size=30))
def test_garbage_as_red_is_a_parse_error_and_nothing_else(payload):
    outer = packet.parse(packet.serialize(payload_type=63, sequence_number=3, timestamp=5, ssrc=9, payload=payload))
    try:
        blocks = depacketize.unwrap_red(outer)
    except ParseError:
        return
    assert sum(len(block.payload) for block in blocks) < len(payload)
