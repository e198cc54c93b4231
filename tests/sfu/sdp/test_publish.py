from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.codecs import Kind
from media.errors import ParseError, PeerError
from sfu.config import SfuConfig
from sfu.rtp import extensions as ext
from sfu.sdp.description import Direction, Fingerprint, Rid, Simulcast
from sfu.sdp.grammar import parse, serialize
from sfu.sdp.negotiate import Encoding, LocalTransport, answer_publish, restarts_ice
from sfu.sdp.negotiated import CODEC_NOT_SUPPORTED, INVALID_SDP
from sfu.sdp.publish import MAX_ENCODINGS
from tests.sfu.sdp.samples import AUDIO_LINES, CONFIG, LOCAL, OFFERS, TRANSPORT_LINES, VIDEO_LINES, offer, text

AUDIO = (*AUDIO_LINES, *TRANSPORT_LINES)
VIDEO = (*VIDEO_LINES, *TRANSPORT_LINES)
EXTENSIONS = (f"a=extmap:1 {ext.MID}", f"a=extmap:2 {ext.RID}", f"a=extmap:3 {ext.REPAIRED_RID}")
STOPPED_VIDEO = ("m=video 0 UDP/TLS/RTP/SAVPF 96",)
PUBLISHERS = [name for name in OFFERS if "publish" in name]


def publish(*media: tuple[str, ...], **kwargs):
    return answer_publish(offer(*media, **kwargs), LOCAL, CONFIG)


def refusal(*media: tuple[str, ...], **kwargs) -> PeerError:
    with pytest.raises(PeerError) as refused:
        publish(*media, **kwargs)
    return refused.value


@pytest.mark.parametrize("name", PUBLISHERS)
def test_every_real_publisher_is_answered(name):
    offered = parse(OFFERS[name])
    negotiation = answer_publish(offered, LOCAL, CONFIG)
    answer = negotiation.answer
    assert parse(serialize(answer)) == answer
    assert answer.ice_lite
    assert [m.mid for m in answer.media] == [m.mid for m in offered.media]
    assert answer.bundle == tuple(m.mid for m in negotiation.media if not m.rejected)
    for media, negotiated in zip(answer.media, negotiation.media, strict=True):
        if negotiated.kind is None:
            assert negotiated.rejected and media.port == 0
            continue
        assert media.port and media.setup == "passive" and media.rtcp_mux
        assert media.direction is Direction.RECVONLY
        assert media.fingerprints == [Fingerprint("sha-256", LOCAL.fingerprint)]
        assert negotiated.direction is Direction.SENDONLY
        assert len(negotiated.codecs) == 1
        assert len(negotiated.encodings) == (3 if negotiated.simulcast else 1)


@pytest.mark.parametrize(
    ("name", "codecs", "msid"),
    [
        ("chromium_publish_audio_video", ["opus", "VP8"], None),
        ("firefox_publish_audio_video", ["opus", "VP8"], None),
        ("aiortc_publish_audio_video", ["opus", "VP8"], None),
        ("obs_publish", ["opus", "H264"], ("hR5sJm2PdXf9GaZw", "hR5sJm2PdXf9GaZw-video")),
        ("gstreamer_publish", ["H264", "opus"], ("user4242@host-1a2b", "webrtctransceiver1")),
        ("jsep_bundle_only_publish", ["opus", "VP8"], ("-", "d46fb922-d52a-4e9c-aa87-444eadc1521c")),
    ],
)
def test_codec_is_the_first_of_the_offer_that_we_forward(name, codecs, msid):
    negotiation = answer_publish(parse(OFFERS[name]), LOCAL, CONFIG)
    assert [m.codecs[0].name for m in negotiation.media] == codecs
    if msid is not None:
        assert negotiation.media[1].msid == msid


def test_ssrc_and_its_rtx_are_read_from_the_offer():
    negotiation = answer_publish(parse(OFFERS["gstreamer_publish"]), LOCAL, CONFIG)
    assert negotiation.media[0].encodings == (Encoding(2236067977, 1732050807),)
    assert negotiation.media[1].encodings == (Encoding(1414213562),)


