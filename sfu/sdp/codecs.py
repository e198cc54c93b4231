"""Codecs in session descriptions: which we forward, which two formats are the same, which payload types we offer.

The payload formats themselves are in `sfu/rtp/payload`. RFC 8866 section 6.6, 6184, 7587, 7741, 9628, 4588, 2198.
"""

from __future__ import annotations

from dataclasses import replace

from media.codecs import CLOCK_RATES, Codec, Kind
from sfu.sdp.description import MediaDescription, RtcpFeedback, RtpMap
from sfu.sdp.negotiated import refuse_codecs

_NAMES = {name.lower(): name for name in CLOCK_RATES}
_AUDIO = frozenset({"opus", "red"})

# What we answer by and react to. Not goog-remb: transport-wide feedback has replaced it.
FEEDBACK = {
    Kind.AUDIO: ("transport-cc", "nack"),
    Kind.VIDEO: ("transport-cc", "ccm fir", "nack", "nack pli"),
}

# Parameters that both ends share or that tell a sender what we take. Others (max-fs, maxplaybackrate) are limits of
# the one who wrote them and would come back as limits of ours.
_KEPT_PARAMETERS = {
    "opus": ("minptime", "useinbandfec", "usedtx", "stereo"),
    "VP9": ("profile-id",),
    "H264": ("level-asymmetry-allowed", "packetization-mode", "profile-level-id"),
    "AV1": ("level-idx", "profile", "tier"),
}

# RFC 6184 section 8.1 as (profile_idc, mask of profile-iop, its value). Baseline and constrained baseline count as one:
# no WebRTC encoder uses the tools (FMO, ASO) that tell them apart, and some receivers name the one, some the other.
_H264_PROFILES = (
    ("baseline", 0x42, 0x0F, 0x00),
    ("baseline", 0x4D, 0x8F, 0x80),
    ("baseline", 0x58, 0x4F, 0x00),
    ("main", 0x4D, 0xAF, 0x00),
    ("high", 0x64, 0xFF, 0x00),
    ("constrained-high", 0x64, 0xFF, 0x0C),
)
_H264_DEFAULT = "42e01f"  # libwebrtc's reading of an absent profile-level-id, which senders that leave it out expect
# Which profiles a decoder of a profile plays beside its own.
_H264_DECODES = {"main": {"baseline"}, "constrained-high": {"baseline"}, "high": {"baseline", "main", "constrained-high"}}

