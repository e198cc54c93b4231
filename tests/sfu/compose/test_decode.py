from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.codecs import Codec
from sfu.compose.decode import AudioDecoder, VideoDecoder
from sfu.compose.source import AccessUnit
from tests.support import encoded
from tests.support.encoded import H264, OPUS, VIDEO_CODECS, VP8, OpusEncoder, VideoEncoder


def unit(codec: Codec, data: bytes, *, keyframe: bool = True) -> AccessUnit:
    return AccessUnit(data, codec, 1e9, keyframe, False, 0)


def luma(frame) -> int:
    return round(float(np.median(frame.to_ndarray()[: frame.height])))


@pytest.mark.parametrize("name", VIDEO_CODECS)
def test_pictures_come_out_with_no_frame_of_delay(name):
    encoder, decoder = VideoEncoder(VIDEO_CODECS[name]), VideoDecoder()
    made = [encoder.encode(50 + 20 * index) for index in range(6)]
    for index, data in enumerate(data for data in made if data):
        (frame,) = decoder.decode(unit(VIDEO_CODECS[name], data, keyframe=index == 0))
        assert (frame.width, frame.height, frame.format.name) == (320, 180, "yuv420p")
        assert abs(luma(frame) - (50 + 20 * index)) <= 6
    assert decoder.stats.frames > 3 and decoder.stats.failures == 0


@pytest.mark.parametrize("name", VIDEO_CODECS)
def test_a_picture_may_change_its_size(name):
    decoder, sizes = VideoDecoder(), []
    for width, height in ((320, 180), (640, 360), (160, 90)):
        encoder = VideoEncoder(VIDEO_CODECS[name], width, height)
        for index in range(4):
            data = encoder.encode(100)
            if data:
                frames = decoder.decode(unit(VIDEO_CODECS[name], data, keyframe=index == 0))
                sizes += [(frame.width, frame.height) for frame in frames]
    assert list(dict.fromkeys(sizes)) == [(320, 180), (640, 360), (160, 90)]
    assert decoder.stats.failures == 0


def test_a_stream_may_change_its_codec():
    decoder = VideoDecoder()
    for codec in (VP8, H264, VP8):
        (frame,) = decoder.decode(unit(codec, VideoEncoder(codec).encode(77)))
        assert abs(luma(frame) - 77) <= 6


@pytest.mark.parametrize("name", VIDEO_CODECS)
def test_after_garbage_it_waits_for_a_keyframe(name):
    codec, decoder = VIDEO_CODECS[name], VideoDecoder()
    encoder = VideoEncoder(codec)
    made = [data for data in (encoder.encode(90) for _ in range(8)) if data]
    assert decoder.decode(unit(codec, made[0]))
    decoder.decode(unit(codec, b"\xff" * 50, keyframe=False))
    if decoder.needs_keyframe:
        assert decoder.decode(unit(codec, made[1], keyframe=False)) == []
    again = VideoEncoder(codec).encode(60) or made[0]
    frames = decoder.decode(unit(codec, again))
    assert frames and not decoder.needs_keyframe


def test_garbage_asks_for_a_keyframe():
    decoder = VideoDecoder()
    assert decoder.decode(unit(VP8, b"\x10\x02")) == []
    assert decoder.needs_keyframe and decoder.stats.failures


def test_what_nobody_decodes_is_a_failure_and_no_more():
    decoder = VideoDecoder()
    strange = Codec("H266", VP8.kind, 90_000, 33)
    assert decoder.decode(unit(strange, b"x")) == [] and decoder.stats.failures == 1
    sound = AudioDecoder()
    assert sound.decode(unit(Codec("PCMU", OPUS.kind, 8000, 0), b"x")) == [] and sound.stats.failures == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(VIDEO_CODECS)), st.binary(max_size=200), st.integers(0, 40))
def test_no_bytes_make_a_decoder_raise(name, noise, at):
    codec = VIDEO_CODECS[name]
    head = {"VP8": "10020009d012a4001b400", "VP9": "824983420013", "H264": "0000000167", "AV1": "0a0b"}[name]
    seed = bytes.fromhex(head + "0" * (len(head) % 2))
    decoder = VideoDecoder()
    decoder.decode(unit(codec, seed[:at] + noise))
    decoder.decode(unit(codec, noise))
    AudioDecoder().decode(unit(OPUS, noise))


def test_sound_is_stereo_at_48_kilohertz():
    encoder, decoder = OpusEncoder(1000.0), AudioDecoder()
    parts = [part for _ in range(25) for part in decoder.decode(unit(OPUS, encoder.encode()))]
    sound = np.concatenate(parts)
    assert sound.dtype == np.float32 and sound.shape[1] == 2
    assert abs(len(sound) - 25 * 960) <= 960
    spectrum = np.abs(np.fft.rfft(sound[9600:19200, 0]))
    assert np.argmax(spectrum) == 200  # 1000 Hz in bins of 5
    assert 0.3 < np.abs(sound[9600:]).max() < 0.7


def test_silence_is_silent_and_mono_is_heard_on_both_sides():
    decoder = AudioDecoder()
    (silence,) = decoder.decode(unit(OPUS, b"\xf8\xff\xfe"))
    assert silence.shape == (960, 2) and not silence.any()
    assert decoder.decode(unit(OPUS, b"\xff\xff\xff\xff")) == [] and decoder.stats.failures == 1
    assert decoder.decode(unit(OPUS, b"\xf8\xff\xfe"))[0].shape == (960, 2)


def test_lost_pictures_end_in_a_request_not_in_an_error():
    """VP8 deltas without what they refer to: whatever comes out, nothing raises and a keyframe mends it."""
    encoder, decoder = VideoEncoder(encoded.VP8), VideoDecoder()
    made = [encoder.encode(50 + index) for index in range(30)]
    for index in range(5, 30):
        decoder.decode(unit(VP8, made[index], keyframe=False))
    assert decoder.decode(unit(VP8, VideoEncoder(VP8).encode(99)))
