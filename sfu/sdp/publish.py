"""Answering who sends to us: browsers' publish connections and WHIP. RFC 8829 section 5.3, RFC 9725."""

from __future__ import annotations

from dataclasses import dataclass

from media.codecs import Codec, Kind
from sfu.config import SfuConfig
from sfu.rtp import extensions as ext
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
from sfu.sdp.codecs import read_codecs, with_its_opus
from sfu.sdp.description import Direction, MediaDescription, Rid, SessionDescription, Simulcast
from sfu.sdp.negotiated import Encoding, LocalTransport, NegotiatedMedia, Negotiation
from sfu.sdp.transport import rejected_line

MAX_ENCODINGS = 4  # layers of one track; browsers send three
# In every video answer from the first: a sender may use them only if they were negotiated before its simulcast starts.
_RIDS = frozenset((ext.RID, ext.REPAIRED_RID))


@dataclass(frozen=True, slots=True)
class _Streams:
    """The RTP streams that one m-line announces, and the rids among them that are answered."""

    encodings: tuple[Encoding, ...]
    rids: tuple[Rid, ...] = ()


def answer_publish(
    offer: SessionDescription, local: LocalTransport, config: SfuConfig, previous: Negotiation | None = None
) -> Negotiation:
    """The answer to a publisher; `previous` is the last negotiation of the same connection.

    PeerError 4051 when no m-line has a codec of ours, 4090 when the offer cannot be answered at all.
    """
    lines = read_lines(offer, config, previous)
    codecs: dict[int, tuple[Codec, ...]] = {}
    for line in lines:
        if not line.rejected and line.kind is not None:
            codecs[line.index] = with_its_opus(read_codecs(line.offered, line.kind))
            if not codecs[line.index]:
                line.reason = NO_CODEC
    remote = read_transport(offer, lines, previous)
    answered = []
    tagged = True
    for line in lines:
        if line.rejected or line.kind is None:
            answered.append((rejected_line(line.offered), rejection(line)))
        else:
            answered.append(_answer(line, line.kind, local, codecs[line.index], tagged=tagged))
            tagged = False
    return assemble(offer, local, remote, answered, previous)


def _answer(
    line: Line, kind: Kind, local: LocalTransport, codecs: tuple[Codec, ...], *, tagged: bool
) -> tuple[MediaDescription, NegotiatedMedia]:
    accepted = EXTENSIONS[kind] | (_RIDS if kind is Kind.VIDEO else frozenset())
    extmaps = read_extensions(line, accepted, peer_sends=True)
    header_extensions = {e.uri: e.id for e in extmaps}
    direction = Direction.RECVONLY if line.direction.sends else Direction.INACTIVE
    media = answer_line(line, local, codecs, extmaps, direction, tagged=tagged)
    streams = _Streams(())
    if direction is Direction.RECVONLY:
        streams = read_streams(line.offered, header_extensions)
    if streams.rids:
        media.rids = [Rid(rid.id, "recv", rid.restrictions) for rid in streams.rids]
        media.simulcast = Simulcast(recv=tuple((rid.id,) for rid in streams.rids))
    negotiated = NegotiatedMedia(
        mid=line.offered.mid or "",
        index=line.index,
        kind=kind,
        direction=direction.reversed,
        codecs=codecs,
        header_extensions=header_extensions,
        encodings=streams.encodings,
        msid=_msid(line.offered),
        simulcast=len(streams.encodings) > 1,
    )
    return media, negotiated


def read_streams(media: MediaDescription, header_extensions: dict[str, int]) -> _Streams:
    """By rid where that can work, else the SIM group of older senders, else the first SSRC, else unknown."""
    rtx = {g.ssrcs[0]: g.ssrcs[1] for g in media.ssrc_groups if g.semantics == "FID" and len(g.ssrcs) == 2}
    if media.simulcast is not None and ext.RID in header_extensions and ext.MID in header_extensions:
        rids = _simulcast_rids(media)
        if rids:
            # SSRCs that stand beside rids (Firefox) are not told which is whose: they are learned by the extension.
            return _Streams(tuple(Encoding(rid=rid.id) for rid in rids), rids)
    layers = next((g.ssrcs for g in media.ssrc_groups if g.semantics == "SIM" and g.ssrcs), None)
    if layers is None:
        secondary = {ssrc for g in media.ssrc_groups for ssrc in g.ssrcs[1:]}
        layers = tuple(ssrc for ssrc in media.ssrcs if ssrc not in secondary)[:1]
    if not layers:
        return _Streams((Encoding(),))
    return _Streams(tuple(Encoding(ssrc, rtx.get(ssrc)) for ssrc in dict.fromkeys(layers[:MAX_ENCODINGS])))


def _simulcast_rids(media: MediaDescription) -> tuple[Rid, ...]:
    """The first alternative of each simulcast stream that has an `a=rid` of its own, in the order of the offer."""
    sent = {rid.id: rid for rid in media.rids if rid.direction == "send"}
    assert media.simulcast is not None
    chosen = dict.fromkeys(group[0].lstrip("~") for group in media.simulcast.send)
    rids = [sent[rid] for rid in chosen if rid in sent][:MAX_ENCODINGS]
    return tuple(Rid(rid.id, rid.direction, _without_payload_types(rid.restrictions)) for rid in rids)


def _without_payload_types(restrictions: str) -> str:
    """One codec is answered, so which payload types a rid may have is said; the other restrictions are kept."""
    return ";".join(part for part in restrictions.split(";") if part and not part.strip().startswith("pt="))


def _msid(media: MediaDescription) -> tuple[str, str | None] | None:
    if media.msids:
        return media.msids[0]
    for attributes in media.ssrcs.values():
        stream, _, track = (attributes.get("msid") or "").partition(" ")
        if stream:
            return stream, track or None
    return None
