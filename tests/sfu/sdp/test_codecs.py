from __future__ import annotations

from dataclasses import replace

import pytest

from media.codecs import Codec, Kind
from media.errors import PeerError
from sfu.sdp import codecs
from sfu.sdp.codecs import (
    canonical_codecs,
    h264_profile,
    match_codecs,
    parse_fmtp,
    read_codecs,
    serialize_fmtp,
    with_its_opus,
    write_codecs,
)
from sfu.sdp.description import MediaDescription
from sfu.sdp.negotiated import CODEC_NOT_SUPPORTED
from tests.sfu.sdp.samples import H264, OPUS, VP8, VP9, offer

RED = Codec("red", Kind.AUDIO, 48000, 63, 2, {"111/111": ""})


def read(kind: str, *lines: str) -> tuple[Codec, ...]:
    media = offer((f"m={kind} 9 UDP/TLS/RTP/SAVPF {lines[0]}", *lines[1:])).media[0]
    return read_codecs(media, Kind(kind))


def h264(level_id: str, payload_type: int = 102) -> Codec:
    return replace(
        H264, payload_type=payload_type, fmtp={"packetization-mode": "1", "profile-level-id": level_id}
    )


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("minptime=10;useinbandfec=1", {"minptime": "10", "useinbandfec": "1"}),
        ("111/111", {"111/111": ""}),
        ("sprop-parameter-sets=Z0LA==,aM==", {"sprop-parameter-sets": "Z0LA==,aM=="}),
    ],
)
def test_fmtp_both_ways(text, parameters):
    assert parse_fmtp(text) == parameters
    assert serialize_fmtp(parameters) == text


def test_fmtp_is_read_generously():
    assert parse_fmtp(" Profile-Level-ID=42e01f ; ;apt = 96;") == {"profile-level-id": "42e01f", "apt": "96"}


@pytest.mark.parametrize(
    ("level_id", "profile"),
    [
        ("42e01f", "baseline"), ("42001f", "baseline"), ("42c01f", "baseline"), ("42E034", "baseline"),
        ("4d801f", "baseline"), ("4d001f", "main"), ("4d401f", "main"), ("64001f", "high"), ("640c1f", "constrained-high"),
        ("f4001f", None), ("58a01f", "baseline"), ("", None), ("42e0", None), ("zzzzzz", None), ("42e01f00", None),
    ],
)  # fmt: skip
def test_h264_profiles(level_id, profile):
    assert h264_profile({"profile-level-id": level_id}) == profile


def test_h264_without_profile_is_baseline():
    assert h264_profile({}) == "baseline"


def test_codecs_come_in_the_order_of_the_m_line_with_rtx_and_the_feedback_we_know():
    found = read(
        "video", "98 99 96 97 100", "a=rtpmap:96 vp8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96;rtx-time=3000",
        "a=rtpmap:98 VP9/90000", "a=rtpmap:99 RTX/90000", "a=fmtp:99 apt=98", "a=rtpmap:100 ulpfec/90000",
        "a=rtcp-fb:* nack", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 goog-remb", "a=rtcp-fb:98 transport-cc",
    )  # fmt: skip
    assert [(c.name, c.payload_type, c.rtx_payload_type, c.feedback) for c in found] == [
        ("VP9", 98, 99, ("transport-cc", "nack")),
        ("VP8", 96, 97, ("nack", "nack pli")),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=0;profile-level-id=42e01f"),
        ("96", "a=rtpmap:96 H264/90000", "a=fmtp:96 profile-level-id=42e01f"),
        ("96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=f4001f"),
        ("96", "a=rtpmap:96 VP8/48000"),
        ("96", "a=rtpmap:96 VP9/90000", "a=fmtp:96 profile-id=4"),
        ("96", "a=rtpmap:96 AV1/90000", "a=fmtp:96 profile=2"),
        ("96", "a=rtpmap:96 opus/48000/2"),
        ("96 118", "a=rtpmap:118 red/90000"),
        ("31 34",),
    ],
)
def test_what_we_do_not_forward_is_not_read(lines):
    assert read("video", *lines) == ()


