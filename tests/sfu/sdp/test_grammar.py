from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.sdp.attributes import MEDIA_ATTRIBUTES, SESSION_ATTRIBUTES
from sfu.sdp.description import Direction, ExtMap, Fingerprint, Rid, RtcpFeedback, RtpMap, Simulcast, SsrcGroup
from sfu.sdp.grammar import parse, serialize
from tests.sfu.sdp.samples import AUDIO_LINES, OFFERS, TRANSPORT_LINES, VIDEO_LINES, offer, text

LARGE = 1 << 20  # what was parsed with bare LF grows by its CRs


@pytest.mark.parametrize("name", OFFERS)
def test_real_offers_lose_no_line(name):
    written = serialize(parse(OFFERS[name]))
    before = {line.replace("msid-semantic: ", "msid-semantic:") for line in OFFERS[name].splitlines()}
    assert set(written.splitlines()) == before
    assert parse(written) == parse(OFFERS[name])


def test_simulcast_offer_of_chromium_is_understood():
    video = parse(OFFERS["chromium_publish_simulcast"]).media[1]
    assert video.rids == [Rid("q", "send"), Rid("h", "send"), Rid("f", "send")]
    assert video.simulcast == Simulcast(send=(("q",), ("h",), ("f",)))
    assert video.direction is Direction.SENDONLY
    assert video.rtcp_mux and video.rtcp_rsize
    assert video.rtpmaps[96] == RtpMap("VP8", 90000)
    assert video.fmtps[97] == "apt=96"
    assert RtcpFeedback(96, "nack pli") in video.rtcp_fbs
    assert video.other == ["a=rtcp-xr:rcvr-rtt=all"]


def test_audio_offer_of_firefox_is_understood():
    description = parse(OFFERS["firefox_publish_audio_video"])
    audio = description.media[0]
    assert description.bundle == ("0", "1")
    assert description.direction is Direction.SENDRECV  # session level: a default only
    assert audio.direction is Direction.SENDONLY
    assert ExtMap(2, "urn:ietf:params:rtp-hdrext:csrc-audio-level", Direction.RECVONLY) in audio.extmaps
    assert audio.end_of_candidates
    assert audio.fingerprints == [] and len(description.fingerprints) == 1


# (a line of an m= section, attribute of MediaDescription, its value)
ATTRIBUTES = [
    ("a=mid:audio0", "mid", "audio0"),
    ("a=ice-ufrag:a+/b", "ice_ufrag", "a+/b"),
    ("a=ice-options:trickle ice2", "ice_options", ("trickle", "ice2")),
    ("a=fingerprint:SHA-256 " + ":".join(["ab"] * 32), "fingerprints", [Fingerprint("sha-256", ":".join(["AB"] * 32))]),
    ("a=setup:holdconn", "setup", "holdconn"),
    ("a=extmap:4351/inactive urn:x some words", "extmaps", [ExtMap(4351, "urn:x", Direction.INACTIVE, "some words")]),
    ("a=extmap-allow-mixed", "extmap_allow_mixed", True),
    ("a=inactive", "direction", Direction.INACTIVE),
    ("a=msid:stream", "msids", [("stream", None)]),
    ("a=msid:stream track", "msids", [("stream", "track")]),
    ("a=rtcp:9 IN IP4 0.0.0.0", "rtcp", "9 IN IP4 0.0.0.0"),
    ("a=rtcp-mux-only", "rtcp_mux_only", True),
    ("a=bundle-only", "bundle_only", True),
    ("a=rtcp-fb:* ccm fir", "rtcp_fbs", [RtcpFeedback(None, "ccm fir")]),
    ("a=ssrc:4294967295 cname:a b:c", "ssrcs", {4294967295: {"cname": "a b:c"}}),
    ("a=ssrc:1 flag", "ssrcs", {1: {"flag": None}}),
    ("a=ssrc-group:SIM 1 2 3", "ssrc_groups", [SsrcGroup("SIM", (1, 2, 3))]),
    ("a=rid:q recv max-width=640;max-fps=30", "rids", [Rid("q", "recv", "max-width=640;max-fps=30")]),
    ("a=simulcast:recv 1;~2,3 send 4", "simulcast", Simulcast(send=(("4",),), recv=(("1",), ("~2", "3")))),
    ("a=sctp-port:5000", "sctp_port", 5000),
    ("a=max-message-size:0", "max_message_size", 0),
    ("a=end-of-candidates", "end_of_candidates", True),
    ("b=AS:512", "bandwidth", ["AS:512"]),
    ("c=IN IP6 ::1", "connection", "IN IP6 ::1"),
    ("a=fmtp:127 x", "fmtps", {127: "x"}),
    ("a=fmtp:webrtc-datachannel max-message-size=1", "other", ["a=fmtp:webrtc-datachannel max-message-size=1"]),
    ("a=unheard-of:x  y ", "other", ["a=unheard-of:x  y "]),
    ("i=the title", "other", ["i=the title"]),
]


@pytest.mark.parametrize(("line", "field", "value"), ATTRIBUTES)
def test_attribute_is_parsed_and_written_back(line, field, value):
    description = parse(text(("m=audio 9 UDP/TLS/RTP/SAVPF 0", line, "a=mid:audio0")))
    assert getattr(description.media[0], field) == value
    assert parse(serialize(description)) == description


