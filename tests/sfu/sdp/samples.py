"""Offers written by real endpoints (`offers/`), and short ones made here for one rule each."""

from __future__ import annotations

from pathlib import Path

from media.codecs import Codec, Kind
from sfu.config import SfuConfig
from sfu.sdp.description import SessionDescription
from sfu.sdp.grammar import parse
from sfu.sdp.negotiate import LocalTransport

OFFERS = {path.stem: path.read_bytes().decode() for path in sorted((Path(__file__).parent / "offers").glob("*.sdp"))}
CONFIG = SfuConfig()
LOCAL = LocalTransport(
    "tideufrag", "p" * 24, ":".join(["5A"] * 32), ("candidate:1 1 udp 2130706431 127.0.0.1 9 typ host",)
)
OPUS = Codec("opus", Kind.AUDIO, 48000, 111, 2, {"minptime": "10", "useinbandfec": "1"})
VP8 = Codec("VP8", Kind.VIDEO, 90000, 96, rtx_payload_type=97)
VP9 = Codec("VP9", Kind.VIDEO, 90000, 98, fmtp={"profile-id": "0"}, rtx_payload_type=99)
H264 = Codec("H264", Kind.VIDEO, 90000, 102, fmtp={"packetization-mode": "1", "profile-level-id": "42e01f"})

AUDIO_LINES = ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2")
VIDEO_LINES = ("m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000")
TRANSPORT_LINES = (
    "a=ice-ufrag:peer",
    "a=ice-pwd:peerpeerpeerpeerpeerpe",
    "a=fingerprint:sha-256 " + ":".join(["0F"] * 32),
    "a=setup:actpass",
    "a=rtcp-mux",
)


def text(*media: tuple[str, ...], session: tuple[str, ...] = (), bundle: str | None = None) -> str:
    """A description of m-lines given as lines; mids "0", "1", ... are added where a section has none."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if bundle is None:
        bundle = " ".join(str(i) for i in range(len(media)))
    if bundle:
        lines.append(f"a=group:BUNDLE {bundle}")
    lines += session
    for index, section in enumerate(media):
        lines += section
        if not any(line.startswith("a=mid:") for line in section):
            lines.append(f"a=mid:{index}")
    return "\r\n".join(lines) + "\r\n"


def offer(*media: tuple[str, ...], session: tuple[str, ...] = (), bundle: str | None = None) -> SessionDescription:
    return parse(text(*media, session=session, bundle=bundle))