@pytest.mark.parametrize("name", ["chromium_publish_simulcast", "firefox_publish_simulcast"])
def test_simulcast_is_mirrored(name):
    negotiation = answer_publish(parse(OFFERS[name]), LOCAL, CONFIG)
    media = negotiation.media[1]
    assert media.simulcast
    assert media.encodings == (Encoding(rid="q"), Encoding(rid="h"), Encoding(rid="f"))
    answered = negotiation.answer.media[1]
    assert answered.rids == [Rid("q", "recv"), Rid("h", "recv"), Rid("f", "recv")]
    assert answered.simulcast == Simulcast(recv=(("q",), ("h",), ("f",)))


@pytest.mark.parametrize("name", ["chromium_publish_video", "chromium_publish_simulcast", "firefox_publish_simulcast"])
def test_every_video_answer_accepts_the_rid_extensions(name):
    ids = {e.uri: e.id for e in parse(OFFERS[name]).media[-1].extmaps}
    media = answer_publish(parse(OFFERS[name]), LOCAL, CONFIG).media[-1]
    for uri in (ext.MID, ext.RID, ext.REPAIRED_RID, ext.TRANSPORT_CC, ext.ABS_SEND_TIME):
        assert media.header_extensions[uri] == ids[uri]


def test_video_orientation_is_declined_so_that_the_sender_turns_the_picture():
    offered = parse(OFFERS["chromium_publish_video"])
    assert ext.VIDEO_ORIENTATION in {e.uri for e in offered.media[0].extmaps}
    assert ext.VIDEO_ORIENTATION not in answer_publish(offered, LOCAL, CONFIG).media[0].header_extensions


def test_extension_for_one_direction_only():
    negotiation = publish((*AUDIO, f"a=extmap:5/sendonly {ext.MID}", f"a=extmap:6/recvonly {ext.AUDIO_LEVEL}"))
    assert negotiation.media[0].header_extensions == {ext.MID: 5}
    assert negotiation.answer.media[0].extmaps[0].direction is Direction.RECVONLY


def test_rids_need_their_extensions():
    lines = (*VIDEO, "a=sendonly", "a=rid:q send", "a=rid:f send", "a=simulcast:send q;f")
    without = publish(lines).media[0]
    assert without.encodings == (Encoding(),)
    assert not without.simulcast
    assert publish((*lines, *EXTENSIONS)).media[0].simulcast


def test_simulcast_takes_first_alternatives_paused_ones_and_at_most_its_bound():
    rids = "abcdef"
    lines = tuple(f"a=rid:{rid} send pt=96;max-width=640" for rid in rids)
    negotiation = publish((*VIDEO, *EXTENSIONS, *lines, "a=simulcast:send a,b;~c;d;x;e;f"))
    assert [e.rid for e in negotiation.media[0].encodings] == ["a", "c", "d", "e"]
    assert len(negotiation.media[0].encodings) == MAX_ENCODINGS
    assert negotiation.answer.media[0].rids[0] == Rid("a", "recv", "max-width=640")


def test_simulcast_by_ssrc_group():
    lines = [f"a=ssrc:{ssrc} cname:x" for ssrc in (1, 2, 11, 12)]
    groups = ("a=ssrc-group:SIM 1 2", "a=ssrc-group:FID 1 11", "a=ssrc-group:FID 2 12")
    media = publish((*VIDEO, *lines, *groups)).media[0]
    assert media.simulcast
    assert media.encodings == (Encoding(1, 11), Encoding(2, 12))