GARBAGE = [
    "",
    "v=0",
    "v=1\r\n",
    "v=0\r\ns=-\r\n",
    text(("m=audio",)),
    text(("m=audio 65536 RTP/AVP 0",)),
    text(("m=audio ٩ RTP/AVP 0",)),
    text(("m=audio 9 RTP/AVP 0", "a=mid:x", "a=mid:y")),
    text(("m=audio 9 RTP/AVP 0", "a=mid:")),
    text(("m=audio 9 RTP/AVP 0", "v=0")),
    text(("m=audio 9 RTP/AVP 0", "nonsense")),
    text(("m=audio 9 RTP/AVP 0", "a=ice-ufrag:a b")),
    text(("m=audio 9 RTP/AVP 0", "a=ice-pwd:x")),
    text(("m=audio 9 RTP/AVP 0", "a=fingerprint:sha-256 zz")),
    text(("m=audio 9 RTP/AVP 0", "a=setup:both")),
    text(("m=audio 9 RTP/AVP 0", "a=extmap:1/up urn:x")),
    text(("m=audio 9 RTP/AVP 0", "a=rtpmap:96 VP8")),
    text(("m=audio 9 RTP/AVP 0", "a=ssrc:4294967296 cname:x")),
    text(("m=audio 9 RTP/AVP 0", "a=ssrc:-1 cname:x")),
    text(("m=audio 9 RTP/AVP 0", "a=ssrc:1_0 cname:x")),
    text(("m=audio 9 RTP/AVP 0", "a=rid:q sideways")),
    text(("m=audio 9 RTP/AVP 0", "a=simulcast:send q;;h")),
    text(("m=audio 9 RTP/AVP 0", "a=simulcast:send q send h")),
    text(("m=audio 9 RTP/AVP 0", "a=sendonly:yes")),
    text(("m=audio 9 RTP/AVP 0", "a=candidate:1 1 udp")),
    text(("m=audio 9 RTP/AVP 0",), session=("a=group:",)),
    text(("m=audio 9 RTP/AVP 0", "a=x\x00")),
    text(("m=audio 9 RTP/AVP 0", "a=x\ud800")),
    text(("m=audio 9 RTP/AVP 0", "a=x\ry")),
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_parse_error(garbage):
    with pytest.raises(ParseError):
        parse(garbage)


def test_bounds():
    two = text(AUDIO_LINES, (*VIDEO_LINES, "a=ssrc:1 cname:x", "a=ssrc:2 cname:x"))
    size = len(two)
    assert len(parse(two, max_bytes=size, max_media=2, max_ssrcs=2).media) == 2
    for bound in ({"max_bytes": size - 1}, {"max_media": 1}, {"max_ssrcs": 1}):
        with pytest.raises(ParseError):
            parse(two, **bound)
    with pytest.raises(ParseError):
        parse(text(("m=audio 9 RTP/AVP 0", "a=x:" + "ä" * 40000)))  # characters fit, bytes do not


def test_bare_line_feeds_are_taken():
    assert parse(text(AUDIO_LINES).replace("\r\n", "\n")) == offer(AUDIO_LINES)


_names = st.sampled_from([*SESSION_ATTRIBUTES, *MEDIA_ATTRIBUTES, "unknown", "rtcp-xr"])
_tokens = st.sampled_from(
    ["0", "1", "96", "97", "4294967295", "q", "~h", "send", "recv", "FID", "SIM", "BUNDLE", "LS", "opus/48000/2", "*",
     "VP8/90000", "nack", "pli", "apt=96", "urn:x", "1/sendonly", "sha-256", "active", "cname:x", "udp", "typ", "host",
     "candidate", ":".join(["AB"] * 32), "trickle", "stream", "q;h;f", "a,b;~c", "\x85", "ä"]
)  # fmt: skip
_values = st.one_of(st.lists(_tokens, max_size=9).map(" ".join), st.text(max_size=20))
_lines = st.one_of(
    st.builds("a={}:{}".format, _names, _values),
    st.builds("a={}".format, _names),
    st.builds("{}={}".format, st.sampled_from("cbiktruepzvos"), _values),
    st.builds("m={} {} {} {}".format, st.sampled_from(["audio", "video", "application", "x"]),
              st.sampled_from(["9", "0", "9/2", "70000"]), st.just("UDP/TLS/RTP/SAVPF"), _values),
    st.text(max_size=20),
)  # fmt: skip


def assert_parses_to_itself_or_not_at_all(candidate: str) -> bool:
    try:
        description = parse(candidate)
    except ParseError:
        return False
    assert parse(serialize(description), max_bytes=LARGE) == description
    return True


@settings(deadline=None, max_examples=400)
@given(st.lists(_lines, max_size=12))
def test_whatever_parses_serializes_and_parses_equal(lines):
    assert_parses_to_itself_or_not_at_all("\r\n".join(["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", *lines]))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(OFFERS.values())), st.data())
def test_mutated_offers_parse_or_are_refused(sample, data):
    """Lines of real offers dropped, doubled, swapped, and cut."""
    lines = sample.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        here, there = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.integers(0, 3)):
            case 0:
                lines[here] = lines[there]
            case 1:
                lines[here], lines[there] = lines[there], lines[here]
            case 2:
                lines[here] = lines[here][: data.draw(st.integers(0, 40))]
            case _:
                lines[here] = lines[here][:2] + data.draw(_values)
    assert_parses_to_itself_or_not_at_all("\r\n".join(lines))


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_any_text_is_refused_by_parse_error_only(candidate):
    assert not assert_parses_to_itself_or_not_at_all(candidate)


def test_transport_lines_at_session_level():
    description = offer(AUDIO_LINES, session=TRANSPORT_LINES[:4])
    assert description.ice_ufrag == "peer"
    assert description.setup == "actpass"
    assert description.media[0].ice_ufrag is None
