"""One participant's connections: what is offered when, answers that come late, connections that are lost and made anew."""

from __future__ import annotations

import pytest

from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.meeting.events import ParticipantActive, TrackUnpublished
from sfu.meeting.permissions import Source
from sfu.switchboard import ConnectionChanged
from tests.support.client_sdp import Line, direction_of, sections, value_of
from tests.support.conference_pair import COARSE, CONTEXTS, Browser, Lab, Leg, call


def mids(offer) -> list[str]:
    return [value_of(part, "mid") for part in sections(offer.sdp)[1:]]


def directions(offer) -> list[str]:
    return [direction_of(part) for part in sections(offer.sdp)[1:]]


def publish_muted(browser: Browser, *kinds: str) -> list[str]:
    """Tracks that are published at once, without packets: for tests of what is offered."""
    sources = {"audio": [Source.MIC, Source.SCREEN_AUDIO], "video": [Source.WEBCAM, Source.SCREEN]}
    bindings = []
    for kind in kinds:
        browser.media.append(Line(kind, ssrc=1000 + 10 * len(browser.media)))
        mid = str(len(browser.media) - 1)
        browser.tracks[mid] = browser.announce(sources[kind].pop(0), muted=True)
        bindings.append((mid, browser.tracks[mid]))
    browser.negotiate(bindings)
    return [track_id for _, track_id in bindings]


# Offers


def test_tracks_that_come_together_are_one_offer():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    tracks = publish_muted(alice, "audio", "video", "video")
    lab.pump()
    (offer,) = bob.offers
    assert [t.track.track_id for t in offer.tracks] == tracks and mids(offer) == ["0", "1", "2"]
    assert [(t.mid, t.participant_id, t.track.source) for t in offer.tracks] == [
        ("0", "alice", Source.MIC), ("1", "alice", Source.WEBCAM), ("2", "alice", Source.SCREEN)
    ]  # fmt: skip
    assert (offer.room_id, offer.participant_id, offer.serial) == ("room", "bob", 1)
    assert alice.offers == [], "nobody gets their own"


def test_what_changes_while_an_offer_is_open_goes_into_the_next():
    lab = Lab()
    alice, bob, carol = lab.join("alice"), lab.join("bob"), lab.join("carol")
    bob.answers = False
    publish_muted(alice, "audio")
    lab.pump()
    (alices,) = publish_muted(carol, "video")
    lab.pump()
    assert len(bob.offers) == 1
    lab.conference.unpublish(alice.participant, alice.tracks["0"], now=lab.now)
    lab.pump()
    assert len(bob.offers) == 1
    bob.answer(bob.offers[0])
    lab.pump()
    assert len(bob.offers) == 2
    assert directions(bob.offers[1]) == ["inactive", "sendonly"]
    assert [t.track.track_id for t in bob.offers[1].tracks] == [alices]


def test_m_lines_of_ended_tracks_are_used_again():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    for _ in range(20):
        (track_id,) = publish_muted(alice, "video")
        lab.pump()
        lab.conference.unpublish(alice.participant, track_id, now=lab.now)
        lab.pump()
    assert len(mids(bob.offers[-1])) == 1


def test_an_answer_to_an_offer_that_is_not_open_is_stale():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    bob.answers = False
    publish_muted(alice, "audio")
    lab.pump()
    first = bob.offers[0]
    assert not lab.conference.subscribe_answer(bob.participant, "whatever", first.serial + 1, now=lab.now)
    assert bob.answer(first)
    assert not bob.answer(first), "answered already"
    lab.pump()
    publish_muted(alice, "video")
    lab.pump()
    assert not lab.conference.subscribe_answer(bob.participant, "whatever", first.serial, now=lab.now)
    assert bob.answer(bob.offers[1])
    assert not lab.conference.subscribe_answer(alice.participant, "whatever", 0, now=lab.now), "was never offered anything"


