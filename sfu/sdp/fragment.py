"""Trickle ICE fragments (`application/trickle-ice-sdpfrag`, RFC 8840), as WHIP and WHEP send them by PATCH."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfu.sdp.negotiated import LocalTransport


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
    end_of_candidates: bool = False

    @property
    def credentials(self) -> tuple[str, str] | None:
        """(ufrag, pwd): other than the session's present ones they mean an ICE restart, RFC 9725 section 4.3.3."""
        raise NotImplementedError


def parse_fragment(text: str, *, max_bytes: int = 65536, max_media: int = 128) -> Fragment:
    """A fragment from text; ParseError for anything else."""
    raise NotImplementedError


def serialize_fragment(fragment: Fragment) -> str:
    raise NotImplementedError


def restart_fragment(local: LocalTransport, mid: str, kind: str = "audio") -> Fragment:
    """Our answer to an ICE restart: new credentials and all candidates. `mid`, `kind`: of the first bundled m-line."""
    raise NotImplementedError
