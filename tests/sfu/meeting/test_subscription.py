"""Who gets what: wishes, demand, what arrives."""

import pytest

from media.errors import PeerError
from sfu.meeting.events import (
    SubscriptionFlowing,
    SubscriptionPaused,
    SubscriptionTuned,
    SubscriptionUnwanted,
    SubscriptionWanted,
    TrackDemand,
)
from sfu.meeting.participant import CloseReason, Mode, Quality
from sfu.meeting.permissions import Grants, Source
from tests.support.meeting import enter, events, make_room, publish


@pytest.fixture
def room():
    return make_room()


@pytest.fixture
def ann(room):
    return enter(room, "ann")


@pytest.fixture
def track(room, ann):
    found = publish(room, ann, Source.WEBCAM, width=1280, height=720)
    events(room)
    return found


def only(room, kind):
    found = events(room)
    assert [type(event) for event in found] == [kind]
    return found[0]


def of(found, kind):
    return [event for event in found if isinstance(event, kind)]


def refused(call, *args, **kwargs) -> int:
    with pytest.raises(PeerError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_whoever_comes_later_gets_what_is_there(room, track):
    ben = enter(room, "ben")
    wanted = of(events(room), SubscriptionWanted)
    assert [(w.subscriber_id, w.subscriber_inner_id, w.publisher_id, w.track_id, w.track, w.paused) for w in wanted] == [
        ("ben", ben.inner_id, "ann", track.track_id, track, False)
    ]


def test_nobody_gets_their_own(room, ann, track):
    assert ann.subscriptions == {}
    assert refused(room.want, ann, track.track_id, enabled=True, now=0.0) == 4095


@pytest.mark.parametrize(
    "more", [{"auto_subscribe": False}, {"mode": Mode.SIGNALLING_ONLY}, {"grants": Grants(join=True)}]
)
def test_who_gets_nothing_from_the_start(room, ann, track, more):
    ben = enter(room, "ben", **more)
    publish(room, ann)
    assert ben.subscriptions == {}
    assert not of(events(room), SubscriptionWanted)


def test_without_auto_subscribe_a_wish_makes_the_subscription(room, track):
    ben = enter(room, "ben", auto_subscribe=False)
    events(room)
    room.want(ben, track.track_id, enabled=False, now=0.0)
    assert events(room) == [] and ben.subscriptions == {}
    room.want(ben, track.track_id, enabled=True, quality=Quality.LOW, now=0.0)
    found = events(room)
    assert [type(event) for event in found] == [SubscriptionWanted, SubscriptionTuned, TrackDemand]
    assert found[2].quality is Quality.LOW


@pytest.mark.parametrize("more", [{"mode": Mode.SIGNALLING_ONLY}, {"grants": Grants(join=True)}])
def test_who_may_not_receive_may_not_wish(room, track, more):
    assert refused(room.want, enter(room, "ben", **more), track.track_id, enabled=True, now=0.0) == 4025


def test_unknown_and_unpublished_tracks_cannot_be_wished_for(room, ann):
    ben = enter(room, "ben")
    announced = room.announce(ann, source=Source.MIC, now=0.0)
    assert refused(room.want, ben, announced.track_id, enabled=True, now=0.0) == 4095
    assert refused(room.want, ben, "TR_nothing", enabled=True, now=0.0) == 4095


def test_pausing_and_resuming_is_told_once_each(room, track):
    ben = enter(room, "ben")
    events(room)
    for enabled in (False, True):
        room.want(ben, track.track_id, enabled=enabled, now=0.0)
        room.want(ben, track.track_id, enabled=enabled, now=0.0)
        found = events(room)
        assert [type(event) for event in found] == [SubscriptionPaused, TrackDemand]
        assert found[0].paused is not enabled
        assert found[1].quality is (Quality.HIGH if enabled else None)


def test_a_wish_for_size_or_priority_is_told_when_it_means_something_else(room, track):
    ben, cid = enter(room, "ben"), enter(room, "cid")
    events(room)
    room.want(ben, track.track_id, enabled=True, width=320, height=180, now=0.0)
    assert only(room, SubscriptionTuned).quality is Quality.LOW  # cid still wants all: the demand is as before
    room.want(ben, track.track_id, enabled=True, width=300, now=0.0)
    assert events(room) == []
    room.want(ben, track.track_id, enabled=True, priority=5, now=0.0)
    tuned = only(room, SubscriptionTuned)
    assert (tuned.quality, tuned.priority) == (Quality.LOW, 5)
    room.want(cid, track.track_id, enabled=True, quality=Quality.MED, now=0.0)
    found = events(room)
    assert [type(event) for event in found] == [SubscriptionTuned, TrackDemand]
    assert found[1].quality is Quality.MED


def test_demand_is_what_the_neediest_wants_and_falls_when_they_go(room, ann):
    ben = enter(room, "ben", auto_subscribe=False)
    cid = enter(room, "cid", auto_subscribe=False)
    track = publish(room, ann, Source.WEBCAM)
    assert not of(events(room), TrackDemand)
    room.want(ben, track.track_id, enabled=True, quality=Quality.LOW, now=0.0)
    room.want(cid, track.track_id, enabled=True, quality=Quality.HIGH, now=0.0)
    room.leave(cid, CloseReason.MANUAL_LEAVE_CALLED, now=0.0)
    room.leave(ben, CloseReason.MANUAL_LEAVE_CALLED, now=0.0)
    found = of(events(room), TrackDemand)
    assert {(event.participant_id, event.track_id) for event in found} == {("ann", track.track_id)}
    assert [event.quality for event in found] == [Quality.LOW, Quality.HIGH, Quality.LOW, None]


def test_what_arrives_is_told_when_it_changes_and_ignored_when_not_wanted(room, ann, track):
    ben = enter(room, "ben")
    events(room)
    room.report_flow(ben, track.track_id, flowing=True, quality=Quality.MED, now=0.0)
    room.report_flow(ben, track.track_id, flowing=True, quality=Quality.MED, now=0.0)
    event = only(room, SubscriptionFlowing)
    assert (event.subscriber_id, event.flowing, event.quality) == ("ben", True, Quality.MED)
    assert (ben.subscriptions[track.track_id].flowing, ben.subscriptions[track.track_id].flowing_quality) == (
        True,
        Quality.MED,
    )
    room.unpublish(ann, track.track_id, now=0.0)
    events(room)
    room.report_flow(ben, track.track_id, flowing=False, now=0.0)
    assert events(room) == []


def test_a_leaving_subscriber_gets_no_unwanted_but_others_of_its_tracks_do(room, ann, track):
    ben = enter(room, "ben")
    own = publish(room, ben)
    events(room)
    room.leave(ben, CloseReason.MANUAL_LEAVE_CALLED, now=0.0)
    unwanted = of(events(room), SubscriptionUnwanted)
    assert [(event.subscriber_id, event.track_id) for event in unwanted] == [("ann", own.track_id)]
    assert ben.subscriptions == {} == ann.subscriptions
