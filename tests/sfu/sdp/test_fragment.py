from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import ParseError
from sfu.sdp.fragment import Fragment, FragmentMedia, parse_fragment, restart_fragment, serialize_fragment
from sfu.sdp.negotiate import answer_publish
from tests.sfu.sdp.samples import AUDIO_LINES, CONFIG, LOCAL, TRANSPORT_LINES, VIDEO_LINES, offer

CANDIDATE = "candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"
TRICKLE = f"""a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a={CANDIDATE}
a=end-of-candidates
"""
SAMPLES = [
    (Fragment(), ""),
    (
        Fragment(ufrag="EsAw", pwd="P2uYro0UCOQ4zxjKXaWCBui1", ice_options=("trickle", "ice2"), ice_lite=True),
        "a=ice-lite\r\na=ice-options:trickle ice2\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
    ),
    (
        Fragment(
            bundle=("0", "1"),
            media=[
                FragmentMedia("0", "audio", "EsAw", "P2uYro0UCOQ4zxjKXaWCBui1", [CANDIDATE], end_of_candidates=True),
                FragmentMedia("1", "video"),
            ],
        ),
        TRICKLE.replace("\n", "\r\n").replace("UDP/TLS/RTP/SAVPF 111", "RTP/AVP 0")
        + "m=video 9 RTP/AVP 0\r\na=mid:1\r\n",
    ),
    (Fragment(candidates=[CANDIDATE], end_of_candidates=True), f"a={CANDIDATE}\r\na=end-of-candidates\r\n"),
]


@pytest.mark.parametrize(("fragment", "wire"), SAMPLES)
def test_both_ways(fragment, wire):
    assert serialize_fragment(fragment) == wire
    assert parse_fragment(wire) == fragment


def test_trickle_of_a_whip_client():
    fragment = parse_fragment(TRICKLE)
    assert fragment.credentials == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert fragment.media[0].candidates == [CANDIDATE]


def test_credentials_are_found_at_either_level_or_not_at_all():
    assert Fragment(ufrag="abcd", pwd="efgh").credentials == ("abcd", "efgh")
    assert Fragment(media=[FragmentMedia("0")]).credentials is None
    assert Fragment(ufrag="abcd").credentials is None


@pytest.mark.parametrize(
    "garbage",
    [
        "m=audio 9 RTP/AVP 0\r\n",
        "m=audio 9 RTP/AVP 0\r\na=end-of-candidates\r\nm=video 9 RTP/AVP 0\r\na=mid:1\r\n",
        "a=candidate:1\r\n",
        "a=ice-ufrag:!\r\n",
        "a=group:\r\n",
        "hello",
        "m=audio 9\r\na=mid:0\r\n",
    ],
)
def test_garbage_is_a_parse_error(garbage):
    with pytest.raises(ParseError):
        parse_fragment(garbage)


def test_bounds():
    with pytest.raises(ParseError):
        parse_fragment(TRICKLE, max_bytes=len(TRICKLE) - 1)
    with pytest.raises(ParseError):
        parse_fragment("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" * 3, max_media=2)


def test_restart_is_answered_with_our_new_credentials_and_candidates():
    negotiation = answer_publish(
        offer((*AUDIO_LINES, *TRANSPORT_LINES), (*VIDEO_LINES, *TRANSPORT_LINES)), LOCAL, CONFIG
    )
    fragment = restart_fragment(LOCAL, negotiation)
    assert fragment.credentials == (LOCAL.ufrag, LOCAL.pwd)
    assert fragment.bundle == ("0", "1")
    assert fragment.media[0].candidates == list(LOCAL.candidates)
    assert parse_fragment(serialize_fragment(fragment)) == fragment


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(TRICKLE.splitlines() + SAMPLES[1][1].splitlines() + ["a=mid:1", "m=video 9 RTP/AVP 0"]),
            st.text(max_size=20),
            st.builds("a={}".format, st.text(max_size=20)),
        ),
        max_size=12,
    )
)
def test_whatever_parses_serializes_and_parses_equal(lines):
    try:
        fragment = parse_fragment("\r\n".join(lines))
    except ParseError:
        return
    assert parse_fragment(serialize_fragment(fragment), max_bytes=1 << 20) == fragment