def test_red_is_answered_with_opus_when_it_comes_first():
    lines = ("a=rtpmap:111 opus/48000/2", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", *TRANSPORT_LINES)
    first = publish(("m=audio 9 UDP/TLS/RTP/SAVPF 63 111", *lines))
    assert [c.name for c in first.media[0].codecs] == ["red", "opus"]
    assert first.answer.media[0].formats == ("63", "111")
    assert first.answer.media[0].fmtps[63] == "111/111"
    later = publish(("m=audio 9 UDP/TLS/RTP/SAVPF 111 63", *lines))
    assert [c.name for c in later.media[0].codecs] == ["opus"]


def test_goog_remb_is_not_answered():
    feedback = ("a=rtcp-fb:96 goog-remb", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 ccm fir")
    answer = publish((*VIDEO, *feedback)).answer
    assert {f.value for f in answer.media[0].rtcp_fbs} == {"nack pli", "ccm fir"}


@pytest.mark.parametrize(
    ("video", "bundle", "reason"),
    [
        (VIDEO, "0", "bundle"),
        (STOPPED_VIDEO, "0", "stopped"),
        (("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *TRANSPORT_LINES), None, "application"),
        (("m=video 9 RTP/AVP 96", "a=rtpmap:96 VP8/90000", *TRANSPORT_LINES), None, "DTLS-SRTP"),
        (("m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 H263/90000", *TRANSPORT_LINES), None, "codec"),
    ],
)
def test_m_line_that_cannot_live_is_rejected_and_the_others_live(video, bundle, reason):
    negotiation = publish(AUDIO, video, bundle=bundle)
    assert [m.rejected for m in negotiation.media] == [False, True]
    assert reason in negotiation.media[1].reason
    assert negotiation.answer.media[1].port == 0
    assert negotiation.answer.bundle == ("0",)
    assert negotiation.media[1].rejected


def test_first_m_line_may_be_the_rejected_one():
    channel = ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *TRANSPORT_LINES)
    answer = publish(channel, AUDIO).answer
    assert answer.bundle == ("1",)
    assert answer.media[1].candidates == list(LOCAL.candidates)


def test_rtcp_mux_is_inherited_in_the_bundle_and_nowhere_else():
    bare = tuple(line for line in VIDEO if line != "a=rtcp-mux")
    assert not publish(AUDIO, bare).media[1].rejected
    assert "rtcp-mux" in publish(bare, AUDIO).media[0].reason
    assert refusal(bare).code == INVALID_SDP


@pytest.mark.parametrize(
    ("media", "kwargs", "code"),
    [
        ((), {}, INVALID_SDP),
        ((STOPPED_VIDEO,), {}, INVALID_SDP),
        ((AUDIO,), {"bundle": ""}, INVALID_SDP),
        ((AUDIO_LINES,), {}, INVALID_SDP),
        ((AUDIO_LINES + TRANSPORT_LINES[1:],), {}, INVALID_SDP),
        ((AUDIO_LINES + TRANSPORT_LINES[:2] + TRANSPORT_LINES[3:],), {}, INVALID_SDP),
        ((AUDIO_LINES + tuple(line.replace("sha-256", "md5") for line in TRANSPORT_LINES),), {}, INVALID_SDP),
        ((AUDIO_LINES + tuple(line.replace("actpass", "passive") for line in TRANSPORT_LINES),), {}, INVALID_SDP),
        (((*AUDIO, "a=mid:x"), (*VIDEO, "a=mid:x")), {"bundle": "x"}, INVALID_SDP),
        ((("m=audio 9 UDP/TLS/RTP/SAVPF 0", *TRANSPORT_LINES),), {}, CODEC_NOT_SUPPORTED),
    ],
)
def test_offers_that_cannot_be_answered(media, kwargs, code):
    assert refusal(*media, **kwargs).code == code


def test_too_many_m_lines():
    with pytest.raises(PeerError):
        answer_publish(offer(AUDIO, VIDEO), LOCAL, SfuConfig(max_media_lines=1))


def test_transport_of_obs_stands_at_session_level():
    remote = answer_publish(parse(OFFERS["obs_publish"]), LOCAL, CONFIG).remote
    assert (remote.ufrag, remote.pwd) == ("kT8q", "Nf4W0sGdYx7pLq2ZbVhRtC")
    assert remote.fingerprints[0][0] == "sha-256"


def test_direction_that_does_not_send_is_answered_inactive():
    negotiation = publish((*AUDIO, "a=recvonly"), (*VIDEO, "a=inactive"))
    assert [m.direction for m in negotiation.media] == [Direction.INACTIVE, Direction.INACTIVE]
    assert [m.direction for m in negotiation.answer.media] == [Direction.INACTIVE, Direction.INACTIVE]
    assert negotiation.media[0].encodings == ()


class TestReoffer:
    def setup_method(self):
        self.first = publish(AUDIO, VIDEO)

    def again(self, *media: tuple[str, ...], **kwargs):
        return answer_publish(offer(*media, **kwargs), LOCAL, CONFIG, self.first)

    def test_version_counts_up_in_the_same_session(self):
        second = self.again(AUDIO, VIDEO)
        assert second.answer.origin.session_id == self.first.answer.origin.session_id
        assert second.answer.origin.version == self.first.answer.origin.version + 1
        assert not second.ice_restart

    def test_m_line_is_added(self):
        assert [m.mid for m in self.again(AUDIO, VIDEO, VIDEO).media] == ["0", "1", "2"]

    def test_m_line_is_stopped_then_recycled_by_another_mid_and_kind(self):
        self.first = self.again(AUDIO, STOPPED_VIDEO, bundle="0")
        assert self.first.media[1].rejected
        third = self.again(AUDIO, (*AUDIO, "a=mid:7"), bundle="0 7")
        assert (third.media[1].mid, third.media[1].kind, third.media[1].rejected) == ("7", Kind.AUDIO, False)

    def test_all_stopped_keeps_the_transport(self):
        stopped = self.again(("m=audio 0 UDP/TLS/RTP/SAVPF 111",), STOPPED_VIDEO, bundle="")
        assert stopped.remote == self.first.remote
        assert stopped.answer.groups == []

    def test_living_m_lines_must_stay(self):
        for media in ((AUDIO,), (AUDIO, (*VIDEO, "a=mid:9")), (AUDIO, (*AUDIO, "a=mid:1"))):
            with pytest.raises(PeerError) as refused:
                self.again(*media, bundle="0 1 9")
            assert refused.value.code == INVALID_SDP

    def test_ice_restart_is_noticed(self):
        restarted = tuple(line.replace("ufrag:peer", "ufrag:again") for line in AUDIO)
        assert restarts_ice(offer(restarted, VIDEO), self.first)
        assert not restarts_ice(offer(AUDIO, VIDEO), self.first)
        assert not restarts_ice(offer(restarted, VIDEO), None)
        assert self.again(restarted, VIDEO).ice_restart
        assert self.again(restarted, VIDEO).remote.ufrag == "again"


def test_our_ice_options_and_candidates_stand_once():
    local = LocalTransport("abcdefgh", "p" * 24, LOCAL.fingerprint, LOCAL.candidates, ("ice2",))
    answer = answer_publish(offer(AUDIO, VIDEO), local, CONFIG).answer
    assert [m.ice_options for m in answer.media] == [("ice2",), ("ice2",)]
    assert [bool(m.candidates) for m in answer.media] == [True, False]
    assert answer.media[0].end_of_candidates


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([OFFERS[name] for name in PUBLISHERS] + [text(AUDIO, VIDEO)]), st.data())
def test_mutated_offers_are_answered_or_refused(sample, data):
    lines = sample.split("\r\n")
    for _ in range(data.draw(st.integers(1, 6))):
        here, there = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.integers(0, 2)):
            case 0:
                lines[here] = lines[there]
            case 1:
                del lines[here]
            case _:
                words = lines[here].split(" ")
                words[-1] = data.draw(st.sampled_from(["0", "1", "96", "q", "127", "apt=96", "", "~f", "a;b"]))
                lines[here] = " ".join(words)
        lines = lines or [""]
    try:
        negotiation = answer_publish(parse("\r\n".join(lines)), LOCAL, CONFIG)
    except (ParseError, PeerError):
        return
    assert parse(serialize(negotiation.answer)) == negotiation.answer
    assert len(negotiation.answer.media) == len(negotiation.media)
