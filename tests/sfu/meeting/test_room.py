"""The rules of a meeting, by behaviour."""

import dataclasses

import pytest

from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.meeting.events import (
    GrantsChanged,
    Moderated,
    ParticipantLeft,
    ParticipantUpdated,
    RoomEnded,
    RoomStarted,
    TrackMuted,
)
from sfu.meeting.participant import CloseReason, JoinRequest, ParticipantState
from sfu.meeting.permissions import Grants, Source
from tests.support.meeting import WALL, enter, events, make_room, names, publish

LISTENER = Grants(join=True, subscribe=True)
GUEST = dataclasses.replace(Grants.full(), moderate=False, end=False)


def code_of(call, *args, **kwargs) -> int:
    with pytest.raises(PeerError) as caught:
        call(*args, **kwargs)
    return caught.value.code


# Coming


def test_the_first_who_joins_starts_the_room():
    room = make_room()
    ann = enter(room, "ann", now=5.0)
    found = events(room)
    assert names(found) == ["RoomStarted", "ParticipantJoined"]
    assert isinstance(found[0], RoomStarted) and found[0].at == WALL.wall(0.0)
    assert found[1].info == ann.info()
    assert (found[1].participant_id, found[1].inner_id, found[1].hidden) == ("ann", ann.inner_id, False)
    assert ann.state is ParticipantState.JOINED
    assert ann.joined_at == WALL.wall(5.0)


def test_who_names_no_id_gets_one():
    room = make_room()
    one, two = enter(room, None), enter(room, None)
    assert len(one.participant_id) == 8
    assert one.participant_id != two.participant_id
    assert set(room.participants) == {one.participant_id, two.participant_id}


@pytest.mark.parametrize("participant_id", ["", "a b", "a\n", "x" * 65, "\u2003", "a\u0007"])
def test_ids_that_are_none_are_refused(participant_id):
    assert code_of(enter, make_room(), participant_id) == 4004


@pytest.mark.parametrize(
    "more",
    [
        {"display_name": "x" * 129},
        {"meta_data": "x" * 16384},
        {"attributes": {"k": "x" * 16384}},
        {"attributes": {str(i): "" for i in range(65)}},
    ],
)
def test_too_much_about_oneself_is_refused_and_nothing_is_left_half_made(more):
    room = make_room()
    events(room)
    assert code_of(enter, room, "ann", **more) == 4091
    assert room.participants == {}
    assert events(room) == []


def test_a_room_holds_so_many():
    room = make_room(SfuConfig(max_participants=2))
    enter(room, "a"), enter(room, "b")
    assert code_of(enter, room, "c") == 4009
    enter(room, "b")  # ejects its former self, so there is a place
    assert len(room.participants) == 2


def test_a_room_may_be_smaller_than_the_node_allows_but_not_larger():
    room = make_room(SfuConfig(max_participants=2))
    enter(room, "a", max_participants=1)
    assert code_of(enter, room, "b", max_participants=1) == 4009
    enter(room, "b", max_participants=5)
    assert code_of(enter, room, "c", max_participants=5) == 4009


def test_a_recorder_always_finds_a_place_and_takes_none():
    room = make_room(SfuConfig(max_participants=1))
    recorder = Grants(join=True, subscribe=True, hidden=True, recorder=True)
    enter(room, "a")
    enter(room, "rec", grants=recorder)
    assert code_of(enter, room, "b") == 4009


def test_a_second_join_ejects_the_first():
    room = make_room()
    first = enter(room, "ann")
    publish(room, first)
    events(room)
    second = enter(room, "ann")
    found = events(room)
    assert names(found) == ["TrackUnpublished", "ParticipantLeft", "ParticipantJoined"]
    assert (found[1].inner_id, found[1].reason) == (first.inner_id, CloseReason.DUPLICATE_PARTICIPANT)
    assert found[2].inner_id == second.inner_id != first.inner_id
    assert first.state is ParticipantState.LEFT
    assert room.ended is None
    assert room.participants == {"ann": second}


def test_a_refused_second_join_does_not_eject_the_first():
    room = make_room()
    first = enter(room, "ann")
    assert code_of(enter, room, "ann", display_name="x" * 129) == 4091
    assert room.participants == {"ann": first}


# Going


