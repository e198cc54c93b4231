"""The text form of session descriptions, RFC 8866: lines, sections, bounds. Attributes are in `attributes.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from media.errors import ParseError
from sfu.sdp.attributes import MEDIA_ATTRIBUTES, SESSION_ATTRIBUTES, Attribute, number, words
from sfu.sdp.description import MediaDescription, Origin, Section, SessionDescription

MAX_NUMBER = (1 << 64) - 1  # session id and version, RFC 8829 section 5.2.1
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE = re.compile(r"[a-z]=.*")
_ONLY_AT_SESSION = frozenset("vostrz")


def parse(text: str, *, max_bytes: int = 65536, max_media: int = 128, max_ssrcs: int = 256) -> SessionDescription:
    """A description from text; ParseError for anything else. What comes out serializes and parses equal."""
    lines = split_lines(text, max_bytes)
    if next(lines, "") != "v=0":
        raise ParseError("a description begins with v=0")
    session = SessionDescription()
    section: Section = session
    seen: set[str] = set()
    for line in lines:
        kind, value = line[0], line[2:]
        if kind == "m":
            if len(session.media) == max_media:
                raise ParseError(f"more than {max_media} m-lines")
            section = parse_media_line(value)
            session.media.append(section)
        elif kind == "a":
            _parse_attribute(section, line, MEDIA_ATTRIBUTES if section is not session else SESSION_ATTRIBUTES)
        elif section is session and kind in "ost":
            if kind in seen and kind != "t":  # t= may be repeated; the last one counts, and nobody looks at it
                raise ParseError(f"{kind}= stands twice")
            seen.add(kind)
            _parse_session_line(session, kind, value)
        elif kind in _ONLY_AT_SESSION and (section is not session or kind == "v"):
            raise ParseError(f"{kind}= in the wrong place")
        else:
            _parse_common_line(section, line)
    if "o" not in seen:
        raise ParseError("o= is missing")
    if sum(len(media.ssrcs) for media in session.media) > max_ssrcs:
        raise ParseError(f"more than {max_ssrcs} SSRCs")
    for each in (session, *session.media):
        each.other.sort(key=lambda line: "ra".find(line[0]))  # as written: RFC 8866 wants r= after t=, a= last
    return session


def split_lines(text: str, max_bytes: int) -> Iterator[str]:
    """The lines of a bounded text that is clean Unicode; empty ones left out."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ParseError("lone surrogate") from None
    if size > max_bytes:
        raise ParseError(f"more than {max_bytes} bytes")
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if not line:
            continue
        if "\r" in line or _CONTROL.search(line) or not _LINE.fullmatch(line):
            raise ParseError(f"not a line: {line[:64]!r}")
        yield line


def parse_media_line(value: str) -> MediaDescription:
    kind, ports, protocol, *formats = words(value, 4)
    port, slash, count = ports.partition("/")
    return MediaDescription(
        kind=kind,
        port=number(port, 65535),
        port_count=number(count, 65535) if slash else None,
        protocol=protocol,
        formats=tuple(formats),
    )


def _parse_attribute(section: Section, line: str, attributes: dict[str, Attribute]) -> None:
    name, colon, value = line[2:].partition(":")
    attribute = attributes.get(name)
    if attribute is None or attribute.parse(section, value if colon else None) is False:
        section.other.append(line)


def _parse_session_line(session: SessionDescription, kind: str, value: str) -> None:
    if kind == "o":
        parts = words(value, 6)
        session.origin = Origin(
            parts[0], number(parts[1], MAX_NUMBER), number(parts[2], MAX_NUMBER), " ".join(parts[3:6])
        )
    elif kind == "s":
        session.name = value
    else:
        session.timing = value


def _parse_common_line(section: Section, line: str) -> None:
    if line[0] == "c":
        section.connection = line[2:]
    elif line[0] == "b":
        section.bandwidth.append(line[2:])
    else:
        section.other.append(line)


def serialize(description: SessionDescription) -> str:
    """The text, lines ended by CRLF."""
    origin = description.origin
    lines = [
        "v=0",
        f"o={origin.username} {origin.session_id} {origin.version} {origin.address}",
        f"s={description.name}",
    ]
    lines += [line for line in description.other if line[0] not in "ar"]
    lines += _common_lines(description)
    lines.append(f"t={description.timing}")
    lines += [line for line in description.other if line[0] == "r"]
    lines += _attribute_lines(description, SESSION_ATTRIBUTES)
    for media in description.media:
        count = "" if media.port_count is None else f"/{media.port_count}"
        lines.append(f"m={media.kind} {media.port}{count} {media.protocol} {' '.join(media.formats)}")
        lines += [line for line in media.other if line[0] != "a"]
        lines += _common_lines(media)
        lines += _attribute_lines(media, MEDIA_ATTRIBUTES)
    return "\r\n".join(lines) + "\r\n"


def _common_lines(section: Section) -> list[str]:
    connection = [] if section.connection is None else [f"c={section.connection}"]
    return connection + [f"b={value}" for value in section.bandwidth]


def _attribute_lines(section: Section, attributes: dict[str, Attribute]) -> list[str]:
    lines = [
        f"a={name}" if value is None else f"a={name}:{value}"
        for name, attribute in attributes.items()
        for value in attribute.values(section)
    ]
    return lines + [line for line in section.other if line[0] == "a"]
