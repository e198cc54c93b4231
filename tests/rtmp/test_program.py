import pytest

from media.errors import ParseError
from rtmp.program import Program
from tests.support.flv_source import HEADER, make_flv, raw_tag


def times(placed) -> list[int]:
    return [tag.timestamp_ms for tag, _ in placed]


def test_headers_in_force_go_with_each_tag():
    placed = Program().receive_data(make_flv(1.0), now=0.0)
    assert placed[0][0].is_metadata and placed[0][1].headers == (placed[0][0],)
    headers = next(on_air.headers for tag, on_air in placed if tag.is_keyframe)
    assert [(header.type, header.is_metadata) for header in headers][:2] == [(18, True), (9, False)]
    assert len(placed[-1][1].headers) == 3


@pytest.mark.parametrize("begin", [0, 5000, 0xFFFFFFF0])
def test_time_begins_at_zero_and_survives_the_wrap(begin):
    data = HEADER + b"".join(raw_tag(9, (begin + 40 * n) % 2**32, b"\x27\x01") for n in range(4))
    assert times(Program().receive_data(data, now=0.0)) == [0, 40, 80, 120]


def test_another_encoder_goes_on_where_the_old_one_would_be():
    program = Program()
    program.receive_data(HEADER + raw_tag(9, 0, b"\x17\x00old") + raw_tag(9, 1000, b"\x27\x01"), now=50.0)
    program.receive_data(b"\x09\x00", now=50.0)  # it dies amid a tag
    program.restart()
    placed = program.receive_data(HEADER + raw_tag(9, 7, b"\x17\x01") + raw_tag(9, 47, b"\x27\x01"), now=52.5)
    assert times(placed) == [3500, 3540]
    assert placed[0][1].headers == ()  # the old one's configuration is not the new one's


def test_after_what_is_no_flv_a_restart_helps():
    program = Program()
    with pytest.raises(ParseError):
        program.receive_data(b"nothing", now=0.0)
    program.restart()
    assert times(program.receive_data(HEADER + raw_tag(8, 3, b"\xaf\x01"), now=0.0)) == [0]


def test_sound_alone_is_known_from_the_header():
    for video in (True, False):
        placed = Program().receive_data(make_flv(0.5, video=video), now=0.0)
        assert {on_air.has_video for _, on_air in placed} == {video}
