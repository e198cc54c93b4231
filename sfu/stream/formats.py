"""A publisher's payload types and extension ids in a subscriber's terms, and the fan-out groups that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from media.codecs import Codec
from sfu.rtp import extensions
from sfu.rtp.fast import FanOutGroup, Transform
from sfu.rtp.payload import red, vp8
from sfu.stream.receive import RtpStreamRecv

# fmtp that tells formats of one name apart, and how much of the value does: for H.264 level is no difference to a decoder
DISTINGUISHING = {"H264": (("packetization-mode", None), ("profile-level-id", 4)), "VP9": (("profile-id", None),)}
DEFAULTS = {"packetization-mode": "0", "profile-id": "0", "profile-level-id": "42001f"}


def match_codec(codec: Codec, offered: Iterable[Codec]) -> Codec | None:
    """The subscriber's codec for a publisher's: the same name; among several the one of the same profile, else the first."""
    same_name = [other for other in offered if other.name == codec.name]
    for other in same_name:
        for key, length in DISTINGUISHING.get(codec.name, ()):
            default = DEFAULTS[key]
            if codec.fmtp.get(key, default).lower()[:length] != other.fmtp.get(key, default).lower()[:length]:
                break
        else:
            return other
    return same_name[0] if same_name else None


class SubscriberFormat:
    """How one subscriber's packets of one producer are written."""

    def __init__(
        self,
        published: tuple[Codec, ...],
        published_extensions: Mapping[str, int],
        codecs: tuple[Codec, ...],
        header_extensions: Mapping[str, int],
        mid: str,
    ) -> None:
        self.payload_types: dict[int, int] = {}
        self._vp8: set[int] = set()
        self._red: dict[int, Transform] = {}
        self.rtx_payload_types = {
            codec.payload_type: codec.rtx_payload_type for codec in codecs if codec.rtx_payload_type is not None
        }
        self.mid_id = header_extensions.get(extensions.MID)
        self.mid_length = len(mid.encode())
        self.extension_ids = {
            published_extensions[uri]: header_extensions[uri]
            for uri in extensions.PASSED_THROUGH
            if uri in published_extensions and uri in header_extensions
        }
        self._match(published, codecs)

    def _match(self, published: tuple[Codec, ...], codecs: tuple[Codec, ...]) -> None:
        for codec in published:
            matched = match_codec(codec, codecs)
            if matched is None and codec.name == "red":
                # A subscriber without RED still hears: it gets the primary blocks as plain Opus.
                matched = next((other for other in codecs if other.name == "opus"), None)
                self._red[codec.payload_type] = red.primary
            if matched is None:
                continue
            self.payload_types[codec.payload_type] = matched.payload_type
            if codec.name == "VP8":
                self._vp8.add(codec.payload_type)
        renamed = {mine: theirs for mine, theirs in self.payload_types.items() if mine != theirs}
        if renamed:
            for codec in published:
                if codec.name == "red" and codec.payload_type not in self._red:
                    self._red[codec.payload_type] = partial(red.rename, payload_types=renamed)

    def group_of(self, stream: RtpStreamRecv, picture_offsets: tuple[int, int]) -> FanOutGroup:
        """The group of this stream whose subscribers are written alike; made if there is none."""
        key = (
            tuple(self.payload_types.items()),
            tuple(self.extension_ids.items()),
            self.mid_id,
            self.mid_length,
            picture_offsets,
        )
        for group in stream.groups:
            if group.key == key:
                return group
        types: dict[int, tuple[int, Transform | None]] = {}
        for mine, theirs in self.payload_types.items():
            transform = self._red.get(mine)
            if mine in self._vp8 and picture_offsets != (0, 0):
                transform = partial(
                    vp8.renumber, picture_id_offset=picture_offsets[0], tl0picidx_offset=picture_offsets[1]
                )
            types[mine] = theirs, transform
        group = FanOutGroup(types, self.extension_ids, self.mid_id, self.mid_length, key)
        stream.groups.append(group)
        return group