def test_the_room_ends_with_the_last_who_leaves():
    room = make_room()
    ann, ben = enter(room, "ann"), enter(room, "ben")
    events(room)
    room.leave(ann, CloseReason.MANUAL_LEAVE_CALLED, now=1.0)
    assert names(events(room)) == ["ParticipantLeft"]
    room.leave(ben, CloseReason.MANUAL_LEAVE_CALLED, now=2.0)
    found = events(room)
    assert names(found) == ["ParticipantLeft", "RoomEnding", "RoomEnded"]
    assert isinstance(found[2], RoomEnded)
    assert (found[2].reason, found[2].at) == (CloseReason.ROOM_CLOSE, WALL.wall(2.0))
    assert room.ended is CloseReason.ROOM_CLOSE


def test_recorders_do_not_hold_a_room_open():
    room = make_room()
    ann = enter(room, "ann")
    enter(room, "rec", grants=Grants(join=True, subscribe=True, hidden=True, recorder=True))
    room.leave(ann, CloseReason.MANUAL_LEAVE_CALLED, now=1.0)
    left = [event for event in events(room) if isinstance(event, ParticipantLeft)]
    assert [(event.participant_id, event.reason) for event in left] == [
        ("ann", CloseReason.MANUAL_LEAVE_CALLED),
        ("rec", CloseReason.ROOM_CLOSE),
    ]
    assert room.participants == {}


def test_an_ended_room_takes_nobody_and_no_command():
    room = make_room()
    ann = enter(room, "ann")
    room.end(CloseReason.MEETING_END_API, now=1.0)
    assert code_of(enter, room, "ben") == 4003
    assert code_of(room.end, CloseReason.ROOM_CLOSE, now=1.0) == 4003
    assert code_of(room.remove, None, "ann", now=1.0) == 4003
    assert code_of(room.announce, ann, source=Source.MIC, now=1.0) == 4096


def test_end_puts_everybody_out_with_one_reason_and_in_one_go():
    room = make_room()
    ann, ben = enter(room, "ann"), enter(room, "ben")
    publish(room, ann), publish(room, ben)
    room.announce(ann, source=Source.SCREEN, now=0.0)
    events(room)
    room.end_for_all(ann, now=1.0)
    assert names(events(room)) == [
        "RoomEnding",
        "TrackUnpublished",
        "TrackDiscarded",
        "ParticipantLeft",
        "TrackUnpublished",
        "ParticipantLeft",
        "RoomEnded",
    ]
    assert room.ended is CloseReason.REMOVE_ALL
    assert ann.tracks == ben.tracks == ann.subscriptions == ben.subscriptions == {}


def test_end_needs_its_grant():
    room = make_room()
    assert code_of(room.end_for_all, enter(room, "ann", grants=GUEST), now=0.0) == 4025
    assert room.ended is None


def test_who_has_left_commands_nothing():
    room = make_room()
    ann, ben = enter(room, "ann"), enter(room, "ben")
    track = publish(room, ben)
    room.leave(ann, CloseReason.MANUAL_LEAVE_CALLED, now=0.0)
    again = enter(room, "ann")
    for command in (
        lambda: room.announce(ann, source=Source.MIC, now=0.0),
        lambda: room.want(ann, track.track_id, enabled=False, now=0.0),
        lambda: room.update(ann, display_name="x", now=0.0),
        lambda: room.remove(ann, "ben", now=0.0),
        lambda: room.set_media(ann, True, now=0.0),
        lambda: room.detach(ann, now=0.0),
        lambda: room.resume(ann, now=0.0),
        lambda: room.end_for_all(ann, now=0.0),
        lambda: room.leave(ann, CloseReason.UNKNOWN, now=0.0),
    ):
        assert code_of(command) == 4096
    assert room.participants["ann"] is again


# Dropping and coming back


def test_a_dropped_participant_is_kept_for_the_window_then_gone():
    room = make_room(SfuConfig(resume_window=15.0))
    ann, ben = enter(room, "ann"), enter(room, "ben")
    track = publish(room, ann)
    events(room)
    room.detach(ann, now=100.0)
    room.detach(ann, now=105.0)  # told twice, counted once
    assert names(events(room)) == ["ParticipantDisconnected"]
    assert ann.state is ParticipantState.DISCONNECTED
    assert room.get_timer() == 115.0
    room.handle_timer(now=114.9)
    assert events(room) == []
    assert track.track_id in ben.subscriptions
    room.handle_timer(now=115.0)
    left = [event for event in events(room) if isinstance(event, ParticipantLeft)]
    assert [(event.participant_id, event.reason) for event in left] == [("ann", CloseReason.WEBSOCKET_DISCONNECTED)]
    assert room.get_timer() is None
    assert ben.subscriptions == {}


