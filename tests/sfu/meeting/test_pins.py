"""Who may pin whom, and what is told of it."""

import pytest

from media.errors import PeerError
from sfu.meeting.events import PinChanged
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants
from sfu.meeting.pins import Pin
from tests.support.meeting import enter, events, make_room


@pytest.fixture
def room():
    found = make_room()
    enter(found, "ann")
    enter(found, "ben")
    return found


def told(room):
    return [(e.participant_id, e.cam, e.share, e.by) for e in events(room) if isinstance(e, PinChanged)]


def pin(room, by, whom, now=1.0, **what):
    room.pin(room.participants[by] if by is not None else None, whom, now=now, **what)


def test_camera_and_share_are_pinned_apart(room):
    pin(room, "ann", "ben", cam=True)
    pin(room, "ann", "ben", share=True)
    pin(room, "ben", "ben", cam=False)
    pin(room, None, "ben", share=False)
    assert told(room) == [
        ("ben", True, False, "ann"), ("ben", True, True, "ann"), ("ben", False, True, "ben"), ("ben", False, False, None),
    ]  # fmt: skip
    assert room.pins.pins == {}


def test_what_changes_nothing_is_not_told(room):
    pin(room, "ann", "ben", cam=False, share=False)
    pin(room, "ann", "ben", cam=True, share=True)
    pin(room, "ben", "ben", cam=True)
    assert told(room) == [("ben", True, True, "ann")] and room.pins.pins == {"ben": Pin(True, True, "ann")}


def test_pins_end_with_their_participant(room):
    pin(room, "ann", "ben", cam=True)
    pin(room, "ann", "ann", cam=True)
    room.leave(room.participants["ben"], CloseReason.MANUAL_LEAVE_CALLED, now=2.0)
    assert list(room.pins.pins) == ["ann"]
    enter(room, "ben")
    assert list(room.pins.pins) == ["ann"]


@pytest.mark.parametrize(("pinned", "refusal"), [(True, "4072 PIN_PARTICIPANT_FAILED"), (False, "4071 UNPIN_PARTICIPANT_FAILED")])
def test_refusals(room, pinned, refusal):
    enter(room, "guest", grants=Grants(join=True))
    enter(room, "ghost", grants=Grants(join=True, hidden=True, moderate=True))
    for by, whom in (("guest", "ann"), ("ann", "nobody"), ("ann", "ghost")):
        with pytest.raises(PeerError, match=refusal):
            pin(room, by, whom, cam=pinned)
    assert told(room) == []


def test_a_hidden_moderator_is_not_named(room):
    enter(room, "ghost", grants=Grants(join=True, hidden=True, moderate=True))
    pin(room, "ghost", "ben", share=True)
    assert told(room) == [("ben", False, True, None)]


def test_who_has_left_pins_nothing(room):
    ann = room.participants["ann"]
    room.leave(ann, CloseReason.MANUAL_LEAVE_CALLED, now=1.0)
    with pytest.raises(PeerError, match="NOT_JOINED"):
        room.pin(ann, "ben", cam=True, now=2.0)
    room.end(CloseReason.ROOM_CLOSE, now=3.0)
    with pytest.raises(PeerError, match="INVALID_MEETING_ID"):
        room.pin(None, "ben", cam=True, now=4.0)
