"""What follows from what: everything is freed, deadlines fall together, players get their sources, one session wakes another."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest

from media.drops import DropReason
from sfu.config import SfuConfig
from sfu.meeting.events import ParticipantLeft, RoomEnded, TrackUnpublished
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Source
from sfu.rtp.compound import parse_compound
from sfu.rtp.reports import Bye, SenderReport
from sfu.switchboard import ConnectionChanged
from sfu.transport import Transport
from tests.support.client_sdp import Line
from tests.support.conference_pair import COARSE, Browser, Lab, assert_empty, call
from tests.support.rtp_peers import VP8_KEY, rtp

LEAVE = CloseReason.MANUAL_LEAVE_CALLED


def watch(lab: Lab) -> list[weakref.ref]:
    """Weak references to all that a call is made of."""
    c = lab.conference
    objects: list[object] = [*c.rooms.values(), *c.peers.values(), *c._producers.values()]
    for session in c.table.sessions.values():
        objects += [session, session.transport, session.endpoint, session.transport.ice]
        objects += session.endpoint.consumers
    return [weakref.ref(item) for item in objects if hasattr(type(item), "__weakref__")]


def kept(references: list[weakref.ref]) -> list[object]:
    gc.collect()
    return [item for reference in references if (item := reference()) is not None]


def big_call() -> tuple[Lab, list[Browser]]:
    """Two who send and receive, one WHEP player, one WHIP publisher."""
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    alice.camera(ssrc=100)
    alice.microphone(ssrc=200)
    bob.camera(ssrc=300)
    whip, player = lab.whip("whip"), lab.whip("player")
    whip.camera(ssrc=400)
    player.play(of="alice")
    lab.connect()
    lab.run(0.5)
    lab.connect()
    lab.run(0.3)
    assert len(lab.conference.table) == 6 and len(player.receiver().got) > 0
    return lab, [alice, bob, whip, player]


def forget(lab: Lab, browsers: list[Browser]) -> None:
    """The clients' and the lab's own hold on what they were told."""
    lab.events.clear()
    lab.browsers.clear()
    for browser in browsers:
        browser.offers.clear()


def leave_all(lab: Lab, browsers: list[Browser]) -> None:
    for browser in browsers:
        lab.conference.leave(browser.participant, LEAVE, now=lab.now)
        lab.run(0.1)


def crash_all(lab: Lab, browsers: list[Browser]) -> None:
    """All tabs are killed: signalling drops, nothing is sent any more. Resume window and peer timeout fall together."""
    for browser in browsers:
        browser.answers = False
        browser.die()
        if lab.conference.peers[browser.participant.inner_id].has_signalling:
            lab.conference.detach(browser.participant, now=lab.now)
    lab.run(40.0, step=COARSE)


def end(lab: Lab, browsers: list[Browser]) -> None:
    lab.conference.detach(browsers[0].participant, now=lab.now)  # its resume window runs
    lab.pump()
    assert lab.conference.end_room("room", CloseReason.MEETING_END_API, now=lab.now)
    lab.pump()


def shut_down(lab: Lab, browsers: list[Browser]) -> None:
    lab.conference.close(now=lab.now)
    lab.pump()


@pytest.mark.parametrize("how", [leave_all, crash_all, end, shut_down])
def test_everything_a_room_holds_is_freed(how):
    lab, browsers = big_call()
    references = watch(lab)
    assert len(references) > 25 and len(kept(references)) == len(references)
    how(lab, browsers)
    assert_empty(lab)
    left = [event for event in lab.told(ParticipantLeft)]
    assert sorted(event.participant_id for event in left) == ["alice", "bob", "player", "whip"]
    assert len(lab.told(RoomEnded)) == 1
    forget(lab, browsers)
    assert kept(references) == []
    dirty = lab.conference.dirty
    assert [item for item in gc.get_objects() if type(item) is Transport and item._dirty is dirty] == []


def test_clients_hear_a_goodbye():
    lab, browsers = big_call()
    legs = list(lab.legs.values())
    end(lab, browsers)
    lab.run(0.01)
    assert [leg.client.closed for leg in legs] == [True] * 6


def test_one_who_leaves_is_freed_while_the_others_go_on():
    lab, (alice, bob, whip, player) = big_call()
    gone = lab.conference.peers[alice.participant.inner_id]
    references = [weakref.ref(item) for item in (gone, *gone.sessions, *(s.endpoint for s in gone.sessions))]
    del gone
    lab.conference.leave(alice.participant, LEAVE, now=lab.now)
    lab.run(0.2)
    forget(lab, [alice, bob, whip, player])
    assert kept(references) == []
    assert lab.conference.tracks == 2 and len(lab.conference.table) == 4
    before = len(bob.receiver(-1).got)
    lab.run(0.5)
    assert max(len(receiver.got) for receiver in bob.subscribe_leg.receivers.values()) > before


def test_a_hundred_who_come_and_go_leave_nothing():
    lab, browsers = big_call()
    sizes = []
    for number in range(100):
        dora = lab.join(f"dora{number}")
        dora.microphone(ssrc=900)
        lab.run(0.003)
        lab.conference.leave(dora.participant, LEAVE, now=lab.now)
        lab.pump()
        dora.die()
        forget(lab, [*browsers, dora])
        lab.browsers = {b.participant.inner_id: b for b in browsers}
        sizes.append(len(lab.conference.table) + lab.conference.participants + lab.conference.tracks)
    assert set(sizes) == {6 + 4 + 4}
    assert len(lab.conference.table._timers._heap) < 200


# Time


@pytest.mark.parametrize("window", [14.9, 14.98, 15.0, 15.02, 15.1])
def test_a_resume_window_that_ends_as_the_connection_does(window):
    """Both deadlines in one tick: what is drained is older than the leave."""
    lab = Lab(SfuConfig(resume_window=window, peer_timeout=15.0))
    alice, bob, _ = call(lab)
    lab.run(0.2)
    lab.conference.detach(alice.participant, now=lab.now)
    alice.die()
    lab.run(16.0, step=COARSE)
    left = lab.told(ParticipantLeft)
    assert [(event.participant_id, event.reason) for event in left] == [("alice", CloseReason.WEBSOCKET_DISCONNECTED)]
    assert lab.conference.tracks == 0 and list(lab.conference.rooms["room"].participants) == ["bob"]
    assert bob.offers[-1].tracks == ()


def test_deadlines_in_one_tick_end_one_participant_once():
    """The tick comes late, both are due."""
    lab = Lab()
    alice, _, _ = call(lab)
    lab.conference.detach(alice.participant, now=lab.now)
    lab.pump()
    alice.die()
    lab.now += 60.0
    lab.conference.handle_timer(now=lab.now)
    lab.pump()
    assert [event.participant_id for event in lab.told(ParticipantLeft)].count("alice") == 1


def test_a_client_that_never_comes_is_given_up():
    lab = Lab()
    whip = lab.whip("whip")
    whip.publish(Line(ssrc=1), sources=(Source.WEBCAM,))
    whip.die()
    lab.run(14.5, step=COARSE)
    assert len(lab.conference.table) == 1
    lab.run(1.0, step=COARSE)
    (lost,) = lab.told(ConnectionChanged)
    assert (lost.connected, lost.reason) == (False, "handshake timeout") and lost.seconds == pytest.approx(15, abs=0.1)
    assert [event.reason for event in lab.told(ParticipantLeft)] == [CloseReason.MEDIA_TIMEOUT]
    assert_empty(lab)


def test_a_quiet_connection_lives_by_its_checks_alone():
    lab = Lab()
    _alice, _bob, camera = call(lab)
    camera.running = False
    lab.run(60.0, step=COARSE)
    assert len(lab.conference.table) == 2 and [e for e in lab.told(ConnectionChanged) if not e.connected] == []


def test_a_keyframe_asked_by_another_session_leaves_in_time():
    """The publisher's own connection is silent meanwhile: nothing but the subscriber's request can wake it."""
    lab = Lab(SfuConfig(rtcp_interval=1000.0))
    alice, bob, camera = call(lab)
    lab.run(0.6)
    camera.running = False
    lab.run(0.3)
    pli = bytes.fromhex("81ce0002 00000001") + bob.receiver().ssrc.to_bytes(4, "big")
    bob.subscribe_leg.client.send_rtcp(pli)
    lab.run(0.1)
    asked = lab.conference.stats.pli_out
    alice.publish_leg.client.send_rtp(rtp(camera._first + camera.count, VP8_KEY + bytes(4), ssrc=camera.ssrc))
    lab.run(0.01)  # answered: a further request has to wait for config.keyframe_interval_min
    bob.subscribe_leg.client.send_rtcp(pli)
    lab.run(0.1)
    assert lab.conference.stats.pli_out == asked
    lab.run(0.5)
    assert lab.conference.stats.pli_out == asked + 1


# Players


def test_a_player_gets_the_next_source_when_its_own_ends():
    lab = Lab()
    alice, bob, player = lab.join("alice"), lab.join("bob"), lab.whip("player")
    alice.camera(ssrc=100)
    bob.camera(ssrc=200)
    player.play("video")
    lab.connect()
    lab.run(1.0)
    lab.connect()
    before = len(player.receiver().got)
    assert before > 50 and player.receiver().missing == []
    lab.conference.leave(alice.participant, LEAVE, now=lab.now)
    lab.run(1.0)
    assert len(player.receiver().got) > before + 50 and player.receiver().missing == []
    kinds = [type(message) for data in player.play_leg.heard for message in parse_compound(data)]
    assert SenderReport in kinds and Bye not in kinds, "the stream goes on: some players end their track at a BYE"


def test_a_player_of_one_participant_waits_for_that_one():
    lab = Lab()
    alice, bob, player = lab.join("alice"), lab.join("bob"), lab.whip("player")
    bob.camera(ssrc=200)
    player.play("video", of="alice")
    lab.connect()
    lab.run(0.5)
    assert player.receiver().got == {}
    lab.conference.unpublish(bob.participant, bob.tracks["0"], now=lab.now)
    camera = alice.camera(ssrc=100)
    lab.connect()
    lab.run(1.0)
    assert player.receiver().indexes()[-1] >= camera.count - 2


def test_a_player_gets_the_track_that_was_published_again():
    lab = Lab()
    alice, player = lab.join("alice"), lab.whip("player")
    alice.camera(ssrc=100)
    player.play("video")
    lab.connect()
    lab.run(0.5)
    lab.conference.unpublish(alice.participant, alice.tracks["0"], now=lab.now)
    lab.run(0.2)
    alice.publish_leg.senders.clear()
    alice.media[0] = Line(mid="0", direction="inactive")
    camera = alice.camera(ssrc=300)
    before = len(player.receiver().got)
    lab.run(1.0)
    assert len(player.receiver().got) > before + 50 and player.receiver().indexes()[-1] >= camera.count - 2


def test_a_player_without_the_grant_gets_nothing_until_it_has_it_again():
    lab = Lab()
    alice, player = lab.join("alice"), lab.whip("player")
    alice.camera(ssrc=100)
    player.play("video")
    lab.connect()
    lab.run(0.5)
    grants = player.participant.grants
    lab.conference.set_grants(alice.participant, "player", replace(grants, subscribe=False), now=lab.now)
    lab.run(0.05)
    before = len(player.receiver().got)
    lab.run(0.5)
    assert len(player.receiver().got) == before
    lab.conference.set_grants(alice.participant, "player", grants, now=lab.now)
    lab.run(0.5)
    assert len(player.receiver().got) > before + 20


def test_a_whip_publisher_that_closes_has_left():
    lab = Lab()
    whip, bob = lab.whip("whip"), lab.join("bob")
    whip.camera(ssrc=5)
    lab.connect()
    lab.run(0.5)
    whip.publish_leg.client.close()
    lab.run(0.05)
    assert [event.participant_id for event in lab.told(ParticipantLeft)] == ["whip"]
    assert len(lab.told(TrackUnpublished)) == 1 and bob.offers[-1].tracks == ()


# Bugs of ours


def test_a_session_in_which_we_fail_ends_and_the_others_go_on(monkeypatch):
    lab = Lab()
    _alice, bob, camera = call(lab)
    carol = lab.join("carol")
    lab.pump()
    lab.connect()
    session = lab.conference.peers[bob.participant.inner_id].subscribe
    monkeypatch.setattr(session.endpoint, "receive_rtcp", None)  # "NoneType is not callable": a bug
    report = bytes.fromhex("80c90001 00000001")
    bob.subscribe_leg.client.send_rtcp(report)
    with pytest.raises(TypeError):
        lab.run(0.01)
    lab.conference.drop_failed(now=lab.now)
    lab.pump()
    assert session.closed and session.id not in lab.conference.table.sessions
    assert [e.reason for e in lab.told(ConnectionChanged) if not e.connected] == ["internal error"]
    lab.connect()
    lab.run(0.5)
    assert carol.receiver().indexes()[-1] >= camera.count - 2
    assert bob.receiver().indexes()[-1] >= camera.count - 2, "bob too, on a new connection"
    assert lab.count(DropReason.SESSION_CLOSED) == 0


def test_a_bug_at_a_rooms_time_costs_no_session(monkeypatch):
    lab = Lab()
    alice, *_ = call(lab)
    alice.microphone(level=25)
    lab.connect()
    speakers = lab.conference.rooms["room"].speakers
    assert speakers.due is not None
    monkeypatch.setattr(speakers._detector, "hear", None)
    with pytest.raises(TypeError):
        lab.run(0.5)
    lab.conference.drop_failed(now=lab.now)
    lab.pump()
    assert lab.told(ParticipantLeft) == [] and [e for e in lab.told(ConnectionChanged) if not e.connected] == []
    assert speakers.due > lab.now, "and it is not tried again at once"


def test_with_nobody_to_blame_nobody_is_dropped():
    lab = Lab()
    alice, bob, _ = call(lab)
    lab.conference.leave(bob.participant, LEAVE, now=lab.now)
    lab.conference.leave(alice.participant, LEAVE, now=lab.now)
    lab.pump()
    lab.conference.drop_failed(now=lab.now)
    assert_empty(lab)