def test_a_bad_answer_leaves_the_offer_open():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    bob.answers = False
    publish_muted(alice, "audio")
    lab.pump()
    (offer,) = bob.offers
    for sdp in ("", "garbage", sections(offer.sdp)[0][0], offer.sdp):
        with pytest.raises(PeerError, match="INVALID_SDP"):
            lab.conference.subscribe_answer(bob.participant, sdp, offer.serial, now=lab.now)
    assert bob.answer(offer)
    lab.connect()


def test_a_track_that_ends_before_it_could_be_offered_is_not():
    lab = Lab()
    alice, bob, camera = call(lab)
    bob.answers = False
    first = publish_muted(alice, "audio")
    lab.pump()
    (second,) = publish_muted(alice, "video")
    lab.pump()
    lab.conference.unpublish(alice.participant, second, now=lab.now)
    lab.pump()
    bob.answer(bob.offers[-1])
    lab.pump()
    assert len(bob.offers) == 2 and [t.track.track_id for t in bob.offers[-1].tracks] == [alice.tracks["0"], *first]
    lab.run(0.2)
    assert bob.receiver().indexes()[-1] >= camera.count - 2


def test_what_the_subscriber_cannot_decode_is_not_offered_again_on_this_connection():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    bob.answers = False
    audio, video = publish_muted(alice, "audio", "video")
    lab.pump()
    bob.refuse = {video}
    bob.answer(bob.offers[0])
    lab.connect()
    assert len(bob.offers) == 1, "a rejected m-line needs no further offer"
    bob.answers = True
    (more,) = publish_muted(lab.join("carol"), "audio")
    lab.pump()
    assert [t.track.track_id for t in bob.offers[-1].tracks] == [audio, more]
    bob.refuse = set()
    bob.subscribe_leg.die()
    lab.run(16.0, step=COARSE)
    assert {t.track.track_id for t in bob.offers[-1].tracks} == {audio, video, more}, "a new connection is asked anew"


def test_who_refuses_everything_is_not_asked_for_ever():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    bob.answers = False
    (video,) = publish_muted(alice, "video")
    bob.refuse, bob.answers = {video}, True
    lab.pump()
    lab.run(100.0, step=COARSE)
    assert len(bob.offers) <= 2
    (audio,) = publish_muted(alice, "audio")
    lab.pump()
    assert [t.track.track_id for t in bob.offers[-1].tracks] == [audio]


def test_m_lines_of_one_subscriber_are_bounded():
    lab = Lab(SfuConfig(max_media_lines=3))
    alice, bob, carol = lab.join("alice"), lab.join("bob"), lab.join("carol")
    publish_muted(alice, "audio", "video")
    carols = publish_muted(carol, "audio", "video")
    lab.pump()
    assert len(bob.offers[-1].tracks) == 3
    offers = len(bob.offers)
    lab.run(3.0, step=COARSE)
    assert len(bob.offers) == offers, "one that waits for an m-line costs no offers"
    lab.conference.unpublish(alice.participant, alice.tracks["1"], now=lab.now)
    lab.pump()
    assert [t.track.track_id for t in bob.offers[-1].tracks] == [alice.tracks["0"], *carols], "one that became free is used"


# Signalling that comes back


def test_resuming_repeats_the_open_offer_and_only_that():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    bob.answers = False
    publish_muted(alice, "audio")
    lab.pump()
    for _ in range(2):
        lab.conference.detach(bob.participant, now=lab.now)
        lab.pump()
        lab.conference.resume(bob.participant, now=lab.now)
        lab.pump()
    assert len(bob.offers) == 3 and len(set(bob.offers)) == 1
    assert bob.answer(bob.offers[-1])
    lab.conference.detach(bob.participant, now=lab.now)
    lab.conference.resume(bob.participant, now=lab.now)
    lab.pump()
    assert len(bob.offers) == 3


# Connections


def test_a_lost_subscribe_connection_is_offered_anew():
    lab = Lab()
    _alice, bob, camera = call(lab)
    lab.run(0.5)
    first = bob.offers[-1]
    bob.subscribe_leg.die()
    lab.run(16.0, step=COARSE)
    lost = [event for event in lab.told(ConnectionChanged) if not event.connected]
    assert [(e.connection, e.participant_id, e.reason) for e in lost] == [("subscribe", "bob", "peer timeout")]
    second = bob.offers[-1]
    assert second.connection_id != first.connection_id and second.serial > first.serial
    assert [t.track for t in second.tracks] == [t.track for t in first.tracks]
    lab.connect()
    lab.run(0.5)
    assert bob.receiver().indexes()[-1] >= camera.count - 2
    assert len(lab.conference.table) == 2


