"""What answers to publishers and players have in common: which m-lines can live, and the frame of the answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from media.codecs import Codec, Kind
from media.errors import ParseError
from sfu.config import SfuConfig
from sfu.rtp import extensions as ext
from sfu.sdp import grammar
from sfu.sdp.attributes import MAX_EXTENSION_ID
from sfu.sdp.codecs import write_codecs
from sfu.sdp.description import Direction, ExtMap, MediaDescription, SessionDescription
from sfu.sdp.negotiated import (
    LocalTransport,
    NegotiatedMedia,
    Negotiation,
    RemoteTransport,
    refuse_codecs,
    refuse_sdp,
)
from sfu.sdp.transport import (
    RTP_PROTOCOLS,
    finish_bundle,
    new_description,
    read_remote,
    write_transport,
)

KINDS = {"audio": Kind.AUDIO, "video": Kind.VIDEO}
OFFER_SETUPS = frozenset({None, "actpass", "active"})  # RFC 5763 section 5; without the line RFC 4145 says active
NO_CODEC = "no codec in common"

# Not among them: video-orientation. Firefox does not know it (its offers lack it), and a sender that was not answered it
# turns the picture itself, which then stands upright for every receiver, player and recorder.
_BOTH = (ext.MID, ext.TRANSPORT_CC, ext.ABS_SEND_TIME)
EXTENSIONS = {
    Kind.AUDIO: frozenset((*_BOTH, ext.AUDIO_LEVEL)),
    Kind.VIDEO: frozenset((*_BOTH, ext.DEPENDENCY_DESCRIPTOR)),
}


@dataclass(slots=True)
class Line:
    """An m-line of an offer on its way to an answer."""

    index: int
    offered: MediaDescription
    kind: Kind | None
    direction: Direction  # the offerer's wish
    reason: str = ""  # why it is rejected

    @property
    def rejected(self) -> bool:
        return bool(self.reason)


def parse_description(text: str, config: SfuConfig) -> SessionDescription:
    """A peer's description within the bounds of `config`; PeerError 4090."""
    limits = {"max_bytes": config.max_sdp_bytes, "max_media": config.max_media_lines, "max_ssrcs": config.max_ssrcs}
    try:
        return grammar.parse(text, **limits)
    except ParseError as error:
        refuse_sdp(str(error))


def read_lines(offer: SessionDescription, config: SfuConfig, previous: Negotiation | None) -> list[Line]:
    """Every m-line of the offer, the impossible ones already with a reason. PeerError when the whole makes no sense."""
    if len(offer.media) > config.max_media_lines:
        refuse_sdp(f"more than {config.max_media_lines} m-lines")
    mids = [m.mid for m in offer.media if m.mid is not None]
    if len(set(mids)) != len(mids):
        refuse_sdp("a mid stands twice")
    _check_continuity(offer, previous)
    bundle = set(offer.bundle)
    # RFC 8859 puts rtcp-mux in the category IDENTICAL: JSEP does not repeat it in a bundle, RFC 8829 section 5.2.1.
    bundled = [m for m in offer.media if m.mid in bundle and (m.port or m.bundle_only)]
    muxed = bool(bundled) and (bundled[0].rtcp_mux or bundled[0].rtcp_mux_only)
    lines = []
    for index, media in enumerate(offer.media):
        direction = media.direction or offer.direction or Direction.SENDRECV
        lines.append(Line(index, media, KINDS.get(media.kind), direction, _impossible(media, bundle, muxed=muxed)))
    return lines


def _impossible(media: MediaDescription, bundle: set[str], *, muxed: bool) -> str:
    if media.port == 0 and not media.bundle_only:
        return "stopped by the peer"
    if media.kind not in KINDS:
        return f"{media.kind} is not supported"
    if media.protocol.upper() not in RTP_PROTOCOLS:
        return "only DTLS-SRTP is supported"
    if media.mid is None or media.mid not in bundle:
        return "not in the bundle"
    if not (muxed or media.rtcp_mux or media.rtcp_mux_only):
        return "without rtcp-mux"
    return ""


