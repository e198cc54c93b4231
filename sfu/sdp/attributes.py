"""The text of each `a=` attribute: one table, read by the parser and by the serializer alike.

An attribute is (parse, values). `parse(section, value)` stores it, or returns False when the value is of a form that may
stand but that we do not use: the line is then kept as unknown. `values(section)` gives its values again, None for a flag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from media.errors import ParseError
from sfu.sdp.description import (
    Direction,
    ExtMap,
    Fingerprint,
    Rid,
    RtcpFeedback,
    RtpMap,
    Simulcast,
    SsrcGroup,
)

Parse = Callable[[Any, str | None], bool | None]
Values = Callable[[Any], Iterator[str | None]]

MAX_PAYLOAD_TYPE = 127
MAX_SSRC = 0xFFFF_FFFF
MAX_EXTENSION_ID = 255  # RFC 8285 section 4.3: two-byte form
ICE_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{4,256}")  # RFC 8839 section 5.4; "=", "_" and "-" are written by some clients
HEX_BYTES = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){15,63}")  # MD5 to SHA-512
SETUPS = frozenset({"active", "passive", "actpass", "holdconn"})


class Attribute(NamedTuple):
    parse: Parse
    values: Values


def number(text: str, maximum: int) -> int:
    """A decimal of ASCII digits only: int() alone takes signs, spaces, underscores and foreign digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= maximum):
        raise ParseError(f"not a number up to {maximum}: {text[:32]!r}")
    return int(text)


def words(value: str | None, least: int) -> list[str]:
    found = (value or "").split()
    if len(found) < least:
        raise ParseError(f"value is too short: {(value or '')[:64]!r}")
    return found


