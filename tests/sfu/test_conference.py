"""Commands to a conference, and media through all of it: SDP, ICE, DTLS, SRTP, forwarding, over lossy networks in virtual time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from media.drops import DropReason
from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.meeting.events import RoomEnded, RoomStarted, RoomStateChanged, SpeakerChanged, TrackMuted, TrackPublished
from sfu.meeting.participant import CloseReason, JoinRequest
from sfu.meeting.permissions import Grants, Source
from sfu.rtp.packet import parse
from tests.support.client_sdp import H264_LINES, Line, sections, value_of, write_offer
from tests.support.conference_pair import CONTEXTS, Lab, Leg, assert_empty, call
from tests.support.network import Path
from tests.support.rtp_peers import START_NUMBERS, Wire

LOSSY = Path(delay=0.020, jitter=0.004, loss=0.05, reorder=0.02, duplicate=0.01)
NEAR_WRAP = (2**32 - 90_000) / 90_000  # seconds of the media clock: the RTP time wraps a second later


def refused(code_name: str):
    return pytest.raises(PeerError, match=code_name)


# Media


@pytest.mark.parametrize("first", START_NUMBERS)
def test_at_five_percent_loss_on_both_legs_every_packet_arrives(first):
    lab = Lab(seed=first + 1)
    alice, bob, camera = call(lab, first=first, start=NEAR_WRAP)
    alice.publish_leg.impair(LOSSY, seed=first + 2)
    bob.subscribe_leg.impair(LOSSY, seed=first + 4)
    lab.run(5.0)
    camera.running = False
    lab.run(1.5)

    receiver, up, down = bob.receiver(), alice.publish_leg.up, bob.subscribe_leg.down
    assert min(up.lost, down.lost) > 20 and min(up.duplicated, up.reordered, down.duplicated, down.reordered) > 0
    assert receiver.missing == [] and receiver.resent > 20 and camera.nacked > 20
    indexes = receiver.indexes()
    assert indexes == list(range(indexes[0], indexes[-1] + 1)), "each once, in the publisher's order"
    assert indexes[0] < 20 and indexes[-1] >= camera.count - 3, "only of the very last no later one tells"
    sent = [parse(data).timestamp for data in camera.sent]
    assert max(sent) - min(sent) > 2**31, "the RTP time went round"
    times = [packet.timestamp for _, packet in sorted(receiver.got.items())]
    assert all((b - a) & 0xFFFFFFFF < 9000 for a, b in pairwise(times))


def test_two_subscribers_of_one_publisher_are_apart():
    """One on a bad path costs the other nothing; each has its own SSRC, numbers and times."""
    lab = Lab()
    _alice, bob, camera = call(lab)
    carol = lab.join("carol")
    lab.pump()
    lab.connect()
    bob.subscribe_leg.impair(replace(LOSSY, loss=0.3), seed=7)
    lab.run(3.0)
    camera.running = False
    lab.run(2.5)
    bad, good = bob.receiver(), carol.receiver()
    assert bad.ssrc != good.ssrc and bad.first != good.first
    assert good.missing == [] and good.resent == 0
    assert bad.missing == [] and bad.resent > 50
    end = bad.indexes()[-1]
    assert end >= camera.count - 10
    assert bad.indexes()[-30:] == [index for index in good.indexes() if index <= end][-30:]


def test_audio_and_video_of_both_reach_the_other():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    senders = {b: (b.microphone(ssrc=100 + n, first=65530), b.camera(ssrc=200 + n)) for n, b in enumerate((alice, bob))}
    lab.connect()
    lab.run(1.0)
    lab.connect()
    lab.run(1.0)
    for browser, other in ((alice, bob), (bob, alice)):
        receivers = [browser.receiver(0), browser.receiver(1)]
        audio = next(r for r in receivers if r.rtx_ssrc is None)
        video = next(r for r in receivers if r is not audio)
        assert len(audio.got) > 40 and audio.missing == []
        assert video.missing == [] and video.indexes()[-1] >= senders[other][1].count - 2
        assert {packet.payload_type for packet in audio.got.values()} == {111}


def test_a_muted_track_is_not_forwarded_and_comes_back_with_a_keyframe():
    lab = Lab()
    alice, bob, camera = call(lab)
    track_id = alice.tracks["0"]
    lab.run(0.3)
    lab.conference.mute(alice.participant, track_id, True, now=lab.now)
    lab.run(0.05)
    before, keyframes = len(bob.receiver().got), camera.keyframes
    lab.run(1.0)
    assert len(bob.receiver().got) == before
    assert lab.count(DropReason.RTP_TRACK_MUTED) > 50
    assert camera.keyframes == keyframes, "nobody waits for one"
    lab.conference.mute(alice.participant, track_id, False, now=lab.now)
    lab.run(0.5)
    assert camera.keyframes == keyframes + 1
    after = [bob.receiver().payloads[number] for number in sorted(bob.receiver().got)][before:]
    assert len(after) > 20 and after[0][:2] == b"\x10\x00", "the first one begins a keyframe"
    assert bob.receiver().missing == [], "no hole in the numbers"
    assert [event.track.muted for event in lab.told(TrackMuted)] == [True, False]
    assert len(bob.offers) == 1, "without renegotiation"


def test_a_track_announced_muted_is_published_at_once():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    alice.media.append(Line("video", ssrc=1000))
    track_id = alice.announce(Source.WEBCAM, muted=True)
    alice.negotiate([("0", track_id)])
    lab.pump()
    assert [event.track.track_id for event in lab.told(TrackPublished)] == [track_id]
    assert len(bob.offers) == 1


def test_a_paused_subscription_sends_nothing_and_resumes_without_renegotiation():
    lab = Lab()
    alice, bob, _camera = call(lab)
    track_id = alice.tracks["0"]
    lab.conference.want(bob.participant, track_id, enabled=False, now=lab.now)
    lab.run(0.05)
    before = len(bob.receiver().got)
    lab.run(0.5)
    assert len(bob.receiver().got) == before
    lab.conference.want(bob.participant, track_id, enabled=True, now=lab.now)
    lab.run(0.5)
    assert len(bob.receiver().got) > before + 20 and bob.receiver().missing == [] and len(bob.offers) == 1


def test_a_subscription_paused_before_its_offer_is_answered_starts_paused():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    bob.answers = False
    alice.camera()
    lab.connect()
    lab.run(0.1)
    lab.conference.want(bob.participant, alice.tracks["0"], enabled=False, now=lab.now)
    lab.pump()
    bob.answer(bob.offers[0])
    lab.connect()
    lab.run(0.5)
    assert bob.receiver().got == {}
    lab.conference.want(bob.participant, alice.tracks["0"], enabled=True, now=lab.now)
    lab.run(0.5)
    assert len(bob.receiver().got) > 20


# Refusals leave nothing behind


def state_of(lab: Lab) -> tuple:
    c = lab.conference
    return (
        sorted(c.table.sessions),
        sorted(c._producers),
        {k: (v.publish, v.subscribe, v.play, dict(v.bindings)) for k, v in c.peers.items()},
        {k: sorted(v.participants) for k, v in c.rooms.items()},
        dict(c.table.demux.ufrags),
        dict(c.table.demux.paths),
    )


def offers_that_are_refused(leg: Leg) -> dict[str, tuple[str, str]]:
    good = write_offer(leg.client, Line(ssrc=1))
    g722 = Line("audio", codec=("a=rtpmap:111 G722/8000",))
    return {
        "garbage": ("garbage", "INVALID_SDP"),
        "empty": ("", "INVALID_SDP"),
        "no m-line": (sections(good)[0][0] + "\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", "INVALID_MESSAGE"),
        "no fingerprint": ("\r\n".join(x for x in good.split("\r\n") if "fingerprint" not in x), "INVALID_SDP"),
        "no ice": ("\r\n".join(x for x in good.split("\r\n") if "ice-pwd" not in x), "INVALID_SDP"),
        "passive": (good.replace("setup:actpass", "setup:passive"), "INVALID_SDP"),
        "long": (good + "a=x:" + "y" * 65536 + "\r\n", "INVALID_SDP"),
        "many m-lines": (write_offer(leg.client, *(Line() for _ in range(129))), "INVALID_SDP"),
        "many ssrcs": (good + "".join(f"a=ssrc:{n} cname:c\r\n" for n in range(10, 300)), "INVALID_SDP"),
        "no codec": (write_offer(leg.client, Line(codec=("a=rtpmap:96 theora/90000",))), "CODEC_NOT_SUPPORTED"),
        "other kind": (write_offer(leg.client, g722), "INVALID_MESSAGE"),
        "other mid": (write_offer(leg.client, Line(mid="7")), "INVALID_MESSAGE"),
    }


REFUSED = sorted(offers_that_are_refused(Leg(Lab(), CONTEXTS[0])))
# A re-offer may stop its m-lines one by one, so an unknown codec refuses no whole offer there.
AGAIN = [(name, True) for name in REFUSED if name != "no codec"]


@pytest.mark.parametrize(("name", "again"), [*((name, False) for name in REFUSED), *AGAIN])
def test_a_refused_offer_changes_nothing(name, again):
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    camera = alice.camera() if again else None
    lab.pump()
    if again:
        lab.connect()
        lab.connect()
    track_id = alice.announce(Source.SCREEN)
    before = state_of(lab)
    sdp, code_name = offers_that_are_refused(alice.publish_leg or Leg(lab, CONTEXTS[0]))[name]
    with refused(code_name):
        lab.conference.publish(alice.participant, sdp, [("0", track_id)], now=lab.now)
    lab.pump()
    assert state_of(lab) == before and alice.participant.tracks[track_id].bound is False
    if camera is not None:
        lab.run(0.5)
        assert bob.receiver().indexes()[-1] >= camera.count - 2, "the call goes on"


def test_bindings_that_make_no_sense_are_refused():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    mine, his = alice.announce(Source.WEBCAM), bob.announce(Source.WEBCAM)
    alice.media = [Line(ssrc=1), Line(ssrc=3)]
    for bindings, name in (
        ([("0", his)], "UNKNOWN_TRACK"),
        ([("0", "TR_nothing")], "UNKNOWN_TRACK"),
        ([("0", mine), ("1", mine)], "INVALID_MESSAGE"),
    ):
        with refused(name):
            alice.negotiate(bindings)
    assert len(lab.conference.table) == 0


def test_a_player_that_can_take_nothing_is_refused_and_forgotten():
    lab = Lab()
    call(lab)
    player = lab.whip("player")
    before = len(lab.conference.table)
    leg = Leg(lab, CONTEXTS[1])
    sdp = write_offer(leg.client, Line("video", "recvonly", codec=H264_LINES))
    with refused("CODEC_NOT_SUPPORTED"):
        lab.conference.play(player.participant, sdp, remote_participant_id="alice", now=lab.now)
    assert len(lab.conference.table) == before
    with refused("INVALID_SDP"):
        lab.conference.play(player.participant, "v=0", remote_participant_id="alice", now=lab.now)
    assert len(lab.conference.table) == before and lab.conference.peers[player.participant.inner_id].play is None


# Bounds


def test_sessions_are_bounded_and_places_come_back():
    lab = Lab(SfuConfig(max_sessions=2))
    alice, bob, carol = (lab.join(name) for name in ("alice", "bob", "carol"))
    alice.camera(ssrc=10)
    bob.camera(ssrc=20)
    with refused("SERVER_BUSY"):
        carol.camera(ssrc=30)
    carol.die()
    lab.connect()
    lab.run(0.2)
    assert bob.offers == [] and len(lab.conference.table) == 2, "no place for a subscribe connection either"
    lab.conference.leave(carol.participant, CloseReason.MANUAL_LEAVE_CALLED, now=lab.now)
    lab.conference.unpublish(alice.participant, alice.tracks["0"], now=lab.now)
    lab.conference.leave(alice.participant, CloseReason.MANUAL_LEAVE_CALLED, now=lab.now)
    lab.pump()
    assert len(lab.conference.table) == 1
    dora = lab.join("dora")
    lab.pump()
    assert len(dora.offers) == 1


def test_rooms_are_bounded_and_a_refused_join_leaves_no_room():
    lab = Lab(SfuConfig(max_rooms=1))
    lab.join("alice")
    with refused("SERVER_BUSY"):
        lab.join("bob", room="other")
    with refused("INVALID_PARTICIPANT_ID"):
        Lab().conference.join(JoinRequest("room", "two words", grants=Grants.full()), now=0.0)
    assert list(lab.conference.rooms) == ["room"]
    lab.conference.end_room("room", CloseReason.MEETING_END_API, now=lab.now)
    lab.pump()
    lab.join("bob", room="other")
    assert list(lab.conference.rooms) == ["other"]


def test_a_room_can_be_joined_in_the_breath_in_which_it_ended():
    lab = Lab()
    alice = lab.join("alice")
    assert lab.conference.end_room("room", CloseReason.MEETING_END_API, now=lab.now)
    assert not lab.conference.end_room("room", CloseReason.MEETING_END_API, now=lab.now)
    lab.join("bob")
    lab.pump()
    assert [type(event) for event in lab.events if isinstance(event, RoomStarted | RoomEnded)] == [RoomStarted, RoomEnded, RoomStarted]
    assert list(lab.conference.rooms["room"].participants) == ["bob"]
    with refused("NOT_JOINED"):
        lab.conference.update(alice.participant, display_name="x", now=lab.now)


def test_handshakes_are_bounded_by_address_and_in_all():
    lab = Lab(SfuConfig(max_handshakes=3, max_handshakes_per_address=2))
    browsers = [lab.join(f"p{n}") for n in range(5)]
    for n, browser in enumerate(browsers):
        browser.publish(Line(ssrc=10 * n + 1), sources=(Source.WEBCAM,))
        leg = browser.publish_leg
        if n >= 3:
            del lab.legs[leg.path]
            leg.path = (f"192.0.2.{n}", 5000, "198.51.100.1")
            lab.legs[leg.path] = leg
    for leg in lab.legs.values():  # ICE and the ClientHello, of all before any goes on
        for data in leg.send(lab.now):
            lab.conference.receive_datagram(data, leg.path, now=lab.now)
    lab.pump()
    for leg in lab.legs.values():
        for data in leg.client.datagrams_to_send():
            lab.conference.receive_datagram(data, leg.path, now=lab.now)
    assert lab.conference.table.demux.handshakes == 3
    assert lab.count(DropReason.HANDSHAKE_LIMIT) >= 2
    lab.pump()
    lab.run(0.2)
    assert lab.conference.table.demux.handshakes == 0
    assert sum(browser.publish_leg.client.connected for browser in browsers) == 3


def test_an_answer_names_our_address_and_fingerprint():
    lab = Lab()
    answer = lab.join("alice").publish(Line(ssrc=1), sources=(Source.WEBCAM,))
    section = sections(answer)[1]
    assert value_of(section, "candidate").startswith("1 1 udp 2130706431 198.51.100.1 7882")
    assert "a=ice-lite" in sections(answer)[0] and value_of(section, "setup") == "passive"


# What is made of a room


def test_a_rooms_state_is_set_while_somebody_is_there():
    lab = Lab()
    assert not lab.conference.set_room_state("room", "recording", {"status": "RECORDING_STARTED"}, now=lab.now)
    alice = lab.join("alice")
    assert lab.conference.set_room_state("room", "recording", {"status": "RECORDING_STARTED"}, now=lab.now)
    lab.pump()
    (event,) = lab.told(RoomStateChanged)
    assert (event.room_id, event.session_id) == ("room", lab.conference.rooms["room"].session_id)
    lab.conference.end_for_all(alice.participant, now=lab.now)
    assert not lab.conference.set_room_state("room", "recording", None, now=lab.now), "ended, and not drained yet"
    lab.pump()
    lab.join("alice")
    assert lab.conference.rooms["room"].state.values == {}


# Who speaks


def test_the_levels_of_the_packets_make_a_speaker_until_it_mutes():
    lab = Lab()
    alice, bob = lab.join("alice"), lab.join("bob")
    loud = alice.microphone(level=25)
    bob.microphone(level=60, ssrc=2500)
    lab.connect()
    lab.run_until(lambda: bool(lab.told(SpeakerChanged)), seconds=2.0)
    (event,) = lab.told(SpeakerChanged)
    assert (event.room_id, event.participant_id, event.order) == ("room", "alice", ("alice",))
    producer = next(iter(alice.participant.tracks))
    assert lab.conference._producers[producer].update_stats().audio_level == -25
    lab.conference.mute(alice.participant, producer, True, now=lab.now)
    lab.pump()
    assert lab.told(SpeakerChanged)[-1].participant_id is None
    lab.run(1.0)
    assert len(lab.told(SpeakerChanged)) == 2 and loud.running, "what it still sends counts no more"
    for browser in (alice, bob):
        lab.conference.leave(browser.participant, CloseReason.MANUAL_LEAVE_CALLED, now=lab.now)
    lab.pump()
    lab.run(0.1)
    assert_empty(lab)


def test_without_levels_nobody_speaks():
    lab = Lab()
    alice = lab.join("alice")
    alice.microphone()
    lab.connect()
    lab.run(2.0)
    assert lab.told(SpeakerChanged) == []


def test_a_room_that_a_recorder_holds_ends_in_time():
    lab = Lab()
    recorder = lab.join("rec", grants=Grants(join=True, subscribe=True, hidden=True, recorder=True))
    lab.conference.listen(recorder.participant, Wire(), hold_room_seconds=5.0, now=lab.now)
    lab.pump()
    session_id = lab.told(RoomStarted)[0].session_id
    lab.run(3.0, step=0.02)
    alice = lab.join("alice")
    lab.run(3.0, step=0.02)
    assert lab.conference.rooms["room"].session_id == session_id
    lab.conference.leave(alice.participant, CloseReason.MANUAL_LEAVE_CALLED, now=lab.now)
    lab.run(4.9, step=0.02)
    assert lab.told(RoomEnded) == []
    lab.run(0.2, step=0.02)
    assert [event.reason for event in lab.told(RoomEnded)] == [CloseReason.ROOM_CLOSE]
    assert_empty(lab)
