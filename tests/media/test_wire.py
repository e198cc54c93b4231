"""Messages as JSON lines: what is written is read again, and nothing else is."""

import json
from dataclasses import dataclass
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.codecs import Codec, Kind
from media.errors import ParseError
from media.wire import MAX_LINE, Family, build, type_name
from sfu.compose import messages

ALL = (*messages.SPECS, *messages.CONTROLS, *messages.REPORTS)
FAMILY = Family(*ALL)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def instances(kind: type, **fixed: st.SearchStrategy) -> st.SearchStrategy:
    """Any instance whose numbers can be written."""
    floats = {float: FINITE, dict[str, float]: st.dictionaries(st.text(), FINITE)}
    return st.builds(kind, **{name: floats[hint] for name, hint in get_type_hints(kind).items() if hint in floats}, **fixed)


SCENE_LAYOUT = {"boxes": [{"x": 0.5, "text": "ä"}]}
st.register_type_strategy(messages.Scene, instances(messages.Scene, layout=st.just(SCENE_LAYOUT)))
for nested in (messages.EncoderSpec, messages.MergeInput, messages.FileInfo):
    st.register_type_strategy(nested, instances(nested))


@given(st.data(), st.sampled_from(ALL))
def test_what_is_written_is_read_again(data, kind):
    message = data.draw(instances(kind))
    line = FAMILY.serialize(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert FAMILY.parse(line) == message
    assert FAMILY.parse(line.decode()) == message


def test_nested_types_come_back_as_what_they_were():
    codec = Codec("H264", Kind.VIDEO, 90000, 96, fmtp={"packetization-mode": "1"}, feedback=("nack pli",))
    message = messages.SourceAdded("TR_1", "PA_1", "webcam", Kind.VIDEO, 0xFFFFFFFF, (codec, codec), width=640)
    again = FAMILY.parse(FAMILY.serialize(message))
    assert again == message
    assert again.kind is Kind.VIDEO and isinstance(again.codecs, tuple) and again.height is None


def test_an_integer_is_good_enough_for_a_float():
    at = FAMILY.parse('{"type": "started", "at": 7}').at
    assert at == 7.0 and isinstance(at, float)


def test_the_type_is_the_name_in_kebab_case():
    assert type_name(messages.TrackFileSpec) == "track-file-spec"
    assert json.loads(FAMILY.serialize(messages.Stop())) == {"type": "stop"}


@pytest.mark.parametrize("kind", ALL)
def test_an_unknown_field_is_said(kind):
    wire = {"type": type_name(kind), "surprise": 1}
    with pytest.raises(ParseError, match="surprise: unknown field"):
        FAMILY.parse(json.dumps(wire))


GOOD_SOURCE = json.loads(
    FAMILY.serialize(messages.SourceAdded("T", "P", "mic", Kind.AUDIO, 1, (Codec("opus", Kind.AUDIO, 48000, 111),)))
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "camera"}, "source: must be one of mic, webcam, screen, screenAudio"),
        ({"kind": "smell"}, "kind: must be one of audio, video"),
        ({"kind": []}, "kind: must be one of"),
        ({"ssrc": "1"}, "ssrc: must be int"),
        ({"ssrc": True}, "ssrc: must be int"),
        ({"ssrc": 1.5}, "ssrc: must be int"),
        ({"muted": 1}, "muted: must be bool"),
        ({"codecs": {}}, "codecs: must be a list"),
        ({"codecs": [GOOD_SOURCE["codecs"][0] | {"fmtp": {"a": 1}}]}, r"codecs\[0\].fmtp.a: must be str"),
        ({"codecs": [GOOD_SOURCE["codecs"][0] | {"fmtp": []}]}, r"codecs\[0\].fmtp: must be an object"),
        ({"codecs": [1]}, r"codecs\[0\]: must be an object"),
        ({"codecs": [{"name": "opus"}]}, r"codecs\[0\].kind: is missing"),
        ({"track_id": None}, "track_id: must be str"),
        ({"width": "640"}, "width: must be int"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(change, words):
    assert FAMILY.parse(json.dumps(GOOD_SOURCE)).ssrc == 1
    with pytest.raises(ParseError, match=words):
        FAMILY.parse(json.dumps(GOOD_SOURCE | change))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "true", '"1"', "null", "[]"])
def test_a_float_is_a_finite_number(number):
    with pytest.raises(ParseError, match="at: must be a finite number"):
        FAMILY.parse(f'{{"type": "started", "at": {number}}}')


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe\x00", b'{"type": 1}', b'{"type": []}', b'{"type": "unknown"}',
        b"[" * 100_000, b'{"type": "stop", "a": ' + b"[" * 200_000, b'{"type": ' + b"9" * 5000 + b"}",
        b'"' + b"x" * MAX_LINE + b'"',
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(line):
    with pytest.raises(ParseError):
        FAMILY.parse(line)


def test_messages_of_another_family_are_refused():
    controls = Family(*messages.CONTROLS)
    with pytest.raises(ParseError, match="not a message of this family"):
        controls.parse(FAMILY.serialize(messages.Started(1.0)))
    with pytest.raises(KeyError):
        controls.serialize(messages.Started(1.0))


@given(st.one_of(st.binary(), st.text()))
def test_garbage_is_refused(line):
    with pytest.raises(ParseError):
        FAMILY.parse(line)


@given(st.sampled_from(ALL), st.data())
def test_right_names_with_wrong_values_are_refused_or_built(kind, data):
    names = list(get_type_hints(kind))
    wire = {"type": type_name(kind)} | {name: data.draw(JSON, name) for name in names if data.draw(st.booleans())}
    try:
        message = FAMILY.parse(json.dumps(wire))
    except ParseError:
        return
    assert isinstance(message, kind)
    assert FAMILY.parse(FAMILY.serialize(message)) == message or "NaN" in json.dumps(wire)


@dataclass(frozen=True)
class Odd:
    either: int | str | None = None


def test_a_union_takes_the_first_that_fits():
    assert build(Odd, {"either": "x"}) == Odd("x")
    assert build(Odd, {"either": 1}) == Odd(1)
    assert build(Odd, {}) == build(Odd, {"either": None})
    with pytest.raises(ParseError, match="either: must be str"):
        build(Odd, {"either": []})


def test_what_is_no_plain_data_cannot_be_written():
    with pytest.raises(TypeError, match="object cannot be written"):
        FAMILY.serialize(messages.SceneChanged(messages.Scene(layout={"x": object()})))
