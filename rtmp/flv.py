"""The FLV byte stream that an encoder writes, as tags. Adobe Flash Video File Format Specification 10.1, annex E.

Here: the file header, tags, what kind of payload a tag carries. Not here: what a target is sent of it (`program`, `tag_queue`).
A tag's body is an RTMP message's payload unchanged, so nothing is taken apart beyond its first bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.errors import ParseError

TAG_AUDIO = 8  # E.4.1
TAG_VIDEO = 9
TAG_SCRIPT = 18

HEADER_LENGTH = 9  # E.2
PREVIOUS_TAG_SIZE_LENGTH = 4  # E.3
TAG_HEADER_LENGTH = 11  # E.4.1
MAX_HEADER_BYTES = 256  # "DataOffset: usually 9"; later versions may be longer, not without end
FLAG_VIDEO = 0x01

FRAME_KEY = 1  # E.4.3.1
CODEC_AVC = 7
PACKET_SEQUENCE_HEADER = 0
PACKET_MEDIA = 1
EX_HEADER = 0x80  # Enhanced RTMP v1: frame type in bits 4-6, packet type in bits 0-3, FourCC follows
EX_PACKET_SEQUENCE_START = 0
SOUND_AAC = 10  # E.4.2.1
ON_METADATA = b"\x02\x00\x0aonMetaData"  # the AMF0 string that begins the script data

MAX_TAG_BYTES = 4 << 20  # a 1080p keyframe at 20 Mbit/s is a tenth of it


@dataclass(slots=True)
class FlvTag:
    """One tag. `data` is the body, shared by everybody who sends it: never changed."""

    type: int
    timestamp_ms: int
    data: bytes

    @property
    def is_video(self) -> bool:
        return self.type == TAG_VIDEO

    @property
    def is_audio(self) -> bool:
        return self.type == TAG_AUDIO

    @property
    def is_metadata(self) -> bool:
        return self.type == TAG_SCRIPT and self.data.startswith(ON_METADATA)

    @property
    def is_sequence_header(self) -> bool:
        """Decoder configuration: without it nothing that follows can be decoded."""
        data = self.data
        if len(data) < 2:
            return False
        if self.type == TAG_VIDEO:
            if data[0] & EX_HEADER:
                return data[0] & 0x0F == EX_PACKET_SEQUENCE_START
            return data[0] & 0x0F == CODEC_AVC and data[1] == PACKET_SEQUENCE_HEADER
        return self.type == TAG_AUDIO and data[0] >> 4 == SOUND_AAC and data[1] == PACKET_SEQUENCE_HEADER

    @property
    def is_keyframe(self) -> bool:
        """A picture that needs none before it; a sequence header is no picture."""
        data = self.data
        if self.type != TAG_VIDEO or len(data) < 2 or (data[0] >> 4) & 0x07 != FRAME_KEY or self.is_sequence_header:
            return False
        return bool(data[0] & EX_HEADER) or data[0] & 0x0F != CODEC_AVC or data[1] == PACKET_MEDIA


class FlvReader:
    """Bytes in any pieces -> tags. Holds at most one unfinished tag, which is at most `max_tag_bytes` long."""

    def __init__(self, *, max_tag_bytes: int = MAX_TAG_BYTES) -> None:
        self.has_video: bool | None = None  # None until the header was read
        self._max_tag_bytes = max_tag_bytes
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> list[FlvTag]:
        """The tags that `data` completes. ParseError when the bytes are no FLV; the reader is of no use then."""
        self._buffer += data
        position = 0
        if self.has_video is None:
            position = self._receive_header()
            if self.has_video is None:
                return []
        tags = []
        while (end := self._tag_end(position)) is not None:
            tag = self._parse_tag(position, end)
            if tag is not None:
                tags.append(tag)
            position = end
        del self._buffer[:position]
        return tags

    def _receive_header(self) -> int:
        """Where the tags begin; `has_video` stays None while the header is not whole."""
        buffer = self._buffer
        if not b"FLV\x01".startswith(buffer[:4]):
            raise ParseError("not an FLV stream: its first bytes are not FLV version 1")
        if len(buffer) < HEADER_LENGTH:
            return 0
        offset = int.from_bytes(buffer[5:9], "big")
        if not HEADER_LENGTH <= offset <= MAX_HEADER_BYTES:
            raise ParseError(f"FLV header of {offset} bytes")
        if len(buffer) < offset + PREVIOUS_TAG_SIZE_LENGTH:
            return 0
        self.has_video = bool(buffer[4] & FLAG_VIDEO)
        return offset + PREVIOUS_TAG_SIZE_LENGTH

    def _tag_end(self, position: int) -> int | None:
        """The end of the whole tag at `position` with the size field behind it; None while bytes are missing."""
        available = len(self._buffer) - position
        if available < 4:
            return None
        length = int.from_bytes(self._buffer[position + 1 : position + 4], "big")
        if length > self._max_tag_bytes:
            raise ParseError(f"FLV tag of {length} bytes; at most {self._max_tag_bytes} are taken")
        whole = TAG_HEADER_LENGTH + length + PREVIOUS_TAG_SIZE_LENGTH
        return position + whole if available >= whole else None

    def _parse_tag(self, position: int, end: int) -> FlvTag | None:
        buffer = self._buffer
        kind = buffer[position]
        size = int.from_bytes(buffer[end - PREVIOUS_TAG_SIZE_LENGTH : end], "big")
        if size != end - position - PREVIOUS_TAG_SIZE_LENGTH:
            raise ParseError(f"FLV tag is followed by the size {size}, which is not its own: the stream is out of step")
        if kind not in (TAG_AUDIO, TAG_VIDEO, TAG_SCRIPT):
            return None  # E.4.1 reserves the others, encrypted ones (Filter) among them: nothing an encoder writes
        # "TimestampExtended: extension of the Timestamp field to form a SI32 value. This field represents the upper 8 bits"
        timestamp = int.from_bytes(buffer[position + 4 : position + 7], "big") | buffer[position + 7] << 24
        body = bytes(memoryview(buffer)[position + TAG_HEADER_LENGTH : end - PREVIOUS_TAG_SIZE_LENGTH])
        return FlvTag(kind, timestamp, body)