def test_who_comes_back_in_time_stays():
    room = make_room()
    ann = enter(room, "ann")
    room.set_media(ann, True, now=0.0)
    room.detach(ann, now=1.0)
    room.set_media(ann, True, now=1.5)  # changes nothing to see while away
    assert ann.state is ParticipantState.DISCONNECTED
    events(room)
    room.resume(ann, now=2.0)
    assert names(events(room)) == ["ParticipantReconnected"]
    assert ann.state is ParticipantState.ACTIVE
    assert room.get_timer() is None
    room.handle_timer(now=1000.0)
    assert events(room) == []


def test_resuming_without_having_dropped_changes_nothing():
    room = make_room()
    ann = enter(room, "ann")
    events(room)
    room.resume(ann, now=1.0)
    assert events(room) == []


def test_deadlines_come_in_their_order_and_the_last_one_ends_the_room():
    room = make_room(SfuConfig(resume_window=10.0))
    ann, ben = enter(room, "ann"), enter(room, "ben")
    room.detach(ann, now=0.0)
    room.detach(ben, now=1.0)
    room.resume(ann, now=2.0)
    room.detach(ann, now=3.0)
    assert room.get_timer() == 11.0
    events(room)
    room.handle_timer(now=50.0)
    assert [event.participant_id for event in events(room) if isinstance(event, ParticipantLeft)] == ["ben", "ann"]
    assert room.ended is CloseReason.ROOM_CLOSE


def test_media_makes_active_and_its_loss_joined():
    room = make_room()
    ann = enter(room, "ann")
    events(room)
    room.set_media(ann, True, now=0.0)
    room.set_media(ann, True, now=0.0)
    assert names(events(room)) == ["ParticipantActive"]
    room.set_media(ann, False, now=0.0)
    assert ann.state is ParticipantState.JOINED


# What is known of a participant


def test_update_changes_what_is_named_and_counts_versions():
    room = make_room()
    ann = enter(room, "ann", display_name="Ann", meta_data={"a": 1}, attributes={"x": "1", "y": "2"})
    events(room)
    assert room.update(ann, attributes={"x": None, "z": "3"}, now=0.0) == 2
    assert (ann.display_name, ann.meta_data, ann.attributes) == ("Ann", {"a": 1}, {"y": "2", "z": "3"})
    assert room.update(ann, meta_data=None, display_name="An", if_version=2, now=0.0) == 3
    assert (ann.display_name, ann.meta_data) == ("An", None)
    found = events(room)
    assert all(isinstance(event, ParticipantUpdated) for event in found)
    assert [event.info.version for event in found] == [2, 3]
    assert [event.info.meta_data for event in found] == [{"a": 1}, None]


def test_a_conflicting_or_too_large_update_changes_nothing():
    room = make_room()
    ann = enter(room, "ann", attributes={"x": "1"})
    events(room)
    assert code_of(room.update, ann, attributes={"x": "2"}, if_version=7, now=0.0) == 4094
    assert code_of(room.update, ann, attributes={"x": "2"}, meta_data="y" * 20000, now=0.0) == 4091
    many = {str(number): "" for number in range(64)}
    assert code_of(room.update, ann, attributes=many, now=0.0) == 4091
    assert (ann.version, ann.attributes) == (1, {"x": "1"})
    assert events(room) == []


# Moderation


def test_remove_by_a_moderator_and_by_the_operator():
    room = make_room()
    ann = enter(room, "ann")
    enter(room, "ben", grants=GUEST), enter(room, "cid")
    events(room)
    assert code_of(room.remove, room.participants["ben"], "cid", now=0.0) == 4025
    assert code_of(room.remove, ann, "nobody", now=0.0) == 4066
    room.remove(ann, "ben", now=0.0)
    room.remove(None, "cid", now=0.0)
    assert [event.reason for event in events(room)] == [CloseReason.REMOVE_PEER, CloseReason.REMOVE_PEER_API]


def test_moderation_mutes_but_never_opens_a_microphone():
    room = make_room()
    ann, ben = enter(room, "ann"), enter(room, "ben", grants=GUEST)
    mic, cam = publish(room, ben), publish(room, ben, Source.WEBCAM)
    events(room)
    room.moderate(ann, "ben", Source.MIC, False, now=0.0)
    found = events(room)
    assert isinstance(found[0], TrackMuted) and found[0].track.track_id == mic.track_id and found[0].track.muted
    assert isinstance(found[1], Moderated)
    assert (found[1].participant_id, found[1].source, found[1].enabled, found[1].by) == ("ben", Source.MIC, False, "ann")
    assert not ben.tracks[cam.track_id].muted
    room.moderate(ann, "ben", Source.MIC, True, now=0.0)
    assert names(events(room)) == ["Moderated"]
    assert ben.tracks[mic.track_id].muted
    assert code_of(room.moderate, ben, "ann", Source.MIC, False, now=0.0) == 4025