def is_payload_type(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= MAX_PAYLOAD_TYPE


def _flag(field: str) -> Attribute:
    def parse(section: Any, value: str | None) -> None:
        if value is not None:
            raise ParseError(f"{field} takes no value")
        setattr(section, field, True)

    def values(section: Any) -> Iterator[str | None]:
        if getattr(section, field):
            yield None

    return Attribute(parse, values)


def _once(section: Any, field: str, value: str | int) -> None:
    """Two different values for what must be one leave it open whom we talk to."""
    if getattr(section, field) not in (None, value):
        raise ParseError(f"{field} stands twice with different values")
    setattr(section, field, value)


def _text(field: str, pattern: re.Pattern[str] | None = None) -> Attribute:
    def parse(section: Any, value: str | None) -> None:
        text = (value or "").strip()
        if not text or (pattern is not None and not pattern.fullmatch(text)):
            raise ParseError(f"not a value for {field}: {text[:64]!r}")
        _once(section, field, text)

    def values(section: Any) -> Iterator[str | None]:
        if getattr(section, field) is not None:
            yield getattr(section, field)

    return Attribute(parse, values)


def _integer(field: str, maximum: int) -> Attribute:
    def parse(section: Any, value: str | None) -> None:
        _once(section, field, number((value or "").strip(), maximum))

    def values(section: Any) -> Iterator[str | None]:
        if getattr(section, field) is not None:
            yield str(getattr(section, field))

    return Attribute(parse, values)


def _direction(direction: Direction) -> Attribute:
    def parse(section: Any, value: str | None) -> None:
        if value is not None:
            raise ParseError("a direction takes no value")
        section.direction = direction

    def values(section: Any) -> Iterator[str | None]:
        if section.direction is direction:
            yield None

    return Attribute(parse, values)


def _parse_setup(section: Any, value: str | None) -> None:
    if value not in SETUPS:
        raise ParseError(f"not a setup role: {(value or '')[:32]!r}")
    _once(section, "setup", value)


def _parse_ice_options(section: Any, value: str | None) -> None:
    section.ice_options += tuple(words(value, 0))


def _parse_fingerprint(section: Any, value: str | None) -> None:
    algorithm, digest = words(value, 2)[:2]
    if not HEX_BYTES.fullmatch(digest):
        raise ParseError("fingerprint is not bytes in hexadecimal")
    section.fingerprints.append(Fingerprint(algorithm.lower(), digest.upper()))


def _parse_extmap(section: Any, value: str | None) -> None:
    parts = words(value, 2)
    id_text, _, direction = parts[0].partition("/")
    if direction and direction not in Direction._value2member_map_:
        raise ParseError(f"not a direction: {direction[:32]!r}")
    extension_id = number(id_text, 4096 + 255)  # RFC 8285 section 5: 4096-4351 are ids to be mapped by the answerer
    section.extmaps.append(
        ExtMap(extension_id, parts[1], Direction(direction) if direction else None, " ".join(parts[2:]))
    )


def _extmap_values(section: Any) -> Iterator[str | None]:
    for e in section.extmaps:
        direction = f"/{e.direction.value}" if e.direction else ""
        yield f"{e.id}{direction} {e.uri}" + (f" {e.attributes}" if e.attributes else "")


def _parse_candidate(section: Any, value: str | None) -> None:
    section.candidates.append("candidate:" + " ".join(words(value, 8)))  # RFC 8839 section 5.1: eight fields at least


def _candidate_values(section: Any) -> Iterator[str | None]:
    for candidate in section.candidates:
        yield candidate.partition(":")[2]


def _parse_group(section: Any, value: str | None) -> None:
    semantics, *mids = words(value, 1)
    section.groups.append((semantics, tuple(mids)))


def _parse_msid(media: Any, value: str | None) -> None:
    stream, *track = words(value, 1)
    media.msids.append((stream, track[0] if track else None))


def _parse_rtpmap(media: Any, value: str | None) -> bool | None:
    payload_type, encoding = words(value, 2)[:2]
    if not is_payload_type(payload_type):
        return False
    name, *rest = encoding.split("/")
    if not name or not 1 <= len(rest) <= 2:
        raise ParseError(f"not an encoding: {encoding[:64]!r}")
    channels = number(rest[1], 255) if len(rest) == 2 else None
    media.rtpmaps[int(payload_type)] = RtpMap(name, number(rest[0], 10**9), channels)
    return None


def _rtpmap_values(media: Any) -> Iterator[str | None]:
    for payload_type, m in media.rtpmaps.items():
        channels = "" if m.channels is None else f"/{m.channels}"
        yield f"{payload_type} {m.name}/{m.clock_rate}{channels}"


def _parse_fmtp(media: Any, value: str | None) -> bool | None:
    payload_type, _, parameters = (value or "").strip().partition(" ")
    parameters = parameters.strip()
    if not is_payload_type(payload_type) or not parameters:
        return False
    before = media.fmtps.get(int(payload_type))
    media.fmtps[int(payload_type)] = f"{before};{parameters}" if before else parameters
    return None


def _parse_rtcp_fb(media: Any, value: str | None) -> bool | None:
    payload_type, *parts = words(value, 2)
    if payload_type != "*" and not is_payload_type(payload_type):
        return False
    media.rtcp_fbs.append(RtcpFeedback(None if payload_type == "*" else int(payload_type), " ".join(parts)))
    return None


def _rtcp_fb_values(media: Any) -> Iterator[str | None]:
    for f in media.rtcp_fbs:
        yield f"{'*' if f.payload_type is None else f.payload_type} {f.value}"


def _parse_ssrc(media: Any, value: str | None) -> None:
    ssrc_text, _, attribute = (value or "").strip().partition(" ")
    attributes = media.ssrcs.setdefault(number(ssrc_text, MAX_SSRC), {})
    name, colon, text = attribute.strip().partition(":")
    if name:
        attributes[name] = text if colon else None


def _ssrc_values(media: Any) -> Iterator[str | None]:
    for ssrc, attributes in media.ssrcs.items():
        if not attributes:
            yield str(ssrc)
        for name, text in attributes.items():
            yield f"{ssrc} {name}" if text is None else f"{ssrc} {name}:{text}"


def _parse_ssrc_group(media: Any, value: str | None) -> None:
    semantics, *ssrcs = words(value, 1)
    media.ssrc_groups.append(SsrcGroup(semantics, tuple(number(s, MAX_SSRC) for s in ssrcs)))


def _parse_rid(media: Any, value: str | None) -> None:
    rid, direction, *restrictions = words(value, 2)
    if direction not in ("send", "recv"):
        raise ParseError(f"not a rid direction: {direction[:32]!r}")
    media.rids.append(Rid(rid, direction, " ".join(restrictions)))


def _rid_values(media: Any) -> Iterator[str | None]:
    for r in media.rids:
        yield f"{r.id} {r.direction}" + (f" {r.restrictions}" if r.restrictions else "")


def _parse_simulcast(media: Any, value: str | None) -> None:
    parts = words(value, 2)
    if len(parts) not in (2, 4) or media.simulcast is not None:
        raise ParseError("simulcast takes one list for each direction")
    lists: dict[str, tuple[tuple[str, ...], ...]] = {}
    for direction, streams in zip(parts[::2], parts[1::2], strict=True):
        if direction not in ("send", "recv") or direction in lists:
            raise ParseError(f"not a simulcast direction: {direction[:32]!r}")
        lists[direction] = tuple(tuple(alternatives.split(",")) for alternatives in streams.split(";"))
    if any(not rid.lstrip("~") for streams in lists.values() for group in streams for rid in group):
        raise ParseError("simulcast stream without a name")
    media.simulcast = Simulcast(lists.get("send", ()), lists.get("recv", ()))


def _simulcast_values(media: Any) -> Iterator[str | None]:
    if media.simulcast is not None:
        both = (("send", media.simulcast.send), ("recv", media.simulcast.recv))
        yield " ".join(f"{word} " + ";".join(",".join(group) for group in streams) for word, streams in both if streams)


DIRECTIONS = {direction.value: _direction(direction) for direction in Direction}

_COMMON_ATTRIBUTES: dict[str, Attribute] = {
    "ice-ufrag": _text("ice_ufrag", ICE_TOKEN),
    "ice-pwd": _text("ice_pwd", ICE_TOKEN),
    "ice-options": Attribute(
        _parse_ice_options, lambda s: iter((" ".join(s.ice_options),) if s.ice_options else ())
    ),
    "fingerprint": Attribute(
        _parse_fingerprint, lambda s: (f"{f.algorithm} {f.value}" for f in s.fingerprints)
    ),
    "setup": Attribute(_parse_setup, lambda s: iter((s.setup,) if s.setup else ())),
    "extmap-allow-mixed": _flag("extmap_allow_mixed"),
    "extmap": Attribute(_parse_extmap, _extmap_values),
    **DIRECTIONS,
}
_CANDIDATE_ATTRIBUTES: dict[str, Attribute] = {
    "candidate": Attribute(_parse_candidate, _candidate_values),
    "end-of-candidates": _flag("end_of_candidates"),
}

SESSION_ATTRIBUTES: dict[str, Attribute] = {
    "group": Attribute(_parse_group, lambda s: (" ".join((semantics, *mids)) for semantics, mids in s.groups)),
    "ice-lite": _flag("ice_lite"),
    "msid-semantic": _text("msid_semantic"),
    **_COMMON_ATTRIBUTES,
    **_CANDIDATE_ATTRIBUTES,
}

MEDIA_ATTRIBUTES: dict[str, Attribute] = {
    "mid": _text("mid", re.compile(r"\S{1,256}")),
    "bundle-only": _flag("bundle_only"),
    **_COMMON_ATTRIBUTES,
    "msid": Attribute(_parse_msid, lambda m: (s if t is None else f"{s} {t}" for s, t in m.msids)),
    "rtcp": _text("rtcp"),
    "rtcp-mux": _flag("rtcp_mux"),
    "rtcp-mux-only": _flag("rtcp_mux_only"),
    "rtcp-rsize": _flag("rtcp_rsize"),
    "rtpmap": Attribute(_parse_rtpmap, _rtpmap_values),
    "rtcp-fb": Attribute(_parse_rtcp_fb, _rtcp_fb_values),
    "fmtp": Attribute(_parse_fmtp, lambda m: (f"{pt} {text}" for pt, text in m.fmtps.items())),
    "rid": Attribute(_parse_rid, _rid_values),
    "simulcast": Attribute(_parse_simulcast, _simulcast_values),
    "ssrc-group": Attribute(
        _parse_ssrc_group, lambda m: (" ".join((g.semantics, *map(str, g.ssrcs))) for g in m.ssrc_groups)
    ),
    "ssrc": Attribute(_parse_ssrc, _ssrc_values),
    "sctp-port": _integer("sctp_port", 65535),
    "max-message-size": _integer("max_message_size", (1 << 64) - 1),
    **_CANDIDATE_ATTRIBUTES,
}
