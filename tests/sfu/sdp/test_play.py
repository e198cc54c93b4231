from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.codecs import Kind
from media.errors import ParseError, PeerError
from sfu.rtp import extensions as ext
from sfu.sdp.description import Direction, SsrcGroup
from sfu.sdp.grammar import parse, serialize
from sfu.sdp.negotiate import Encoding, PlaySource, answer_play, match_codecs
from sfu.sdp.negotiated import CODEC_NOT_SUPPORTED
from tests.sfu.sdp.samples import (
    AUDIO_LINES,
    CONFIG,
    H264,
    LOCAL,
    OFFERS,
    OPUS,
    TRANSPORT_LINES,
    VIDEO_LINES,
    VP8,
    offer,
)

AUDIO = (*AUDIO_LINES, *TRANSPORT_LINES, "a=recvonly")
VIDEO = (*VIDEO_LINES, *TRANSPORT_LINES, "a=recvonly")
MICROPHONE = PlaySource(11, None, "PA_ann", "TR_mic")
CAMERA = PlaySource(12, 13, "PA_ann", "TR_cam")
BOTH = {Kind.AUDIO: MICROPHONE, Kind.VIDEO: CAMERA}
PLAYERS = [name for name in OFFERS if "play" in name]


@pytest.mark.parametrize("name", PLAYERS)
def test_every_real_player_is_answered(name):
    negotiation = answer_play(parse(OFFERS[name]), LOCAL, CONFIG, BOTH)
    assert parse(serialize(negotiation.answer)) == negotiation.answer
    for media, answered in zip(negotiation.media, negotiation.answer.media, strict=True):
        assert media.direction is Direction.RECVONLY
        assert answered.direction is Direction.SENDONLY
        assert answered.setup == "passive"
        assert answered.msids == [("PA_ann", "TR_mic" if media.kind is Kind.AUDIO else "TR_cam")]
        assert media.header_extensions[ext.MID]


def test_unknown_source_is_answered_by_all_codecs_and_matched_later():
    media = answer_play(parse(OFFERS["chromium_play_audio_video"]), LOCAL, CONFIG, BOTH).media[1]
    assert {c.name for c in media.codecs} == {"VP8", "VP9", "H264", "AV1"}
    (h264,) = match_codecs(media.codecs, (H264,))
    assert (h264.payload_type, h264.rtx_payload_type) == (102, 103)
    firefox = answer_play(parse(OFFERS["firefox_play_audio_video"]), LOCAL, CONFIG, BOTH).media[1]
    assert match_codecs(firefox.codecs, (VP8,))[0].payload_type == 120
    with pytest.raises(PeerError) as refused:
        match_codecs(firefox.codecs, (H264,))
    assert refused.value.code == CODEC_NOT_SUPPORTED


def test_known_source_is_answered_by_its_codec_alone():
    sources = {Kind.AUDIO: MICROPHONE, Kind.VIDEO: replace(CAMERA, codecs=(VP8,))}
    negotiation = answer_play(parse(OFFERS["firefox_play_audio_video"]), LOCAL, CONFIG, sources)
    assert negotiation.answer.media[1].formats == ("120", "124")
    assert negotiation.media[1].encodings == (Encoding(12, 13),)
    assert negotiation.answer.media[1].ssrc_groups == [SsrcGroup("FID", (12, 13))]
    assert negotiation.answer.media[1].ssrcs[13] == {"cname": "PA_ann"}


def test_without_rtx_there_is_no_rtx_ssrc():
    negotiation = answer_play(offer(VIDEO), LOCAL, CONFIG, BOTH)
    assert negotiation.media[0].encodings == (Encoding(12),)
    assert list(negotiation.answer.media[0].ssrcs) == [12]


def test_player_that_cannot_take_the_source():
    sources = {Kind.AUDIO: MICROPHONE, Kind.VIDEO: replace(CAMERA, codecs=(H264,))}
    negotiation = answer_play(offer(AUDIO, VIDEO), LOCAL, CONFIG, sources)
    assert [m.rejected for m in negotiation.media] == [False, True]
    with pytest.raises(PeerError) as refused:
        answer_play(offer(VIDEO), LOCAL, CONFIG, sources)
    assert refused.value.code == CODEC_NOT_SUPPORTED


def test_kind_without_source_and_second_line_of_a_kind_are_inactive():
    negotiation = answer_play(offer(AUDIO, AUDIO, VIDEO), LOCAL, CONFIG, {Kind.AUDIO: replace(MICROPHONE, codecs=(OPUS,))})
    assert [m.direction for m in negotiation.media] == [Direction.RECVONLY, Direction.INACTIVE, Direction.INACTIVE]
    assert negotiation.answer.media[1].msids == []
    assert negotiation.media[1].encodings == ()


def test_line_that_does_not_receive_is_inactive():
    negotiation = answer_play(offer((*AUDIO[:-1], "a=sendonly"), VIDEO), LOCAL, CONFIG, BOTH)
    assert [m.direction for m in negotiation.media] == [Direction.INACTIVE, Direction.RECVONLY]


def test_sendrecv_offer_is_only_sent_to():
    negotiation = answer_play(offer(AUDIO[:-1]), LOCAL, CONFIG, BOTH)
    assert negotiation.answer.media[0].direction is Direction.SENDONLY


def test_extensions_are_those_the_player_receives():
    extensions = (f"a=extmap:1/sendonly {ext.MID}", f"a=extmap:2/recvonly {ext.TRANSPORT_CC}", f"a=extmap:3 {ext.RID}")
    media = answer_play(offer((*VIDEO, *extensions)), LOCAL, CONFIG, BOTH).media[0]
    assert media.header_extensions == {ext.TRANSPORT_CC: 2}


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([OFFERS[name] for name in PLAYERS]), st.data())
def test_mutated_offers_are_answered_or_refused(sample, data):
    lines = sample.split("\r\n")
    for _ in range(data.draw(st.integers(1, 6))):
        here, there = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        if data.draw(st.booleans()):
            lines[here] = lines[there]
        else:
            del lines[here]
    try:
        negotiation = answer_play(parse("\r\n".join(lines)), LOCAL, CONFIG, BOTH)
    except (ParseError, PeerError):
        return
    assert parse(serialize(negotiation.answer)) == negotiation.answer
