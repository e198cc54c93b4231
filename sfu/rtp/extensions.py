"""RTP header extensions: names, and reading and writing of the one-byte and two-byte forms. RFC 8285."""

from __future__ import annotations

from collections.abc import Iterable

from media.errors import ParseError

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"  # RFC 9143
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"  # RFC 8852
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"  # RFC 8852
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TIME_OFFSET = "urn:ietf:params:rtp-hdrext:toffset"  # RFC 5450
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
VIDEO_CONTENT_TYPE = "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
VIDEO_TIMING = "http://www.webrtc.org/experiments/rtp-hdrext/video-timing"
COLOR_SPACE = "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"

# Values that mean the same to a subscriber as they did to us. Not among them: what belongs to one hop (transport-wide
# numbers, abs-send-time, toffset, video-timing) or to one publisher's naming (rid).
PASSED_THROUGH = (
    AUDIO_LEVEL,
    VIDEO_ORIENTATION,
    PLAYOUT_DELAY,
    VIDEO_CONTENT_TYPE,
    COLOR_SPACE,
    DEPENDENCY_DESCRIPTOR,
)

ONE_BYTE = 0xBEDE  # RFC 8285 section 4.2
TWO_BYTE = 0x1000  # RFC 8285 section 4.3; the low four bits are "appbits"
TWO_BYTE_MASK = 0xFFF0
MAX_ONE_BYTE_ID = 14
MAX_ONE_BYTE_LENGTH = 16

Element = tuple[int, int, int]  # id, start, end: offsets into the packet


def find_elements(data: bytes, profile: int, offset: int, end: int) -> list[Element]:
    """The elements of one block, in order; empty for a profile that is neither form. ParseError if one is cut off."""
    elements: list[Element] = []
    if profile == ONE_BYTE:
        while offset < end:
            head = data[offset]
            offset += 1
            if head == 0:
                continue  # padding
            if head >= 0xF0:
                # RFC 8285 section 4.2: "If the ID value 15 is used, its length field should be ignored, processing of the
                # entire extension should terminate at that point".
                break
            stop = offset + (head & 0x0F) + 1
            if stop > end:
                raise ParseError("header extension is cut off")
            if head >= 0x10:
                elements.append((head >> 4, offset, stop))
            offset = stop
    elif profile & TWO_BYTE_MASK == TWO_BYTE:
        while offset < end:
            ident = data[offset]
            offset += 1
            if ident == 0:
                continue
            if offset >= end:
                raise ParseError("header extension is cut off")
            stop = offset + 1 + data[offset]
            if stop > end:
                raise ParseError("header extension is cut off")
            elements.append((ident, offset + 1, stop))
            offset = stop
    return elements


def needs_two_byte(ident: int, length: int) -> bool:
    """Whether the one-byte form cannot carry this element."""
    return ident > MAX_ONE_BYTE_ID or length > MAX_ONE_BYTE_LENGTH or length == 0


def element(ident: int, value: bytes, *, two_byte: bool) -> bytes:
    """One element with its head."""
    if two_byte:
        return bytes((ident, len(value))) + value
    return bytes((ident << 4 | len(value) - 1,)) + value


def serialize(elements: Iterable[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Profile and padded block for these (id, value); (0, b"") for none. The one-byte form if all fit it."""
    items = list(elements)
    if not items:
        return 0, b""
    two_byte = any(needs_two_byte(ident, len(value)) for ident, value in items)
    block = b"".join(element(ident, value, two_byte=two_byte) for ident, value in items)
    return (TWO_BYTE if two_byte else ONE_BYTE), block + bytes(-len(block) % 4)
