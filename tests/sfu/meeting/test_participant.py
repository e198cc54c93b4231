"""The table of states, and what a participant shows of itself."""

import pytest

from media.codecs import Kind
from sfu.meeting.participant import TRANSITIONS, Change, ParticipantState, Quality, Subscription, Track
from sfu.meeting.permissions import Source
from tests.support.meeting import enter, make_room, publish


def test_every_state_is_in_the_table_and_everybody_can_leave():
    assert set(TRANSITIONS) == set(ParticipantState)
    for state, row in TRANSITIONS.items():
        assert (Change.LEFT in row) == (state is not ParticipantState.LEFT)
        assert Change.ADMITTED not in row or state is ParticipantState.JOINING


def test_nothing_happens_to_who_has_left():
    participant = enter(make_room(), "a")
    participant.apply(Change.LEFT)
    for change in Change:
        with pytest.raises(KeyError):
            participant.apply(change)


def test_info_shows_published_tracks_and_to_its_owner_all():
    room = make_room()
    participant = enter(room, "a", display_name="Ann", meta_data={"x": 1}, attributes={"k": "v"})
    published = publish(room, participant)
    announced = room.announce(participant, source=Source.WEBCAM, now=0.0)
    info = participant.info()
    assert info.tracks == (published,)
    assert participant.info(all_tracks=True).tracks == (published, announced)
    assert (info.display_name, info.meta_data, info.attributes) == ("Ann", {"x": 1}, {"k": "v"})
    assert info.joined_at == 1_700_000_000.0


def test_the_resume_token_is_not_printed():
    participant = enter(make_room(), "a")
    assert len(participant.resume_token) == 43
    assert participant.resume_token not in repr(participant)


@pytest.mark.parametrize(
    ("wish", "quality"),
    [
        ({}, Quality.HIGH),
        ({"quality": Quality.LOW, "width": 1280}, Quality.LOW),
        ({"width": 320}, Quality.LOW),
        ({"width": 321}, Quality.MED),
        ({"height": 360}, Quality.MED),
        ({"height": 361}, Quality.HIGH),
        ({"width": 100, "height": 720}, Quality.HIGH),
    ],
)
def test_a_wished_size_means_the_layer_that_covers_it(wish, quality):
    track = Track("TR_1", "a", Source.WEBCAM, Kind.VIDEO, width=1280, height=720)
    assert Subscription("a", "TR_1", **wish).wished(track) is quality


def test_without_a_published_size_any_wished_size_means_all():
    track = Track("TR_1", "a", Source.WEBCAM, Kind.VIDEO)
    assert Subscription("a", "TR_1", width=16).wished(track) is Quality.HIGH
