import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from rtmp import amf0, messages
from rtmp.chunk import Message
from tests.support.rtmp_tables import PARSED


@pytest.mark.parametrize("parsed", PARSED, ids=lambda parsed: type(parsed).__name__)
def test_round_trip(parsed):
    again = messages.parse(messages.serialize(parsed))
    assert type(again) is type(parsed)
    assert [getattr(again, name) for name in again.__slots__] == [getattr(parsed, name) for name in parsed.__slots__]


@pytest.mark.parametrize("type_id", [1, 2, 8, 9, 15, 18, 22, 99])
def test_what_is_not_for_the_session_is_passed_over(type_id):
    assert messages.parse(Message(type_id, 1, 0, b"anything")) is None


def test_a_command_may_be_marked_as_amf3():
    payload = b"\x00" + amf0.serialize("onStatus", 0, None, {"code": "x"})
    assert messages.parse(Message(17, 1, 0, payload)) == messages.Command("onStatus", 0, (None, {"code": "x"}), 1)


def test_a_command_may_lack_its_transaction():
    assert messages.parse(Message(20, 0, 0, amf0.serialize("close"))) == messages.Command("close", 0, ())


def test_values_are_not_in_the_repr_of_a_command():
    assert "s3cret" not in repr(messages.Command("publish", 5, (None, "s3cret", "live")))


@pytest.mark.parametrize(
    "message",
    [
        Message(3, 0, 0, b"\x00"),
        Message(4, 0, 0, b"\x00"),
        Message(5, 0, 0, b""),
        Message(6, 0, 0, b"\x00\x00"),
        Message(17, 0, 0, b"\x11"),
        Message(20, 0, 0, b""),
        Message(20, 0, 0, amf0.serialize(1.0)),
        Message(20, 0, 0, amf0.serialize("_result", "one")),
        Message(20, 0, 0, amf0.serialize("_result", 1.5)),
    ],
)
def test_what_is_not_what_its_type_says_is_refused(message):
    with pytest.raises(ParseError):
        messages.parse(message)


@given(st.sampled_from([3, 4, 5, 6, 17, 20]), st.binary(max_size=100))
def test_bytes_of_any_kind_are_read_or_refused(type_id, payload):
    try:
        messages.parse(Message(type_id, 0, 0, payload))
    except ParseError:
        pass
