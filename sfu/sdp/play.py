"""Answering who receives by its own offer: WHEP. RFC 8829 section 5.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.codecs import Codec, Kind
from sfu.config import SfuConfig
from sfu.sdp.description import SessionDescription
from sfu.sdp.negotiated import LocalTransport, NegotiatedMedia, Negotiation


@dataclass(frozen=True, slots=True)
class PlaySource:
    """What can be sent on the first m-line of a kind. `codecs` None: the publisher has not come yet."""

    ssrc: int
    rtx_ssrc: int | None
    stream_id: str
    track_id: str
    codecs: tuple[Codec, ...] | None = None
    cname: str = ""  # defaults to stream_id


def answer_play(
    offer: SessionDescription,
    local: LocalTransport,
    config: SfuConfig,
    sources: Mapping[Kind, PlaySource],
    previous: Negotiation | None = None,
) -> Negotiation:
    """The answer to a player. A kind without source is answered inactive.

    With `PlaySource.codecs` known only these are answered; while unknown, every codec of the offer that we forward: when
    the publisher comes, `match_codecs(media.codecs, producer_codecs)` says which payload types to write.
    PeerError 4051 when the player can take none of the sources, 4090 when the offer cannot be answered at all.
    """
    raise NotImplementedError


def match_codecs(receiver: tuple[Codec, ...], producer: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """The receiver's codecs (its payload types, fmtp, RTX) that carry what the producer sends, in the producer's order.

    PeerError 4051 when the receiver cannot take the producer's media.
    """
    raise NotImplementedError


def can_take(media: NegotiatedMedia, producer: tuple[Codec, ...]) -> bool:
    """Whether `match_codecs` would succeed on this m-line."""
    raise NotImplementedError
