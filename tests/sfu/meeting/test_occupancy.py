"""Rooms that recorders hold open, and rooms that recorders begin."""

import pytest

from media.errors import PeerError, UsageError
from sfu.meeting.events import RoomEnded
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants
from tests.support.meeting import enter, events, make_room

RECORDER = Grants(join=True, subscribe=True, hidden=True, recorder=True)
LEFT = CloseReason.MANUAL_LEAVE_CALLED


def held(room, name="rec", seconds=60.0, now=0.0):
    recorder = enter(room, name, grants=RECORDER, now=now)
    room.hold(recorder, seconds, now=now)
    return recorder


def ends(room):
    return [(event.reason, event.at) for event in events(room) if isinstance(event, RoomEnded)]


def test_an_empty_room_lives_on_for_as_long_as_a_recorder_asked():
    room = make_room()
    ann = enter(room, "ann")
    held(room)
    assert room.get_timer() is None
    room.leave(ann, LEFT, now=100.0)
    assert room.ended is None and room.get_timer() == 160.0
    room.handle_timer(now=159.9)
    assert room.ended is None
    room.handle_timer(now=160.0)
    assert room.ended is CloseReason.ROOM_CLOSE and room.get_timer() is None
    assert ends(room) == [(CloseReason.ROOM_CLOSE, 1_700_000_160.0)]


def test_who_comes_back_in_time_goes_on_in_the_same_session():
    room = make_room()
    held(room)
    room.leave(enter(room, "ann"), LEFT, now=100.0)
    ben = enter(room, "ben", now=159.0)
    assert room.get_timer() is None
    room.handle_timer(now=500.0)
    assert room.ended is None
    room.leave(ben, LEFT, now=500.0)
    assert room.get_timer() == 560.0, "and the time begins anew"


def test_a_room_that_a_recorder_begins_waits_for_people_as_long():
    room = make_room()
    held(room, seconds=60.0)
    assert room.get_timer() == 60.0
    enter(room, "ann", now=59.0)
    room.handle_timer(now=61.0)
    assert room.ended is None


def test_a_room_that_a_recorder_begins_ends_when_nobody_comes():
    room = make_room()
    held(room)
    room.handle_timer(now=60.0)
    assert room.ended is CloseReason.ROOM_CLOSE


def test_without_being_asked_to_an_empty_room_is_not_held():
    room = make_room()
    ann = enter(room, "ann")
    enter(room, "rec", grants=RECORDER)
    room.leave(ann, LEFT, now=1.0)
    assert room.ended is CloseReason.ROOM_CLOSE


def test_the_hold_ends_with_its_recorder():
    room = make_room()
    ann = enter(room, "ann")
    long, short = held(room, "long", 60.0), held(room, "short", 10.0)
    room.leave(ann, LEFT, now=100.0)
    assert room.get_timer() == 160.0
    room.leave(long, LEFT, now=105.0)
    assert room.ended is None and room.get_timer() == 110.0
    room.leave(short, LEFT, now=106.0)
    assert room.ended is CloseReason.ROOM_CLOSE


def test_a_hold_that_is_over_already_ends_the_room_when_the_longer_one_leaves():
    room = make_room()
    ann = enter(room, "ann")
    long = held(room, "long", 60.0)
    held(room, "short", 10.0)
    room.leave(ann, LEFT, now=100.0)
    room.leave(long, LEFT, now=120.0)
    assert room.ended is CloseReason.ROOM_CLOSE


def test_somebody_whose_signalling_dropped_is_still_there():
    room = make_room()
    ann = enter(room, "ann")
    held(room)
    room.detach(ann, now=100.0)
    assert room.get_timer() == 115.0
    room.handle_timer(now=115.0)
    assert room.ended is None and room.get_timer() == 175.0


def test_ending_a_held_room_ends_it_at_once():
    room = make_room()
    ann = enter(room, "ann")
    held(room)
    room.end_for_all(ann, now=5.0)
    assert room.ended is CloseReason.REMOVE_ALL


def test_one_who_is_not_counted_as_a_person_does_not_hold_it_either():
    room = make_room()
    held(room)
    enter(room, "other", grants=RECORDER, now=30.0)
    assert room.get_timer() == 60.0


def test_only_a_recorder_that_is_present_holds():
    room = make_room()
    with pytest.raises(UsageError):
        room.hold(enter(room, "ann"), 60.0, now=0.0)
    recorder = held(room)
    room.leave(recorder, LEFT, now=1.0)
    with pytest.raises(PeerError, match="NOT_JOINED"):
        room.hold(recorder, 60.0, now=2.0)