def _check_continuity(offer: SessionDescription, previous: Negotiation | None) -> None:
    """RFC 8829 section 5.2.2: m-lines stay in their places; only a stopped one may be taken by another mid."""
    if not offer.media:
        refuse_sdp("no m-line")
    if previous is None:
        return
    if len(offer.media) < len(previous.media):
        refuse_sdp("m-lines have gone")
    for before, media in zip(previous.media, offer.media, strict=False):
        if not before.rejected and (media.mid or "") != before.mid:
            refuse_sdp(f"m-line {before.index} has changed its mid")
        if not before.rejected and KINDS.get(media.kind) is not before.kind:
            refuse_sdp(f"m-line {before.index} has changed its kind")


def read_transport(offer: SessionDescription, lines: list[Line], previous: Negotiation | None) -> RemoteTransport:
    """The offerer's transport; of a re-offer that stopped everything, the one that was."""
    living = [line.offered for line in lines if not line.rejected]
    if living:
        return read_remote(offer, living, OFFER_SETUPS)
    if previous is not None and previous.remote is not None:
        return previous.remote
    if any(line.reason == NO_CODEC for line in lines):
        refuse_codecs("none of the offered codecs is supported")
    refuse_sdp("no m-line can be accepted: " + "; ".join(dict.fromkeys(line.reason for line in lines))[:512])


def restarts_ice(offer: SessionDescription, previous: Negotiation | None) -> bool:
    """Whether this re-offer restarts ICE, so that `local` of its answer needs new credentials. RFC 8839 section 4.4.3."""
    if previous is None or previous.remote is None:
        return False
    bundle = offer.bundle
    sections = [m for m in offer.media if m.mid in bundle and m.ice_ufrag and m.ice_pwd]
    first = sections[0] if sections else offer
    return first.ice_ufrag is not None and (first.ice_ufrag, first.ice_pwd) != (
        previous.remote.ufrag,
        previous.remote.pwd,
    )


def has_restarted(remote: RemoteTransport, previous: Negotiation | None) -> bool:
    """RFC 8839 section 4.4.1.1.1: changed credentials are an ICE restart."""
    if previous is None or previous.remote is None:
        return False
    return (remote.ufrag, remote.pwd) != (previous.remote.ufrag, previous.remote.pwd)


def read_extensions(line: Line, accepted: Iterable[str], *, peer_sends: bool) -> list[ExtMap]:
    """The offered header extensions that we take, as they are answered. The first id of a URI counts."""
    taken: dict[str, ExtMap] = {}
    for e in line.offered.extmaps:
        direction = e.direction or Direction.SENDRECV
        usable = direction.sends if peer_sends else direction.receives
        if e.uri in accepted and usable and 1 <= e.id <= MAX_EXTENSION_ID and e.uri not in taken:
            taken[e.uri] = ExtMap(e.id, e.uri, e.direction.reversed if e.direction else None)
    return list(taken.values())


def answer_line(
    line: Line,
    local: LocalTransport,
    codecs: tuple[Codec, ...],
    extmaps: list[ExtMap],
    direction: Direction,
    *,
    tagged: bool,
) -> MediaDescription:
    """Our m-line for a living one of the offer; `direction` is ours."""
    media = MediaDescription(
        kind=line.offered.kind,
        protocol=line.offered.protocol,
        mid=line.offered.mid,
        direction=direction,
        rtcp_rsize=line.offered.rtcp_rsize,
        extmaps=extmaps,
    )
    write_transport(media, local, "passive", tagged=tagged)
    write_codecs(media, codecs)
    return media


def assemble(
    offer: SessionDescription,
    local: LocalTransport,
    remote: RemoteTransport,
    answered: list[tuple[MediaDescription, NegotiatedMedia]],
    previous: Negotiation | None,
) -> Negotiation:
    """The whole answer from its m-lines."""
    before = previous.answer.origin if previous is not None and previous.answer is not None else None
    answer = new_description(local, before)
    answer.extmap_allow_mixed = offer.extmap_allow_mixed or any(m.extmap_allow_mixed for m in offer.media)
    answer.media = [media for media, _ in answered]
    finish_bundle(answer)
    return Negotiation(answer, remote, tuple(m for _, m in answered), has_restarted(remote, previous))


def rejection(line: Line) -> NegotiatedMedia:
    return NegotiatedMedia(
        mid=line.offered.mid or "",
        index=line.index,
        kind=line.kind,
        direction=Direction.INACTIVE,
        rejected=True,
        reason=line.reason,
    )
