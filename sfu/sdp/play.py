"""Answering who receives by its own offer: WHEP. RFC 8829 section 5.3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.codecs import Codec, Kind
from media.errors import PeerError
from sfu.config import SfuConfig
from sfu.sdp.answer import (
    EXTENSIONS,
    NO_CODEC,
    Line,
    answer_line,
    assemble,
    read_extensions,
    read_lines,
    read_transport,
    rejection,
)
from sfu.sdp.codecs import match_codecs, read_codecs
from sfu.sdp.description import Direction, MediaDescription, SessionDescription
from sfu.sdp.negotiated import Encoding, LocalTransport, NegotiatedMedia, Negotiation
from sfu.sdp.sending import write_stream
from sfu.sdp.transport import rejected_line


@dataclass(frozen=True, slots=True)
class PlaySource:
    """What is sent on the first m-line of a kind. `codecs` None: the publisher has not come yet."""

    ssrc: int
    rtx_ssrc: int | None
    stream_id: str  # also the cname
    track_id: str
    codecs: tuple[Codec, ...] | None = None


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
    lines = read_lines(offer, config, previous)
    waiting = dict(sources)
    chosen: dict[int, PlaySource] = {}
    codecs: dict[int, tuple[Codec, ...]] = {}
    for line in lines:
        if line.rejected or line.kind is None:
            continue
        source = waiting.pop(line.kind, None) if line.direction.receives else None
        codecs[line.index] = _choose(line, line.kind, source)
        if not codecs[line.index]:
            line.reason = NO_CODEC
        elif source is not None:
            chosen[line.index] = source
    remote = read_transport(offer, lines, previous)
    answered = []
    tagged = True
    for line in lines:
        if line.rejected or line.kind is None:
            answered.append((rejected_line(line.offered), rejection(line)))
        else:
            source = chosen.get(line.index)
            answered.append(_answer(line, line.kind, local, codecs[line.index], source, tagged=tagged))
            tagged = False
    return assemble(offer, local, remote, answered, previous)


def _choose(line: Line, kind: Kind, source: PlaySource | None) -> tuple[Codec, ...]:
    """What of the offer is answered: all that we forward, or what carries a known source; empty when nothing does."""
    offered = read_codecs(line.offered, kind)
    if source is None or source.codecs is None:
        return offered
    try:
        return match_codecs(offered, source.codecs)
    except PeerError:
        return ()


def _answer(
    line: Line,
    kind: Kind,
    local: LocalTransport,
    codecs: tuple[Codec, ...],
    source: PlaySource | None,
    *,
    tagged: bool,
) -> tuple[MediaDescription, NegotiatedMedia]:
    extmaps = read_extensions(line, EXTENSIONS[kind], peer_sends=False)
    direction = Direction.INACTIVE if source is None else Direction.SENDONLY
    media = answer_line(line, local, codecs, extmaps, direction, tagged=tagged)
    encodings: tuple[Encoding, ...] = ()
    if source is not None:
        rtx = any(codec.rtx_payload_type is not None for codec in codecs)
        encodings = (Encoding(source.ssrc, source.rtx_ssrc if rtx else None),)
        write_stream(media, encodings[0], source.stream_id, source.track_id)
    negotiated = NegotiatedMedia(
        mid=line.offered.mid or "",
        index=line.index,
        kind=kind,
        direction=direction.reversed,
        codecs=codecs,
        header_extensions={e.uri: e.id for e in extmaps},
        encodings=encodings,
        msid=media.msids[0] if media.msids else None,
    )
    return media, negotiated
