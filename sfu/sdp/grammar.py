"""The text form of session descriptions. Everything else about SDP stands elsewhere."""

from __future__ import annotations

from sfu.sdp.description import SessionDescription


def parse(text: str, *, max_bytes: int = 65536, max_media: int = 128, max_ssrcs: int = 256) -> SessionDescription:
    """A description from text; ParseError for anything else. What comes out serializes and parses equal."""
    raise NotImplementedError


def serialize(description: SessionDescription) -> str:
    """The text, lines ended by CRLF."""
    raise NotImplementedError