# (name, what tells its formats apart) -> (payload type, RTX payload type, fmtp): ours in every offer we make. A payload
# type means the same in the whole bundle (RFC 8843 section 9.1) and for the whole life of a connection.
_CANONICAL: dict[tuple[str, str], tuple[int, int | None, dict[str, str]]] = {
    ("opus", "mono"): (111, None, {"minptime": "10", "useinbandfec": "1"}),
    ("opus", "stereo"): (110, None, {"minptime": "10", "useinbandfec": "1", "stereo": "1", "sprop-stereo": "1"}),
    ("red", "mono"): (63, None, {"111/111": ""}),
    ("red", "stereo"): (62, None, {"110/110": ""}),
    ("VP8", ""): (96, 97, {}),
    ("VP9", "0"): (98, 99, {"profile-id": "0"}),
    ("VP9", "1"): (35, 36, {"profile-id": "1"}),
    ("VP9", "2"): (100, 101, {"profile-id": "2"}),
    ("VP9", "3"): (37, 38, {"profile-id": "3"}),
    ("AV1", "0"): (45, 46, {"level-idx": "5", "profile": "0", "tier": "0"}),
    ("AV1", "1"): (47, 48, {"level-idx": "5", "profile": "1", "tier": "0"}),
}
for _profile, _pt, _level_id in (
    ("baseline", 102, "42e01f"),
    ("main", 104, "4d001f"),
    ("high", 106, "64001f"),
    ("constrained-high", 108, "640c1f"),
):
    _CANONICAL["H264", _profile] = (
        _pt,
        _pt + 1,
        {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": _level_id},
    )


def parse_fmtp(text: str) -> dict[str, str]:
    """Parameters of a format; keys in lower case, a bare word ("111/111") is a key with an empty value."""
    parameters: dict[str, str] = {}
    for part in text.split(";"):
        key, _, value = part.strip().partition("=")
        if key:
            parameters[key.strip().lower()] = value.strip()
    return parameters


def serialize_fmtp(parameters: dict[str, str]) -> str:
    return ";".join(f"{key}={value}" if value else key for key, value in parameters.items())


def h264_profile(parameters: dict[str, str]) -> str | None:
    """The profile's name, None for one that we do not forward."""
    text = parameters.get("profile-level-id", _H264_DEFAULT)
    try:
        profile_idc, profile_iop, _level = bytes.fromhex(text)
    except ValueError:
        return None
    for name, idc, mask, value in _H264_PROFILES:
        if profile_idc == idc and profile_iop & mask == value:
            return name
    return None


def variant(codec: Codec) -> str | None:
    """What tells formats of one codec apart; None for a format that we do not forward."""
    if codec.name == "H264":
        if codec.fmtp.get("packetization-mode") != "1":
            return None
        return h264_profile(codec.fmtp)
    if codec.name == "VP9":
        profile = codec.fmtp.get("profile-id", "0")
        return profile if profile in ("0", "1", "2", "3") else None
    if codec.name == "AV1":
        profile = codec.fmtp.get("profile", "0")
        return profile if profile in ("0", "1") else None
    return ""


def read_codecs(media: MediaDescription, kind: Kind) -> tuple[Codec, ...]:
    """The codecs of an m-line that we forward, in its order, with what we support of their parameters and feedback."""
    rtx = _read_rtx(media)
    feedback = _read_feedback(media)
    codecs = []
    for payload_type in dict.fromkeys(media.payload_types):
        mapped = media.rtpmaps.get(payload_type)
        name = _NAMES.get(mapped.name.lower()) if mapped else None
        if mapped is None or name is None or mapped.clock_rate != CLOCK_RATES[name]:
            continue
        if (name in _AUDIO) is not (kind is Kind.AUDIO):
            continue  # "red/90000" of a video m-line has another clock rate; this is for the perverse rest
        codec = Codec(
            name=name,
            kind=kind,
            clock_rate=mapped.clock_rate,
            payload_type=payload_type,
            channels=mapped.channels or 1,
            fmtp=_kept_parameters(name, parse_fmtp(media.fmtps.get(payload_type, ""))),
            feedback=tuple(
                value for value in FEEDBACK[kind] if feedback.get(value, frozenset()) & {None, payload_type}
            ),
            rtx_payload_type=rtx.get(payload_type),
        )
        if variant(codec) is not None and (name != "opus" or codec.channels == 2):  # RFC 7587 section 7: always 2
            codecs.append(codec)
    return tuple(codecs)


def _kept_parameters(name: str, parameters: dict[str, str]) -> dict[str, str]:
    if name == "red":
        return parameters
    kept = {key: parameters[key] for key in _KEPT_PARAMETERS.get(name, ()) if parameters.get(key)}
    if name == "opus":
        kept["useinbandfec"] = "1"  # the loss between a sender and a receiver is on two ways here
        if parameters.get("sprop-stereo") == "1":  # RFC 7587 section 7.1: the sender will send stereo; we take it
            kept["stereo"] = "1"
    return kept


def _read_rtx(media: MediaDescription) -> dict[int, int]:
    """Payload type -> the payload type of its retransmissions, RFC 4588 section 8."""
    rtx: dict[int, int] = {}
    for payload_type in media.payload_types:
        mapped = media.rtpmaps.get(payload_type)
        if mapped is None or mapped.name.lower() != "rtx":
            continue
        apt = parse_fmtp(media.fmtps.get(payload_type, "")).get("apt", "")
        if apt.isascii() and apt.isdigit() and len(apt) <= 3:
            rtx.setdefault(int(apt), payload_type)
    return rtx


def _read_feedback(media: MediaDescription) -> dict[str, set[int | None]]:
    """Value -> the payload types that it is offered for, None for all. In one pass: a peer may write thousands."""
    offered: dict[str, set[int | None]] = {}
    for feedback in media.rtcp_fbs:
        offered.setdefault(feedback.value.lower(), set()).add(feedback.payload_type)
    return offered


def with_its_opus(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """The first codec alone; a leading RED together with the Opus it is made of. RED without its Opus is passed over."""
    for codec in codecs:
        if codec.name != "red":
            return (codec,)
        primary = next((c for c in codecs if c.name == "opus" and _carries(codec, c)), None)
        if primary is not None:
            return (codec, primary)
    return ()


def _carries(red: Codec, opus: Codec) -> bool:
    """RFC 2198 section 5: the fmtp of RED lists the payload types inside ("111/111")."""
    return all(set(key.split("/")) == {str(opus.payload_type)} for key in red.fmtp) and bool(red.fmtp)


def match_codecs(receiver: tuple[Codec, ...], producer: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """The receiver's codecs (its payload types, fmtp, RTX) that carry what the producer sends, in the producer's order.

    Of RED and Opus the receiver may take Opus alone. PeerError 4051 when it cannot take the producer's media.
    """
    matched = tuple(found for codec in producer if (found := _match(receiver, codec)) is not None)
    if not any(codec.name != "red" for codec in matched):
        wanted = ", ".join(f"{c.name} {variant(c)}".strip() for c in producer)
        refuse_codecs(f"the receiver does not take {wanted or 'any codec'}")
    return matched


def _match(receiver: tuple[Codec, ...], codec: Codec) -> Codec | None:
    wanted = variant(codec)
    same = [c for c in receiver if c.name == codec.name]
    exact = next((c for c in same if variant(c) == wanted), None)
    if exact is not None or codec.name != "H264":
        return exact
    return next((c for c in same if wanted in _H264_DECODES.get(variant(c) or "", ())), None)


def canonical_codecs(producer: tuple[Codec, ...], *, rtx: bool) -> tuple[Codec, ...]:
    """The producer's codecs by the payload types of our own offers. PeerError 4051 for one outside the table."""
    stereo = any(c.name == "opus" and c.fmtp.get("stereo") == "1" for c in producer)
    codecs = []
    for codec in producer:
        form = ("stereo" if stereo else "mono") if codec.kind is Kind.AUDIO else variant(codec)
        known = _CANONICAL.get((codec.name, form or ""))
        if known is None:
            refuse_codecs(f"{codec.name} of this form is not forwarded")
        payload_type, rtx_payload_type, parameters = known
        codecs.append(
            replace(
                codec,
                payload_type=payload_type,
                channels=2 if codec.kind is Kind.AUDIO else 1,
                fmtp=dict(parameters),
                feedback=FEEDBACK[codec.kind],
                rtx_payload_type=rtx_payload_type if rtx else None,
            )
        )
    return tuple(codecs)


def write_codecs(media: MediaDescription, codecs: tuple[Codec, ...]) -> None:
    """Put the codecs and their RTX into an m-line of ours."""
    formats: list[int] = []
    for codec in codecs:
        payload_type = codec.payload_type
        formats.append(payload_type)
        channels = codec.channels if codec.kind is Kind.AUDIO else None
        media.rtpmaps[payload_type] = RtpMap(codec.name, codec.clock_rate, channels)
        if codec.fmtp:
            media.fmtps[payload_type] = serialize_fmtp(codec.fmtp)
        media.rtcp_fbs += [RtcpFeedback(payload_type, value) for value in codec.feedback]
        if codec.rtx_payload_type is not None:
            formats.append(codec.rtx_payload_type)
            media.rtpmaps[codec.rtx_payload_type] = RtpMap("rtx", codec.clock_rate)
            media.fmtps[codec.rtx_payload_type] = f"apt={payload_type}"
    media.formats = tuple(str(f) for f in formats)
