import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import ParseError
from rtmp.flv import FlvReader, FlvTag
from tests.support.flv_source import FPS, GOP, HEADER, make_flv, raw_tag


def test_an_encoders_stream_is_taken_apart():
    tags = FlvReader().receive_data(make_flv(2.0))
    assert tags[0].is_metadata
    headers = [tag for tag in tags if tag.is_sequence_header]
    assert {tag.type for tag in headers} == {8, 9} and len(headers) == 2
    video = [tag for tag in tags if tag.is_video and not tag.is_sequence_header and tag.data[1] == 1]
    begin = video[0].timestamp_ms  # after the encoder's first sound
    assert [tag.timestamp_ms - begin for tag in video] == [n * 1000 // FPS for n in range(2 * FPS)]
    assert [n for n, tag in enumerate(video) if tag.is_keyframe] == list(range(0, 2 * FPS, GOP))
    assert not any(tag.is_keyframe for tag in headers)


@pytest.mark.parametrize("step", [1, 13, 4096])
def test_pieces_do_not_matter(step):
    data = make_flv(1.0)
    reader, tags = FlvReader(), []
    for start in range(0, len(data), step):
        tags += reader.receive_data(data[start : start + step])
    assert tags == FlvReader().receive_data(data) and len(tags) > FPS


@pytest.mark.parametrize("kinds", [{"video": True, "audio": False}, {"video": False, "audio": True}])
def test_the_header_says_what_there_is(kinds):
    reader = FlvReader()
    assert reader.has_video is None
    reader.receive_data(make_flv(0.5, **kinds))
    assert reader.has_video is kinds["video"]


@pytest.mark.parametrize("timestamp", [0, 1, 0xFFFFFF, 0x1000000, 0xFFFFFFFF])
def test_timestamps_have_32_bits(timestamp):
    assert FlvReader().receive_data(HEADER + raw_tag(9, timestamp, b"x")) == [FlvTag(9, timestamp, b"x")]


@pytest.mark.parametrize(
    ("tag", "keyframe", "header"),
    [
        (FlvTag(9, 0, b"\x17\x01\x00"), True, False),
        (FlvTag(9, 0, b"\x27\x01\x00"), False, False),
        (FlvTag(9, 0, b"\x17\x00\x00"), False, True),
        (FlvTag(9, 0, b"\x17\x02\x00"), False, False),
        (FlvTag(9, 0, b"\x12\x00"), True, False),  # Sorenson: no packet types
        (FlvTag(9, 0, b"\x90hvc1"), False, True),  # Enhanced RTMP
        (FlvTag(9, 0, b"\x91hvc1"), True, False),
        (FlvTag(9, 0, b"\xa1hvc1"), False, False),
        (FlvTag(9, 0, b""), False, False),
        (FlvTag(8, 0, b"\xaf\x00\x11"), False, True),
        (FlvTag(8, 0, b"\xaf\x01\x11"), False, False),
        (FlvTag(8, 0, b"\x2f\x00"), False, False),  # MP3
        (FlvTag(18, 0, b"\x02\x00\x0aonMetaData"), False, False),
    ],
)
def test_what_a_tag_is(tag, keyframe, header):
    assert (tag.is_keyframe, tag.is_sequence_header) == (keyframe, header)


def test_reserved_tags_are_passed_over():
    assert FlvReader().receive_data(HEADER + raw_tag(11, 0, b"x") + raw_tag(9, 0, b"y")) == [FlvTag(9, 0, b"y")]


@pytest.mark.parametrize(
    "data",
    [
        b"R",
        b"FLX",
        b"FLV\x02",
        b"FLV\x01\x05\x00\x00\x00\x08",
        b"FLV\x01\x05\xff\xff\xff\xff",
        HEADER + b"\x09\xff\xff\xff" + bytes(20),
        HEADER + raw_tag(9, 0, b"x", size=11),
    ],
)
def test_what_is_no_flv_is_refused(data):
    with pytest.raises(ParseError):
        FlvReader(max_tag_bytes=1 << 20).receive_data(data)


def test_a_tag_that_never_ends_is_bounded():
    reader = FlvReader(max_tag_bytes=1000)
    assert reader.receive_data(HEADER + b"\x09\x00\x03\xe8" + bytes(1000)) == []
    with pytest.raises(ParseError, match="at most 1000"):
        FlvReader(max_tag_bytes=1000).receive_data(HEADER + b"\x09\x00\x03\xe9")


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(data):
    for begin in (b"", HEADER):
        try:
            FlvReader().receive_data(begin + data)
        except ParseError:
            pass


@settings(max_examples=50)
@given(st.data())
def test_damaged_streams_are_read_or_refused(draw):
    damaged = bytearray(make_flv(0.5))
    for _ in range(3):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    reader = FlvReader()
    try:
        for start in range(0, len(damaged), 997):
            for tag in reader.receive_data(bytes(damaged[start : start + 997])):
                assert tag.type in (8, 9, 18) and isinstance(tag.is_keyframe, bool)
    except ParseError:
        pass
