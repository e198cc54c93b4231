"""Grants: wire form, order, change."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.codecs import Kind
from media.errors import ParseError
from sfu.meeting.permissions import FIELD_NAMES, WIRE_NAMES, Grants, Source

grants = st.builds(
    Grants,
    **{name: st.frozensets(st.sampled_from(Source)) if name == "publish" else st.booleans() for name in FIELD_NAMES},
)


def test_nothing_is_granted_unless_said():
    assert not any(getattr(Grants(), name) for name in FIELD_NAMES)


def test_full_lacks_only_what_no_person_gets():
    full = Grants.full()
    assert [name for name in FIELD_NAMES if not getattr(full, name)] == ["ask", "hidden", "recorder"]
    assert full.publish == frozenset(Source)


def test_source_kinds():
    assert [source.kind for source in Source] == [Kind.AUDIO, Kind.VIDEO, Kind.VIDEO, Kind.AUDIO]


def test_wire_names_are_those_of_the_page():
    assert list(WIRE_NAMES) == [
        "publish", "subscribe", "data", "hidden", "record", "broadcast", "hls", "stream", "upload", "moderate", "end",
    ]  # fmt: skip


@given(grants)
def test_wire_round_trip_keeps_the_internal_fields_of_the_base(value):
    assert Grants.from_wire(value.to_wire(), value) == value
    bare = Grants.from_wire(value.to_wire())
    assert not (bare.join or bare.ask or bare.recorder)
    assert bare.to_wire() == value.to_wire()


def test_a_partial_object_changes_only_what_it_names():
    changed = Grants.from_wire({"publish": ["mic"], "end": False}, Grants.full())
    assert changed == dataclasses.replace(Grants.full(), publish=frozenset({Source.MIC}), end=False)


def test_publish_may_be_a_boolean():
    assert Grants.from_wire({"publish": True}).publish == frozenset(Source)
    assert Grants.from_wire({"publish": False}, Grants.full()).publish == frozenset()


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        ({"fly": True}, "grants.fly"),
        ({"join": True}, "grants.join"),
        ({"recorder": True}, "grants.recorder"),
        ({"end": 1}, "grants.end"),
        ({"publish": "mic"}, "grants.publish"),
        ({"publish": ["mic", "nose"]}, "grants.publish[1]"),
        ({"publish": [["mic"]]}, "grants.publish[0]"),
        ([], "grants"),
    ],
)
def test_wrong_grants_are_refused_by_path(wire, path):
    with pytest.raises(ParseError) as caught:
        Grants.from_wire(wire)
    assert str(caught.value).startswith(path + ":")


@given(grants, grants)
def test_added_since_names_what_is_new(a, b):
    added = a.added_since(b)
    assert added.is_subset_of(a)
    assert not added.publish & b.publish
    assert a.is_subset_of(b) == (added == Grants())
