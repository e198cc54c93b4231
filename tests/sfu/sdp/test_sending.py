from __future__ import annotations

import pytest

from sfu.producer import Encoding
from sfu.sdp.description import MediaDescription, SsrcGroup
from sfu.sdp.sending import token, write_stream


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("PA_abc123", "PA_abc123"),
        ("{b1c2-d3}", "{b1c2-d3}"),
        ("Ann Lee", "Ann%20Lee"),
        ("100%", "100%25"),
        ("a\r\nb:=c", "a%0D%0Ab%3A%3Dc"),
        ("Zoë", "Zo%C3%AB"),
        ("\ud800", "%3F"),
        ("", "-"),
    ],
)
def test_names_of_people_become_tokens(name, written):
    assert token(name) == written


def test_stream_is_announced_with_one_cname_and_its_rtx():
    media = MediaDescription()
    write_stream(media, Encoding(1, 2), "ann", "TR_1")
    assert media.msids == [("ann", "TR_1")]
    assert media.ssrcs == {1: {"cname": "ann"}, 2: {"cname": "ann"}}
    assert media.ssrc_groups == [SsrcGroup("FID", (1, 2))]


def test_stream_without_rtx_has_no_group():
    media = MediaDescription()
    write_stream(media, Encoding(1), "ann", "TR_1")
    assert media.ssrc_groups == []
