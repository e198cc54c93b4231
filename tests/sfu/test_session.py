"""A peer session over its life: re-offers, restarts of ICE, tracks that come, change and go."""

from __future__ import annotations

import pylibsrtp
import pytest

from media.codecs import Kind
from media.errors import PeerError, UsageError
from sfu.meeting.events import TrackUnpublished
from sfu.meeting.permissions import Source
from sfu.producer import Producer
from sfu.sdp.negotiate import parse_description
from sfu.session import PeerSession, Role
from sfu.switchboard import ConnectionChanged
from tests.support.client_sdp import VP8_LINES, Line, direction_of, sections, value_of, write_offer
from tests.support.conference_pair import COARSE, CONTEXTS, Lab, VideoSender, call
from tests.support.network import Path
from tests.support.webrtc_client import WebRtcClient


def test_a_track_that_is_unpublished_ends_for_its_subscribers():
    lab = Lab()
    alice, bob, _camera = call(lab)
    lab.conference.unpublish(alice.participant, alice.tracks["0"], now=lab.now)
    lab.run(0.5)
    assert len(lab.told(TrackUnpublished)) == 1 and lab.conference.tracks == 0
    assert direction_of(sections(bob.offers[-1].sdp)[1]) == "inactive" and bob.offers[-1].tracks == ()
    before = len(bob.receiver().got)
    lab.run(0.3)
    assert len(bob.receiver().got) == before


def test_a_track_that_ended_leaves_no_srtp_stream_behind():
    """Or a long meeting of many guests would cost ever more for each packet."""
    lab = Lab()
    alice, bob, _camera = call(lab)
    session = lab.conference.peers[bob.participant.inner_id].subscribe
    ssrc = session.endpoint.consumers[0].params.ssrc
    lab.conference.unpublish(alice.participant, alice.tracks["0"], now=lab.now)
    lab.run(1.5)
    with pytest.raises(pylibsrtp.Error):
        session.transport._srtp._outbound.remove_stream(ssrc)


def test_a_stopped_m_line_that_is_offered_on_brings_no_track_back():
    """The client unpublished its camera and then offers its microphone, with the camera's m-line as it was."""
    lab = Lab()
    alice, _bob, _camera = call(lab)
    lab.conference.unpublish(alice.participant, alice.tracks["0"], now=lab.now)
    lab.pump()
    answer = alice.publish(Line("audio", ssrc=2000), sources=(Source.MIC,))
    assert [direction_of(part) for part in sections(answer)[1:]] == ["inactive", "recvonly"]
    assert lab.conference.tracks == 1


def test_a_track_moves_to_another_m_line():
    lab = Lab()
    alice, _bob, _camera = call(lab)
    alice.media.append(Line("video", ssrc=3000))
    answer = alice.negotiate([("1", alice.tracks["0"])])
    assert [direction_of(part) for part in sections(answer)[1:]] == ["inactive", "recvonly"]
    lab.pump()
    assert lab.conference.tracks == 1 and lab.told(TrackUnpublished) == []


def test_new_streams_of_a_track_reach_those_who_had_it():
    """A re-offer with other SSRCs (a browser that replaced its sender): the track goes on."""
    lab = Lab()
    alice, bob, camera = call(lab)
    camera.running = False
    lab.run(0.1)
    alice.media[0] = Line("video", ssrc=5000)
    alice.negotiate()
    alice.publish_leg.senders = [second := VideoSender(lab, ssrc=5000, seed=8)]
    lab.run(1.0)
    receiver = bob.receiver(1)
    assert receiver.indexes()[-1] >= second.count - 2 and receiver.missing == []
    assert lab.told(TrackUnpublished) == [], "nobody is told: it is the same track"


def test_a_new_certificate_is_a_new_connection():
    lab = Lab()
    alice, bob, _camera = call(lab)
    first = lab.conference.peers[alice.participant.inner_id].publish
    track_id = alice.announce(Source.SCREEN)
    alice.media = [Line("video", ssrc=7000)]
    with pytest.raises(PeerError, match="UNKNOWN_TRACK"):  # docs/signalling.md: announce them anew before offering
        alice.negotiate([("0", alice.tracks["0"])], context=CONTEXTS[1])
    assert lab.conference.peers[alice.participant.inner_id].publish is first, "a refusal changes nothing"
    lab.run(0.1)
    assert lab.told(TrackUnpublished) == []
    alice.negotiate([("0", track_id)], context=CONTEXTS[1])
    alice.publish_leg.senders = [VideoSender(lab, ssrc=7000)]
    lab.run(0.5)
    lab.connect()
    lab.run(0.5)
    assert first.closed and [event.track.track_id for event in lab.told(TrackUnpublished)] == [alice.tracks["0"]]
    assert lab.conference.tracks == 1 and len(lab.conference.table) == 2
    assert len(bob.receiver(-1).got) > 20
    assert [event for event in lab.told(ConnectionChanged) if not event.connected] == [], "the client did it itself"


@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_a_publisher_restarts_ice_on_a_new_address(loss):
    lab = Lab()
    alice, bob, _camera = call(lab)
    leg = alice.publish_leg
    before = (leg.client.remote_ufrag, leg.client.ufrag)
    leg.new_credentials()
    alice.negotiate()
    assert leg.client.remote_ufrag != before[0]
    assert leg.client.remote_ufrag in lab.conference.table.demux.ufrags, "found at once, before anything is pumped"
    assert before[0] in lab.conference.table.demux.ufrags, "the old ones too, until the new ones are used"
    if loss:
        leg.impair(Path(delay=0.01, loss=loss), seed=3)
    del lab.legs[leg.path]
    leg.path = ("203.0.113.9", 4242, leg.path[2])
    lab.legs[leg.path] = leg
    lab.run(1.0)
    assert lab.conference.peers[alice.participant.inner_id].publish.transport.selected == leg.path
    count = len(bob.receiver().got)
    lab.run(0.5)
    assert len(bob.receiver().got) > count + 20 and lab.told(TrackUnpublished) == []


