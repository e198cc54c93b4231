"""Announcing, binding, starting, muting and ending tracks."""

import dataclasses

import pytest

from media.codecs import Kind
from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.meeting.events import TrackMuted, TrackPublished
from sfu.meeting.participant import Mode
from sfu.meeting.permissions import Grants, Source
from tests.support.meeting import enter, events, make_room, names, publish


def code_of(call, *args, **kwargs) -> int:
    with pytest.raises(PeerError) as caught:
        call(*args, **kwargs)
    return caught.value.code


@pytest.fixture
def room():
    return make_room()


@pytest.fixture
def ann(room):
    enter(room, "ben")
    participant = enter(room, "ann")
    events(room)
    return participant


def test_an_announced_track_is_known_to_nobody(room, ann):
    track = room.announce(ann, source=Source.SCREEN, name="slides", width=1920, height=1080, simulcast=True, now=0.0)
    assert events(room) == []
    assert track.track_id.startswith("TR_") and len(track.track_id) == 15
    assert (track.kind, track.name, track.width, track.height, track.simulcast) == (
        Kind.VIDEO, "slides", 1920, 1080, True,
    )  # fmt: skip
    assert not track.published
    assert ann.info().tracks == ()


@pytest.mark.parametrize("order", ["bind first", "packet first"])
def test_it_is_published_once_bound_and_flowing_in_either_order(room, ann, order):
    track = room.announce(ann, source=Source.MIC, now=0.0)
    steps = [
        lambda: room.bind(ann, track.track_id, codec="opus", now=0.0),
        lambda: room.start_track(ann, track.track_id, now=0.0),
    ]
    first, second = steps if order == "bind first" else reversed(steps)
    first()
    assert events(room) == []
    second()
    found = events(room)
    assert names(found) == ["TrackPublished", "SubscriptionWanted", "TrackDemand"]
    assert isinstance(found[0], TrackPublished)
    assert found[0].track == ann.tracks[track.track_id]
    assert (found[0].track.codec, found[0].participant_id) == ("opus", "ann")
    first(), second()
    assert events(room) == []


def test_binding_again_renews_what_was_negotiated_and_keeps_the_rest(room, ann):
    track = room.announce(ann, source=Source.WEBCAM, simulcast=True, now=0.0)
    assert room.bind(ann, track.track_id, codec="VP8", now=0.0).simulcast
    again = room.bind(ann, track.track_id, simulcast=False, now=0.0)
    assert (again.codec, again.simulcast) == ("VP8", False)


@pytest.mark.parametrize(
    "more",
    [
        {"grants": dataclasses.replace(Grants.full(), publish=frozenset({Source.WEBCAM}))},
        {"grants": dataclasses.replace(Grants.full(), hidden=True)},
        {"mode": Mode.RECV_ONLY},
        {"mode": Mode.SIGNALLING_ONLY},
    ],
)
def test_who_may_not_publish(room, more):
    assert code_of(room.announce, enter(room, "x", **more), source=Source.MIC, now=0.0) == 4093


def test_the_kind_must_be_the_sources(room, ann):
    assert code_of(room.announce, ann, source=Source.MIC, kind=Kind.VIDEO, now=0.0) == 4092


def test_limits():
    room = make_room(SfuConfig(max_tracks=2, max_display_name=4))
    ann = enter(room, "ann")
    assert code_of(room.announce, ann, source=Source.MIC, name="12345", now=0.0) == 4091
    first = room.announce(ann, source=Source.MIC, now=0.0)
    room.announce(ann, source=Source.MIC, now=0.0)
    assert code_of(room.announce, ann, source=Source.MIC, now=0.0) == 4091
    room.unpublish(ann, first.track_id, now=0.0)
    room.announce(ann, source=Source.MIC, now=0.0)


def test_only_its_owner_moves_a_track(room, ann):
    track = publish(room, ann)
    ben = room.participants["ben"]
    assert code_of(room.bind, ben, track.track_id, now=0.0) == 4095
    assert code_of(room.start_track, ben, track.track_id, now=0.0) == 4095
    assert code_of(room.mute, ben, track.track_id, True, now=0.0) == 4095
    assert code_of(room.unpublish, ben, track.track_id, now=0.0) == 4095
    assert code_of(room.unpublish, ann, "TR_unknown", now=0.0) == 4095


def test_unpublish_tells_subscribers_first_then_everybody(room, ann):
    track = publish(room, ann)
    events(room)
    room.unpublish(ann, track.track_id, now=0.0)
    found = events(room)
    assert names(found) == ["SubscriptionUnwanted", "TrackUnpublished"]
    assert found[0].subscriber_id == "ben"
    assert ann.tracks == {} and room.participants["ben"].subscriptions == {}
    assert code_of(room.unpublish, ann, track.track_id, now=0.0) == 4095


def test_a_track_nobody_knew_of_goes_without_a_word_to_others(room, ann):
    track = room.announce(ann, source=Source.MIC, now=0.0)
    room.bind(ann, track.track_id, now=0.0)
    room.unpublish(ann, track.track_id, now=0.0)
    assert names(events(room)) == ["TrackDiscarded"]


def test_mute_is_told_when_it_changes(room, ann):
    track = publish(room, ann, muted=True)
    events(room)
    room.mute(ann, track.track_id, True, now=0.0)
    assert events(room) == []
    room.mute(ann, track.track_id, False, now=0.0)
    found = events(room)
    assert [type(event) for event in found] == [TrackMuted]
    assert found[0].track == ann.tracks[track.track_id] and not found[0].track.muted
