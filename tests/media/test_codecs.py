from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from media.codecs import CLOCK_RATES, Codec, Kind


def test_defaults_are_mono_without_feedback_or_retransmission():
    codec = Codec("VP8", Kind.VIDEO, 90000, 96)
    assert (codec.channels, codec.fmtp, codec.feedback, codec.rtx_payload_type) == (1, {}, (), None)


def test_parameters_are_not_shared():
    assert Codec("VP8", Kind.VIDEO, 90000, 96).fmtp is not Codec("VP8", Kind.VIDEO, 90000, 96).fmtp


def test_a_codec_is_changed_by_making_another():
    codec = Codec("H264", Kind.VIDEO, 90000, 102, fmtp={"packetization-mode": "1"}, rtx_payload_type=103)
    with pytest.raises(FrozenInstanceError):
        codec.payload_type = 97  # type: ignore[misc]
    assert replace(codec, payload_type=97).fmtp == codec.fmtp
    assert replace(codec, payload_type=97) != codec


def test_kinds_are_sdps_words():
    assert [kind.value for kind in Kind] == ["audio", "video"]


def test_clock_rates_by_kind():
    assert {name for name, rate in CLOCK_RATES.items() if rate == 48000} == {"opus", "red"}
    assert {name for name, rate in CLOCK_RATES.items() if rate == 90000} == {"VP8", "VP9", "H264", "AV1"}
