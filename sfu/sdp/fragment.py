"""Trickle ICE fragments (`application/trickle-ice-sdpfrag`, RFC 8840 section 9), as WHIP and WHEP send them by PATCH."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.errors import ParseError
from sfu.sdp.attributes import ICE_TOKEN, words
from sfu.sdp.grammar import parse_media_line, split_lines
from sfu.sdp.negotiated import LocalTransport, Negotiation


@dataclass(slots=True)
class FragmentMedia:
    """One pseudo m-line. `candidates` are "candidate:..." lines."""

    mid: str
    kind: str = "audio"
    ufrag: str | None = None
    pwd: str | None = None
    candidates: list[str] = field(default_factory=list)
    end_of_candidates: bool = False


@dataclass(slots=True)
class Fragment:
    """`ufrag` and `pwd` may stand at session level or in an m-line: `credentials` finds them."""

    ufrag: str | None = None
    pwd: str | None = None
    ice_options: tuple[str, ...] = ()
    ice_lite: bool = False
    bundle: tuple[str, ...] = ()
    media: list[FragmentMedia] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)  # before the first m-line: some clients write no m-line at all
    end_of_candidates: bool = False

    @property
    def credentials(self) -> tuple[str, str] | None:
        """(ufrag, pwd): other than the session's present ones they mean an ICE restart, RFC 9725 section 4.3.3."""
        for section in (*self.media, self):
            if section.ufrag is not None and section.pwd is not None:
                return section.ufrag, section.pwd
        return None


def parse_fragment(text: str, *, max_bytes: int = 65536, max_media: int = 128) -> Fragment:
    """A fragment from text; ParseError for anything else. Lines that have no say in ICE are passed over."""
    fragment = Fragment()
    section: Fragment | FragmentMedia = fragment
    has_mid = True
    for line in split_lines(text, max_bytes):
        if line.startswith("m="):
            if not has_mid:
                break
            if len(fragment.media) == max_media:
                raise ParseError(f"more than {max_media} m-lines")
            section = FragmentMedia("", parse_media_line(line[2:]).kind)
            fragment.media.append(section)
            has_mid = False
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            if name == "mid" and isinstance(section, FragmentMedia):
                section.mid = words(value, 1)[0]
                has_mid = True
            else:
                _parse_attribute(fragment, section, name, value)
    if not has_mid:
        raise ParseError("m-line without mid")  # RFC 8840 section 4.4: it says which m-line the candidates are for
    return fragment


def _parse_attribute(fragment: Fragment, section: Fragment | FragmentMedia, name: str, value: str) -> None:
    if name in ("ice-ufrag", "ice-pwd"):
        if not ICE_TOKEN.fullmatch(value):
            raise ParseError(f"not a value for {name}")
        if name == "ice-ufrag":
            section.ufrag = value
        else:
            section.pwd = value
    elif name == "candidate":
        section.candidates.append("candidate:" + " ".join(words(value, 8)))
    elif name == "end-of-candidates":
        section.end_of_candidates = True
    elif name == "ice-options":
        fragment.ice_options += tuple(value.split())
    elif name == "ice-lite":
        fragment.ice_lite = True
    elif name == "group":
        semantics, *mids = words(value, 1)
        if semantics == "BUNDLE":
            fragment.bundle = tuple(mids)


def serialize_fragment(fragment: Fragment) -> str:
    """The text, lines ended by CRLF; an empty fragment is an empty text."""
    lines = []
    if fragment.ice_lite:
        lines.append("a=ice-lite")
    if fragment.ice_options:
        lines.append("a=ice-options:" + " ".join(fragment.ice_options))
    if fragment.bundle:
        lines.append("a=group:BUNDLE " + " ".join(fragment.bundle))
    lines += _ice_lines(fragment)
    for media in fragment.media:
        lines.append(f"m={media.kind} 9 RTP/AVP 0")  # RFC 8840 section 9: port, protocol and format mean nothing
        lines.append(f"a=mid:{media.mid}")
        lines += _ice_lines(media)
    return "".join(line + "\r\n" for line in lines)


def _ice_lines(section: Fragment | FragmentMedia) -> list[str]:
    lines = []
    if section.ufrag is not None:
        lines.append(f"a=ice-ufrag:{section.ufrag}")
    if section.pwd is not None:
        lines.append(f"a=ice-pwd:{section.pwd}")
    lines += [f"a={candidate}" for candidate in section.candidates]
    if section.end_of_candidates:
        lines.append("a=end-of-candidates")
    return lines


def restart_fragment(local: LocalTransport, negotiation: Negotiation) -> Fragment:
    """Our answer to an ICE restart by PATCH: new credentials and all candidates, for the first living m-line."""
    living = [media for media in negotiation.media if not media.rejected and media.kind is not None]
    return Fragment(
        ufrag=local.ufrag,
        pwd=local.pwd,
        ice_options=local.ice_options,
        ice_lite=True,
        bundle=tuple(media.mid for media in living),
        media=[
            FragmentMedia(media.mid, media.kind.value, None, None, list(local.candidates), end_of_candidates=True)
            for media in living[:1]
            if media.kind is not None
        ],
    )
