"""What both ends agreed on, in the words the session needs. No SDP text here; `publish.py`, `play.py` and
`subscribe.py` make these, `sfu/session.py` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from media.codecs import Codec, Kind
from media.errors import PeerError
from sfu.producer import Encoding
from sfu.sdp.description import Direction, SessionDescription

__all__ = ["Encoding", "LocalTransport", "NegotiatedMedia", "Negotiation", "RemoteTransport"]

CODEC_NOT_SUPPORTED = 4051  # reference section 4.8
INVALID_SDP = 4090  # ours, next after the reference's last number


def refuse_codecs(reason: str) -> NoReturn:
    raise PeerError(CODEC_NOT_SUPPORTED, "CODEC_NOT_SUPPORTED", reason)


def refuse_sdp(reason: str) -> NoReturn:
    raise PeerError(INVALID_SDP, "INVALID_SDP", reason)


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end of the one bundled transport. `fingerprint` is the certificate's SHA-256 ("AA:BB:...")."""

    ufrag: str
    pwd: str
    fingerprint: str
    candidates: tuple[str, ...] = ()  # "candidate:..." lines, all of them: an ICE-lite agent does not trickle
    ice_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The peer's end. `fingerprints` holds only algorithms that are safe to check; never empty."""

    ufrag: str
    pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """One m-line after offer and answer.

    `direction` is what the PEER does: SENDONLY sends to us, RECVONLY receives from us. A rejected m-line has no codecs
    and a `reason` in words. `codecs` carry the payload types on this transport, RTX inside; from the peer when it
    sends, to the peer when it receives.
    """

    mid: str
    index: int
    kind: Kind | None  # None: no audio or video (a data channel)
    direction: Direction
    codecs: tuple[Codec, ...] = ()
    header_extensions: dict[str, int] = field(default_factory=dict)  # uri -> id
    encodings: tuple[Encoding, ...] = ()
    msid: tuple[str, str | None] | None = None  # (stream, track): the peer's when it sends, ours when we send
    rejected: bool = False
    simulcast: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Negotiation:
    """The outcome of one offer and answer. `answer` is None where the peer answered us.

    `remote` is None only when nothing was ever accepted (a subscriber that rejected each m-line of the first offer).
    `ice_restart`: the peer came with new ICE credentials; for an answerer `local` must have carried fresh ones too.
    """

    answer: SessionDescription | None
    remote: RemoteTransport | None
    media: tuple[NegotiatedMedia, ...]
    ice_restart: bool = False
