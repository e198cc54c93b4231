from __future__ import annotations

import av
import pytest

from sfu.compose.blank import SILENCE, SILENCE_SAMPLES, black_keyframe, opus_samples, picture_size
from sfu.compose.decode import VideoDecoder
from sfu.compose.source import AccessUnit
from tests.support.encoded import OPUS, VIDEO_CODECS, VideoEncoder


def unit(name: str, data: bytes) -> AccessUnit:
    return AccessUnit(data, VIDEO_CODECS[name], 0.0, True, False, 0)


@pytest.mark.parametrize("name", VIDEO_CODECS)
@pytest.mark.parametrize("size", [(640, 360), (320, 180), (180, 320), (426, 240), (427, 241)])
def test_a_black_keyframe_is_one_black_picture(name, size):
    data = black_keyframe(name, *size)
    (frame,) = VideoDecoder().decode(unit(name, data))
    assert (frame.width, frame.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    planes = frame.to_ndarray()
    assert planes[: frame.height].max() <= 18 and abs(int(planes[frame.height :].mean()) - 128) <= 1
    assert black_keyframe(name, *size) is data


@pytest.mark.parametrize("name", VIDEO_CODECS)
def test_tiny_pictures_have_a_black_one_too(name):
    assert VideoDecoder().decode(unit(name, black_keyframe(name, 2, 2)))


@pytest.mark.parametrize("name", ["VP8", "AV1"])
def test_a_size_that_no_encoder_makes_has_a_black_picture_of_another(name):
    assert VideoDecoder().decode(unit(name, black_keyframe(name, 16_384, 64)))


@pytest.mark.parametrize("size", [(0, 0), (0, 360), (16_383, 16_383)])
def test_a_head_that_lies_about_its_size_has_none(size):
    data = b"\x10\x02\x00\x9d\x01\x2a" + size[0].to_bytes(2, "little") + size[1].to_bytes(2, "little") + bytes(20)
    assert picture_size(unit("VP8", data)) is None


@pytest.mark.parametrize("name", VIDEO_CODECS)
def test_the_size_of_a_keyframe_is_read(name):
    encoder = VideoEncoder(VIDEO_CODECS[name], 320, 180)
    first = next(data for data in (encoder.encode(50) for _ in range(4)) if data)
    assert picture_size(unit(name, first)) == (320, 180)
    assert picture_size(unit(name, b"\xff\xff")) is None


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (SILENCE, SILENCE_SAMPLES),
        (b"", 0),
        (bytes((0 << 3,)), 480),  # SILK, 10 ms
        (bytes((3 << 3,)), 2880),  # SILK, 60 ms
        (bytes((13 << 3,)), 960),  # hybrid, 20 ms
        (bytes((16 << 3,)), 120),  # CELT, 2.5 ms
        (bytes((31 << 3 | 1,)), 1920),  # two frames
        (bytes((31 << 3 | 2,)), 1920),
        (bytes((31 << 3 | 3, 3)), 2880),
        (bytes((31 << 3 | 3,)), 0),
        (bytes((31 << 3 | 3, 63)), 0),  # more than 120 ms
    ],
)
def test_how_long_a_packet_sounds(packet, samples):
    assert opus_samples(packet) == samples


def test_silence_is_what_a_decoder_takes_for_it():
    context = av.CodecContext.create("libopus", "r")
    (frame,) = context.decode(av.Packet(SILENCE))
    assert frame.samples == SILENCE_SAMPLES and not frame.to_ndarray().any()
    assert OPUS.clock_rate == 48_000
