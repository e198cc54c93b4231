"""How a stream that we send is announced: msid (RFC 8830), SSRC, cname and RTX group (RFC 5576, 4588)."""

from __future__ import annotations

from urllib.parse import quote

from sfu.producer import Encoding
from sfu.sdp.description import MediaDescription, SsrcGroup

_TOKEN_SAFE = "!#$&'*+^`{|}"  # the rest of RFC 8866's token-char that quote() would escape; "%" must stay escaped


def token(text: str) -> str:
    """A name that people chose as an SDP token; percent-encoded only where it has to be."""
    return quote(text, safe=_TOKEN_SAFE, errors="replace") or "-"


def write_stream(media: MediaDescription, encoding: Encoding, stream_id: str, track_id: str) -> None:
    """One cname for all the tracks of a stream: receivers synchronize by it, RFC 3550 section 6.5.1."""
    stream = token(stream_id)
    media.msids = [(stream, token(track_id))]
    for ssrc in (encoding.ssrc, encoding.rtx_ssrc):
        if ssrc is not None:
            media.ssrcs[ssrc] = {"cname": stream}
    if encoding.ssrc is not None and encoding.rtx_ssrc is not None:
        media.ssrc_groups = [SsrcGroup("FID", (encoding.ssrc, encoding.rtx_ssrc))]