def test_a_closed_subscribe_connection_is_offered_anew_at_once():
    lab = Lab()
    _alice, bob, _ = call(lab)
    first = bob.offers[-1]
    bob.subscribe_leg.client.close()
    lab.run(0.05)
    assert bob.offers[-1].connection_id != first.connection_id
    assert [e.reason for e in lab.told(ConnectionChanged) if not e.connected] == ["closed by the peer"]


def test_a_lost_publish_connection_unpublishes_its_tracks():
    lab = Lab()
    alice, bob, _ = call(lab)
    lab.run(0.5)
    alice.publish_leg.die()
    lab.run(16.0, step=COARSE)
    assert [event.track.track_id for event in lab.told(TrackUnpublished)] == [alice.tracks["0"]]
    assert alice.participant.tracks == {} and lab.conference.tracks == 0
    assert directions(bob.offers[-1]) == ["inactive"]
    assert "alice" in lab.conference.rooms["room"].participants, "she can make another"
    alice.media.clear()
    alice.publish_leg = None
    camera = alice.camera(ssrc=77)
    lab.connect()
    lab.run(1.0)
    assert bob.receiver(-1).indexes()[-1] >= camera.count - 2


def test_a_subscriber_restarts_ice_on_the_same_connection():
    lab = Lab()
    _alice, bob, camera = call(lab)
    leg, first = bob.subscribe_leg, bob.offers[-1]
    before = leg.client.remote_ufrag
    lab.conference.restart_subscribe(bob.participant, now=lab.now)
    lab.pump()
    second = bob.offers[-1]
    assert second.connection_id == first.connection_id and second.serial == first.serial + 1
    assert leg.client.remote_ufrag != before and bob.subscribe_leg is leg
    assert leg.client.remote_ufrag in lab.conference.table.demux.ufrags
    del lab.legs[leg.path]
    leg.path = ("203.0.113.7", 7000, leg.path[2])
    lab.legs[leg.path] = leg
    lab.run(1.0)
    session = lab.conference.peers[bob.participant.inner_id].subscribe
    assert session.transport.selected == leg.path
    count = len(bob.receiver().got)
    lab.run(0.5)
    assert len(bob.receiver().got) > count + 20 and bob.receiver().indexes()[-1] >= camera.count - 2


def test_a_restart_waits_for_the_open_offer():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    bob.answers = False
    publish_muted(alice, "audio")
    lab.pump()
    lab.conference.restart_subscribe(bob.participant, now=lab.now)
    lab.pump()
    assert len(bob.offers) == 1
    bob.answer(bob.offers[0])
    lab.pump()
    assert len(bob.offers) == 2
    ufrags = [value_of(sections(offer.sdp)[1], "ice-ufrag") for offer in bob.offers]
    assert ufrags[0] != ufrags[1]


def test_a_restart_without_anything_to_receive_is_nothing():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    lab.conference.restart_subscribe(bob.participant, now=lab.now)
    lab.pump()
    assert bob.offers == []
    publish_muted(alice, "audio")
    lab.pump()
    assert len(bob.offers) == 1


def test_an_answer_from_another_certificate_ends_the_connection():
    lab = Lab()
    alice, bob, _ = call(lab)

    bob.answers = False
    publish_muted(alice, "audio")
    lab.pump()
    bob.subscribe_leg.die()
    bob.subscribe_leg = Leg(lab, CONTEXTS[0])
    bob.answer(bob.offers[-1])
    bob.answers = True
    lab.pump()
    assert [e.reason for e in lab.told(ConnectionChanged) if not e.connected] == ["fingerprint mismatch"]
    assert bob.offers[-1].connection_id != bob.offers[0].connection_id
    lab.connect()
    assert len(lab.told(ParticipantActive)) >= 2