def test_a_hidden_moderator_is_not_named_and_a_hidden_participant_not_found():
    room = make_room()
    ghost = enter(room, "ghost", grants=dataclasses.replace(Grants.full(), hidden=True))
    ann = enter(room, "ann")
    events(room)
    room.moderate(ghost, "ann", Source.MIC, True, now=0.0)
    assert [event.by for event in events(room)] == [None]
    for command in (
        lambda: room.remove(ann, "ghost", now=0.0),
        lambda: room.moderate(ann, "ghost", Source.MIC, False, now=0.0),
        lambda: room.set_grants(ann, "ghost", Grants.full(), now=0.0),
    ):
        assert code_of(command) == 4066
    room.remove(None, "ghost", now=0.0)


def test_grants_taken_away_unpublish_and_unsubscribe():
    room = make_room()
    ann, ben = enter(room, "ann"), enter(room, "ben")
    publish(room, ann)
    publish(room, ben), publish(room, ben, Source.WEBCAM)
    room.announce(ben, source=Source.WEBCAM, now=0.0)
    events(room)
    room.set_grants(ann, "ben", Grants(join=True, publish=frozenset({Source.MIC})), now=0.0)
    found = events(room)
    assert names(found) == [
        "GrantsChanged",
        "SubscriptionUnwanted",
        "TrackUnpublished",
        "TrackDiscarded",
        "SubscriptionUnwanted",
        "TrackDemand",
    ]
    assert isinstance(found[0], GrantsChanged) and found[0].grants == ben.grants
    assert [track.source for track in ben.tracks.values()] == [Source.MIC]
    assert ben.subscriptions == {}
    assert code_of(room.announce, ben, source=Source.WEBCAM, now=0.0) == 4093


def test_grants_given_back_subscribe_again():
    room = make_room()
    ann, ben = enter(room, "ann"), enter(room, "ben", grants=Grants(join=True))
    track = publish(room, ann)
    assert ben.subscriptions == {}
    room.set_grants(ann, "ben", LISTENER, now=0.0)
    assert list(ben.subscriptions) == [track.track_id]


def test_nobody_gives_what_they_lack_but_may_leave_or_take_what_others_have():
    room = make_room()
    ann = enter(room, "ann", grants=Grants(join=True, moderate=True, publish=frozenset({Source.MIC})))
    enter(room, "ben", grants=Grants(join=True, end=True, record=True))
    events(room)
    assert code_of(room.set_grants, ann, "ben", Grants(join=True, end=True, hls=True), now=0.0) == 4025
    give_screen = Grants(join=True, end=True, publish=frozenset({Source.SCREEN}))
    assert code_of(room.set_grants, ann, "ben", give_screen, now=0.0) == 4025
    room.set_grants(ann, "ben", Grants(join=True, end=True, publish=frozenset({Source.MIC})), now=0.0)
    assert not room.participants["ben"].grants.record
    assert code_of(room.set_grants, ann, "ann", Grants.full(), now=0.0) == 4025
    assert names(events(room)) == ["GrantsChanged"]


def test_hidden_is_decided_at_join():
    room = make_room()
    ann = enter(room, "ann")
    hide = dataclasses.replace(Grants.full(), hidden=True)
    assert code_of(room.set_grants, ann, "ann", hide, now=0.0) == 4008
    assert code_of(room.set_grants, None, "ann", hide, now=0.0) == 4008


def test_the_same_grants_again_are_no_event():
    room = make_room()
    ann = enter(room, "ann")
    events(room)
    room.set_grants(ann, "ann", Grants.full(), now=0.0)
    assert events(room) == []


def test_events_of_the_hidden_say_so():
    room = make_room()
    enter(room, "ann")
    events(room)
    ghost = enter(room, "ghost", grants=Grants(join=True, hidden=True))
    room.update(ghost, display_name="Boo", now=0.0)
    room.detach(ghost, now=0.0)
    room.resume(ghost, now=0.0)
    room.leave(ghost, CloseReason.MANUAL_LEAVE_CALLED, now=0.0)
    found = events(room)
    assert len(found) == 5
    assert all(event.hidden for event in found)


def test_a_request_holds_no_reference_into_the_room():
    room = make_room()
    attributes = {"k": "v"}
    ann = room.join(JoinRequest("room-1", "ann", attributes=attributes), now=0.0)
    attributes["k"] = "w"
    assert ann.attributes == {"k": "v"}
