"""What is made of a room is kept for late joiners."""

import pytest

from media.errors import UsageError
from sfu.meeting.events import RoomStateChanged
from tests.support.meeting import events, make_room


def told(room):
    return [(event.name, event.value) for event in events(room) if isinstance(event, RoomStateChanged)]


def test_values_are_kept_and_told_when_they_change():
    room = make_room()
    started = {"status": "RECORDING_STARTED"}
    for value in (started, dict(started), {"status": "RECORDING_STOPPED"}, None, None):
        room.state.set("recording", value)
    room.state.set("livestream", {"status": "LIVESTREAM_STARTING"})
    assert told(room) == [
        ("recording", started), ("recording", {"status": "RECORDING_STOPPED"}), ("recording", None),
        ("livestream", {"status": "LIVESTREAM_STARTING"}),
    ]  # fmt: skip
    assert room.state.values == {"livestream": {"status": "LIVESTREAM_STARTING"}}


def test_what_is_kept_is_not_the_callers_object():
    room = make_room()
    value = {"status": "HLS_STARTED"}
    room.state.set("hls", value)
    value["status"] = "?"
    assert room.state.values == {"hls": {"status": "HLS_STARTED"}}
    assert told(room) == [("hls", {"status": "HLS_STARTED"})]


def test_there_are_three_states():
    with pytest.raises(UsageError):
        make_room().state.set("left", {"reason": "?"})