def test_opus_keeps_dtx_and_stereo_asks_for_fec_and_leaves_the_offerers_own_limits():
    (opus,) = read(
        "audio", "111", "a=rtpmap:111 OPUS/48000/2",
        "a=fmtp:111 minptime=10;usedtx=1;sprop-stereo=1;maxaveragebitrate=96000;maxplaybackrate=16000",
    )  # fmt: skip
    assert opus.name == "opus"
    assert opus.fmtp == {"minptime": "10", "useinbandfec": "1", "usedtx": "1", "stereo": "1"}


def test_opus_of_one_channel_is_not_opus():
    assert read("audio", "111", "a=rtpmap:111 opus/48000") == ()  # RFC 7587 section 7: MUST be 2


def test_red_goes_with_its_opus_only_when_it_comes_first():
    assert with_its_opus((RED, OPUS)) == (RED, OPUS)
    assert with_its_opus((OPUS, RED)) == (OPUS,)
    assert with_its_opus((RED, replace(OPUS, payload_type=96))) == (replace(OPUS, payload_type=96),)
    assert with_its_opus((RED,)) == ()


def test_matching_gives_the_receivers_payload_types():
    receiver = (replace(VP9, payload_type=121), replace(VP8, payload_type=120, rtx_payload_type=124))
    assert match_codecs(receiver, (VP8,)) == (receiver[1],)


@pytest.mark.parametrize(
    ("receiver", "producer", "matched"),
    [
        (["42001f"], "42e01f", "42001f"),
        (["4d001f", "42e01f"], "42001f", "42e01f"),
        (["4d001f"], "42e01f", "4d001f"),
        (["64001f"], "4d001f", "64001f"),
        (["42e01f"], "4d001f", None),
        (["4d001f"], "64001f", None),
    ],
)
def test_h264_receiver_must_decode_the_producers_profile(receiver, producer, matched):
    offered = tuple(h264(level_id, 100 + i) for i, level_id in enumerate(receiver))
    if matched is None:
        with pytest.raises(PeerError):
            match_codecs(offered, (h264(producer),))
    else:
        assert match_codecs(offered, (h264(producer),))[0].fmtp["profile-level-id"] == matched


def test_receiver_without_the_codec_is_refused():
    with pytest.raises(PeerError) as refused:
        match_codecs((VP8,), (VP9,))
    assert refused.value.code == CODEC_NOT_SUPPORTED
    with pytest.raises(PeerError):
        match_codecs((replace(VP9, fmtp={"profile-id": "2"}),), (VP9,))


def test_receiver_without_red_takes_opus_alone():
    assert match_codecs((OPUS,), (RED, OPUS)) == (OPUS,)
    with pytest.raises(PeerError):
        match_codecs((RED,), (RED, OPUS))


def test_canonical_payload_types_never_mean_two_things():
    used: list[int] = []
    for payload_type, rtx_payload_type, _ in codecs._CANONICAL.values():
        used += [pt for pt in (payload_type, rtx_payload_type) if pt is not None]
    assert len(set(used)) == len(used)
    assert all(35 <= pt <= 63 or 96 <= pt <= 127 for pt in used)  # RFC 5761 section 4: 64-95 would look like RTCP


def test_canonical_codecs_forget_the_producers_numbers():
    (vp8,) = canonical_codecs((replace(VP8, payload_type=120, rtx_payload_type=124),), rtx=True)
    assert (vp8.payload_type, vp8.rtx_payload_type) == (96, 97)
    (vp8,) = canonical_codecs((VP8,), rtx=False)
    assert vp8.rtx_payload_type is None
    stereo = replace(OPUS, fmtp={"stereo": "1"})
    assert [c.payload_type for c in canonical_codecs((RED, OPUS), rtx=False)] == [63, 111]
    assert [c.payload_type for c in canonical_codecs((RED, stereo), rtx=False)] == [62, 110]


def test_canonical_codec_outside_the_table_is_refused():
    with pytest.raises(PeerError):
        canonical_codecs((h264("f4001f"),), rtx=True)


@pytest.mark.parametrize("codec", [OPUS, VP8, VP9, h264("640c1f")], ids=lambda c: c.name)
def test_written_codecs_are_read_again(codec):
    wanted = canonical_codecs((codec,), rtx=True)
    media = MediaDescription(kind=codec.kind.value)
    write_codecs(media, wanted)
    (read_again,) = read_codecs(media, codec.kind)
    assert (read_again.payload_type, read_again.rtx_payload_type) == (wanted[0].payload_type, wanted[0].rtx_payload_type)
    assert set(read_again.feedback) == set(wanted[0].feedback)
