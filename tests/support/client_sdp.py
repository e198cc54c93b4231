"""Offers and answers as clients write them, by hand: it shares no code with `sfu/sdp`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.support.webrtc_client import WebRtcClient

OPUS_LINES = ("a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid")
AUDIO_LEVEL_LINE = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level"
VP8_LINES = (
    "a=rtpmap:96 VP8/90000",
    *(f"a=rtcp-fb:96 {kind}" for kind in ("transport-cc", "ccm fir", "nack", "nack pli")),
    "a=rtpmap:97 rtx/90000",
    "a=fmtp:97 apt=96",
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
)
H264_LINES = (
    "a=rtpmap:96 H264/90000",
    "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1",
    "a=rtcp-fb:96 nack",
    "a=rtcp-fb:96 nack pli",
)


@dataclass
class Line:
    """One m-line of a client's own offer."""

    kind: str = "video"
    direction: str = "sendonly"
    ssrc: int | None = None
    codec: tuple[str, ...] | None = None
    mid: str = ""

    def lines(self, mid: str) -> list[str]:
        codec = self.codec or (VP8_LINES if self.kind == "video" else OPUS_LINES)
        formats = "111" if self.kind == "audio" else "96 97" if codec is VP8_LINES else "96"
        out = [f"m={self.kind} 9 UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", f"a={self.direction}", *codec]
        if self.ssrc is not None and self.direction == "sendonly":
            if codec is VP8_LINES:
                out.append(f"a=ssrc-group:FID {self.ssrc} {self.ssrc + 1}")
                out.append(f"a=ssrc:{self.ssrc + 1} cname:c")
            out.append(f"a=ssrc:{self.ssrc} cname:c")
        return out


def write_offer(client: WebRtcClient, *media: Line) -> str:
    mids = [line.mid or str(index) for index, line in enumerate(media)]
    out = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}"]
    for mid, line in zip(mids, media, strict=True):
        out += [*line.lines(mid), *_transport_lines(client, "actpass")]
    return "\r\n".join(out) + "\r\n"


def _transport_lines(client: WebRtcClient, setup: str) -> list[str]:
    algorithm, value = client.context.fingerprint()
    return [
        f"a=ice-ufrag:{client.ufrag}",
        f"a=ice-pwd:{client.pwd}",
        f"a=fingerprint:{algorithm} {value}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
    ]


def sections(sdp: str) -> list[list[str]]:
    """The session's lines, then those of each m-line."""
    return [part.split("\r\n") for part in sdp.strip().split("\r\nm=")]


def value_of(section: list[str], name: str) -> str:
    return next((line.partition(":")[2] for line in section if line.startswith(f"a={name}:")), "")


def direction_of(section: list[str]) -> str:
    names = ("a=sendonly", "a=recvonly", "a=sendrecv", "a=inactive")
    return next((line[2:] for line in section if line in names), "sendrecv")


_NOT_ANSWERED = re.compile(r"a=(ssrc|msid|candidate|end-of|ice-|fingerprint|setup|rtcp-mux|sendonly|recvonly|sendrecv|inactive)")


def write_answer(client: WebRtcClient, offer: str, *, refuse: frozenset[str] | set[str] = frozenset()) -> str:
    """A browser's answer to a subscribe offer; `refuse` mids whose codecs it does not know."""
    _head, *media = sections(offer)
    out: list[str] = []
    mids = []
    for section in media:
        mid = value_of(section, "mid")
        words = section[0].split()
        if words[1] == "0" or mid in refuse:
            out += [f"m={words[0]} 0 {' '.join(words[2:])}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=inactive"]
            continue
        mids.append(mid)
        direction = "recvonly" if direction_of(section) == "sendonly" else "inactive"
        kept = [line for line in section[1:] if line and not _NOT_ANSWERED.match(line)]
        out += [f"m={section[0]}", *kept, f"a={direction}", *_transport_lines(client, "active")]
    group = [f"a=group:BUNDLE {' '.join(mids)}"] if mids else []
    return "\r\n".join(["v=0", "o=- 2 1 IN IP4 127.0.0.1", "s=-", "t=0 0", *group, *out]) + "\r\n"