def test_restarting_ice_often_before_using_it_keeps_the_connection():
    lab = Lab()
    alice, _bob, _camera = call(lab)
    in_use = alice.publish_leg.client.remote_ufrag
    for _ in range(5):
        alice.publish_leg.client.ufrag = lab.random.randbytes(4).hex()
        sdp = alice.offer()
        lab.conference.publish(alice.participant, sdp, [], now=lab.now)  # the answer gets lost
    assert in_use in lab.conference.table.demux.ufrags
    lab.run(20.0, step=COARSE)
    assert lab.conference.tracks == 1


# The session by itself


def make_session(lab: Lab, role: Role) -> PeerSession:
    return PeerSession(lab.conference.context, id="s", role=role, owner="PA_1", now=lab.now)


def played(lab: Lab, *kinds: str) -> tuple[PeerSession, dict[Kind, Producer], str]:
    """A player's session and a publisher's producers of both kinds."""
    publisher, player = make_session(lab, Role.PUBLISH), make_session(lab, Role.PLAY)
    client = WebRtcClient(CONTEXTS[0])
    offer = parse_description(write_offer(client, Line("audio", ssrc=1), Line("video", ssrc=3)), lab.config)
    publisher.receive_publish_offer(offer, {"0": "TR_a", "1": "TR_v"}, now=lab.now)
    producers = {producer.kind: producer for producer in publisher.producers.values()}
    sdp = write_offer(client, *(Line(kind, "recvonly") for kind in kinds))
    player.receive_play_offer(parse_description(sdp, lab.config), {}, stream_id="alice", now=lab.now)
    return player, producers, sdp


def test_a_player_takes_one_producer_of_each_kind_it_offered():
    lab = Lab()
    player, producers, _ = played(lab, "video")
    assert not player.attach(Kind.AUDIO, producers[Kind.AUDIO], now=lab.now), "it has no m-line for audio"
    assert player.attach(Kind.VIDEO, producers[Kind.VIDEO], now=lab.now)
    assert not player.attach(Kind.VIDEO, producers[Kind.VIDEO], now=lab.now), "the m-line is taken"
    player.detach(producers[Kind.AUDIO], now=lab.now)
    assert len(producers[Kind.VIDEO].consumers) == 1
    player.detach(producers[Kind.VIDEO], now=lab.now)
    assert producers[Kind.VIDEO].consumers == []
    assert player.attach(Kind.VIDEO, producers[Kind.VIDEO], now=lab.now), "and free again"


def test_a_player_keeps_its_ssrcs_over_re_offers():
    lab = Lab()
    player, producers, sdp = played(lab, "audio", "video")
    for kind, producer in producers.items():
        assert player.attach(kind, producer, now=lab.now)
    sending = [str(consumer.params.ssrc) for consumer in player.endpoint.consumers]
    answer = player.receive_play_offer(parse_description(sdp, lab.config), producers, stream_id="alice", now=lab.now)
    assert [value_of(part, "ssrc").split()[0] for part in sections(answer)[1:]] == sending
    assert len(player.endpoint.consumers) == 2


def test_closing_a_session_lets_go_of_others_producers():
    lab = Lab()
    player, producers, _ = played(lab, "audio", "video")
    for kind, producer in producers.items():
        player.attach(kind, producer, now=lab.now)
    for _ in range(2):
        player.close(now=lab.now)
    assert player.closed and all(producer.consumers == [] for producer in producers.values())
    assert player.get_timer() is None and player.next_event(now=lab.now) is None


def test_a_re_offer_that_changes_nothing_keeps_the_producer():
    lab = Lab()
    session = make_session(lab, Role.PUBLISH)
    sdp = write_offer(WebRtcClient(CONTEXTS[0]), Line(ssrc=1))
    answers = []
    for _ in range(2):
        offer = parse_description(sdp, lab.config)
        answers.append(session.receive_publish_offer(offer, {"0": "TR_1"}, now=lab.now))
        producer = session.producers["0"]
    assert session.endpoint.producers == [producer]
    ufrags = {value_of(sections(answer)[1], "ice-ufrag") for answer in answers}
    assert ufrags == {session.local_ufrag}, "no restart was asked for"


def test_a_simulcast_offer_makes_one_producer_with_its_layers():
    lab = Lab()
    session = make_session(lab, Role.PUBLISH)
    simulcast = (
        *VP8_LINES,
        "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        *(f"a=rid:{rid} send" for rid in "qhf"),
        "a=simulcast:send q;h;f",
    )
    offer = parse_description(write_offer(WebRtcClient(CONTEXTS[0]), Line(codec=simulcast)), lab.config)
    session.receive_publish_offer(offer, {"0": "TR_1"}, now=lab.now)
    params = session.producers["0"].params
    assert params.simulcast and [encoding.rid for encoding in params.encodings] == ["q", "h", "f"]


def test_only_a_subscribe_session_offers():
    lab = Lab()
    with pytest.raises(UsageError):
        make_session(lab, Role.PUBLISH).create_offer(now=lab.now)
    session = make_session(lab, Role.PLAY)
    for call_too_early in (lambda: session.set_remote_credentials("u", "p"), session.restart_fragment):
        with pytest.raises(UsageError):
            call_too_early()
