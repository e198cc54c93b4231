"""One encode: keyframes at their beat, a constant rate, times that count frames and samples, encoders that are not there."""

from __future__ import annotations

import itertools
from dataclasses import replace

import av
import numpy as np
import pytest

from sfu.compose.encoder import Encoded, EncoderMissing, Encoders, default_bps
from sfu.compose.messages import EncoderSpec

FPS = 30


def noise(count: int, size: tuple[int, int] = (320, 180)) -> list[av.VideoFrame]:
    rng = np.random.default_rng(1)
    shape = (size[1] * 3 // 2, size[0])
    return [av.VideoFrame.from_ndarray(rng.integers(16, 235, shape, np.uint8), format="yuv420p") for _ in range(count)]


def encode(encoders: Encoders, frames: list[av.VideoFrame], indexes: list[int] | None = None) -> list[Encoded]:
    out = []
    for index, frame in zip(indexes or range(len(frames)), frames, strict=True):
        out += encoders.encode_video(frame, index)
    return out + [packet for packet in encoders.flush() if packet.is_video]


@pytest.mark.parametrize("family", ["h264", "webm"])
def test_keyframes_come_every_two_seconds_and_nowhere_else(family: str) -> None:
    """In noise, where an encoder left to itself would see cuts."""
    packets = encode(Encoders(EncoderSpec(), family, (320, 180), FPS), noise(150))
    assert [packet.pts for packet in packets] == list(range(150))
    assert [packet.pts for packet in packets if packet.keyframe] == [0, 60, 120]


def test_a_keyframe_that_was_left_out_comes_with_the_next_picture() -> None:
    indexes = [*range(58), *range(63, 125)]
    packets = encode(Encoders(EncoderSpec(), "h264", (320, 180), FPS), noise(len(indexes)), indexes)
    assert [packet.pts for packet in packets if packet.keyframe] == [0, 63, 120]


def test_keyframes_are_closed_and_carry_what_a_late_joiner_needs() -> None:
    """Decoding may begin at each of them."""
    encoders = Encoders(EncoderSpec(), "h264", (320, 180), FPS)
    packets = encode(encoders, noise(90))
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = encoders.video.codec_context.extradata
    pictures = []
    for packet in packets[60:]:
        pictures += decoder.decode(av.Packet(packet.data))
    assert len(pictures + decoder.decode(None)) == 30
    assert pictures[0].key_frame


@pytest.mark.parametrize("family", ["h264", "webm"])
def test_the_rate_is_kept(family: str) -> None:
    """After the first seconds, which the buffer allows to be dearer."""
    rng = np.random.default_rng(1)
    checks = rng.integers(16, 235, (180, 270 // 15, 320 // 16), np.uint8).repeat(15, axis=1).repeat(16, axis=2)
    frames = [av.VideoFrame.from_ndarray(checked, format="yuv420p") for checked in checks]
    packets = encode(Encoders(EncoderSpec(video_bps=1_500_000), family, (320, 180), FPS), frames)
    bps = sum(len(packet.data) for packet in packets[60:]) * 8 / 4
    assert bps == pytest.approx(1_500_000, rel=0.1)


@pytest.mark.parametrize(
    ("size", "bps"),
    [((854, 480), 1_200_000), ((480, 854), 1_200_000), ((1280, 720), 2_500_000), ((1920, 1080), 4_500_000)],
)
def test_the_rate_goes_by_the_size(size: tuple[int, int], bps: int) -> None:
    assert default_bps(*size) == bps


@pytest.mark.parametrize("family", ["h264", "webm"])
def test_sound_is_numbered_by_its_samples(family: str) -> None:
    encoders = Encoders(EncoderSpec(), family, None, FPS)
    packets, position, block = [], 0, encoders.block_samples
    for _ in range(50):
        packets += encoders.encode_audio(np.zeros((block, 2), np.float32), position)
        position += block
    packets += encoders.flush()
    assert -block < packets[0].pts < block and (family == "webm" or packets[0].pts >= 0)
    assert {b.pts - a.pts for a, b in itertools.pairwise(packets)} == {block}
    assert packets[-1].pts + block >= position - block


def test_h264_says_what_platforms_ask_for() -> None:
    context = Encoders(EncoderSpec(), "h264", (1280, 720), FPS).video.codec_context
    assert context.pix_fmt == "yuv420p" and context.max_b_frames == 0
    parameters = context.extradata  # in the container's head
    assert parameters[:5] == b"\0\0\0\1\x67" and parameters[5] in (77, 100)  # Main or High


def test_an_encoder_that_is_not_there_is_named() -> None:
    with pytest.raises(EncoderMissing, match="no encoder h265_magic"):
        Encoders(EncoderSpec(video="h265_magic"), "h264", (320, 180), FPS)


@pytest.mark.skipif("h264_nvenc" not in av.codecs_available, reason="this FFmpeg has no nvenc")
def test_a_card_that_is_not_there_is_said_in_words() -> None:
    try:
        Encoders(replace(EncoderSpec(), video="h264_nvenc"), "h264", (640, 360), FPS)
    except EncoderMissing as error:
        assert "h264_nvenc" in str(error)


def test_a_picture_leaves_at_once() -> None:
    encoders = Encoders(EncoderSpec(), "h264", (320, 180), FPS)
    assert [len(list(encoders.encode_video(frame, index))) for index, frame in enumerate(noise(5))] == [1] * 5


def test_sound_alone_has_no_picture_encoder() -> None:
    assert Encoders(EncoderSpec(), "h264", None, FPS).video is None
