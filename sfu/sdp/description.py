"""A session description as objects: what JSEP endpoints write (RFC 8866, 8829, 8843, 8853, 8839, 8842, 8285, 5576).

Plain data. The text form is in `grammar.py`, the form of each attribute in `attributes.py`, the offer/answer rules in
`publish.py`, `play.py` and `subscribe.py`. Lines that nobody here understands are kept word for word in `other`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Direction(Enum):
    """RFC 8866 section 6.7; always seen from the one who wrote the description, unless a name says otherwise."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> Direction:
        """The same stream seen from the other end."""
        return _REVERSED.get(self, self)


_REVERSED = {Direction.SENDONLY: Direction.RECVONLY, Direction.RECVONLY: Direction.SENDONLY}


@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line, RFC 8866 section 5.2. The two numbers are at most 64 bits."""

    username: str
    session_id: int
    version: int
    address: str = "IN IP4 127.0.0.1"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """RFC 8122: `algorithm` in lower case ("sha-256"), `value` in upper case ("AA:BB:...")."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class ExtMap:
    """RFC 8285 section 5: one RTP header extension."""

    id: int
    uri: str
    direction: Direction | None = None
    attributes: str = ""


@dataclass(frozen=True, slots=True)
class RtpMap:
    """RFC 8866 section 6.6: what a payload type carries; `name` as it was written."""

    name: str
    clock_rate: int
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class RtcpFeedback:
    """RFC 4585 section 4.2: `payload_type` None is the wildcard `*`; `value` as in "nack pli"."""

    payload_type: int | None
    value: str


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """RFC 5576 section 4.2: `semantics` FID (stream and its RTX), SIM (layers), ..."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rid:
    """RFC 8851 section 4: `direction` "send" or "recv", `restrictions` as written ("max-width=640;max-fps=30")."""

    id: str
    direction: str
    restrictions: str = ""


@dataclass(frozen=True, slots=True)
class Simulcast:
    """RFC 8853 section 5.1: for each direction the streams in order, each a tuple of alternatives; "~q" is paused."""

    send: tuple[tuple[str, ...], ...] = ()
    recv: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class Section:
    """What may stand at session level and in an m= section alike."""

    connection: str | None = None  # the value of c=
    bandwidth: list[str] = field(default_factory=list)  # values of b=: "AS:512"
    direction: Direction | None = None
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    ice_options: tuple[str, ...] = ()
    fingerprints: list[Fingerprint] = field(default_factory=list)
    setup: str | None = None  # RFC 4145: active, passive, actpass, holdconn
    extmaps: list[ExtMap] = field(default_factory=list)
    extmap_allow_mixed: bool = False
    candidates: list[str] = field(default_factory=list)  # "candidate:..." without "a=", RFC 8839 section 5.1
    end_of_candidates: bool = False  # RFC 8838 section 8.2
    other: list[str] = field(default_factory=list)  # whole lines nobody here understands, in their order


@dataclass(slots=True)
class MediaDescription(Section):
    """One m= section."""

    kind: str = "audio"
    port: int = 9
    port_count: int | None = None  # the "/2" of "9/2"; nobody uses it, kept for the round trip
    protocol: str = "UDP/TLS/RTP/SAVPF"
    formats: tuple[str, ...] = ()  # payload types in order of preference, or "webrtc-datachannel"
    mid: str | None = None
    msids: list[tuple[str, str | None]] = field(default_factory=list)  # (stream, track), RFC 8830
    bundle_only: bool = False
    rtcp: str | None = None  # RFC 3605: "9 IN IP4 0.0.0.0"
    rtcp_mux: bool = False
    rtcp_mux_only: bool = False
    rtcp_rsize: bool = False
    rtpmaps: dict[int, RtpMap] = field(default_factory=dict)
    fmtps: dict[int, str] = field(default_factory=dict)
    rtcp_fbs: list[RtcpFeedback] = field(default_factory=list)
    ssrcs: dict[int, dict[str, str | None]] = field(default_factory=dict)  # attribute -> value, None for a flag
    ssrc_groups: list[SsrcGroup] = field(default_factory=list)
    rids: list[Rid] = field(default_factory=list)
    simulcast: Simulcast | None = None
    sctp_port: int | None = None
    max_message_size: int | None = None

    @property
    def payload_types(self) -> list[int]:
        """The formats that are RTP payload types, in the order of the m= line."""
        return [int(f) for f in self.formats if f.isascii() and f.isdigit() and len(f) <= 3]


@dataclass(slots=True)
class SessionDescription(Section):
    """A whole description. `groups` are RFC 5888 groups: ("BUNDLE", ("0", "1"))."""

    origin: Origin = field(default_factory=lambda: Origin("-", 0, 0))
    name: str = "-"
    timing: str = "0 0"
    groups: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    msid_semantic: str | None = None  # obsolete, still written by every browser
    ice_lite: bool = False
    media: list[MediaDescription] = field(default_factory=list)

    @property
    def bundle(self) -> tuple[str, ...]:
        """The mids of the first BUNDLE group, RFC 8843; empty when there is none."""
        return next((mids for semantics, mids in self.groups if semantics == "BUNDLE"), ())
