"""Payloads of one access unit into the bytes that a decoder takes, for media workers. By codec: `DEPACKETIZERS`.

VP8 RFC 7741, VP9 RFC 9628, H.264 RFC 6184, AV1 the RTP payload format of AOM, Opus RFC 7587, RED RFC 2198. Reading of
single descriptors is in the codecs' modules; packets are ordered and frames are whole when they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from media.errors import ParseError
from media.seq import diff
from sfu.rtp import packet as rtp_packet
from sfu.rtp.packet import RtpPacket
from sfu.rtp.payload import av1, h264, red, vp8, vp9

MAX_UNIT = 8 << 20  # bytes: no picture of a call has as many
MAX_BLOCKS = 16  # of a RED packet: senders put two or three there; each costs what a packet costs


class Depacketizer(Protocol):
    def unit(self, payloads: Sequence[bytes]) -> bytes:
        """The access unit of these payloads. ParseError where they are none."""
        ...


class Vp8Depacketizer:
    def unit(self, payloads: Sequence[bytes]) -> bytes:
        parts = []
        for index, payload in enumerate(payloads):
            descriptor = vp8.parse(payload)
            if descriptor.start is not (index == 0) and (index == 0 or payload[0] & 0x0F == 0):
                raise ParseError("VP8 frame does not begin with its first partition")
            parts.append(payload[descriptor.size :])
        return _whole(parts, "VP8")


class Vp9Depacketizer:
    """Spatial layers of one picture leave as a superframe."""

    def unit(self, payloads: Sequence[bytes]) -> bytes:
        frames: list[list[bytes]] = []
        for payload in payloads:
            descriptor = vp9.parse(payload)
            if descriptor.begins:
                frames.append([])
            elif not frames:
                raise ParseError("VP9 frame does not begin with its first packet")
            frames[-1].append(payload[descriptor.size :])
        return vp9.join([_whole(parts, "VP9") for parts in frames])


class H264Depacketizer:
    """Annex B. Parameter sets are kept, and put before an IDR picture that comes without."""

    def __init__(self) -> None:
        self._parameters: dict[int, bytes] = {}  # SPS and PPS, the latest of each

    def unit(self, payloads: Sequence[bytes]) -> bytes:
        nals = h264.unpack(payloads)
        kinds = {nal[0] & 0x1F for nal in nals}
        for nal in nals:
            if nal[0] & 0x1F in (h264.NAL_SPS, h264.NAL_PPS):
                self._parameters[nal[0] & 0x1F] = nal
        if h264.NAL_IDR in kinds and h264.NAL_SPS not in kinds and len(self._parameters) == 2:
            nals = [self._parameters[h264.NAL_SPS], self._parameters[h264.NAL_PPS], *nals]
        return _whole([h264.START_CODE + nal for nal in nals], "H.264")


class Av1Depacketizer:
    """A temporal unit in the low-overhead format, without its delimiter."""

    def unit(self, payloads: Sequence[bytes]) -> bytes:
        return _whole(av1.unpack(payloads), "AV1")


class OpusDepacketizer:
    def unit(self, payloads: Sequence[bytes]) -> bytes:
        return _whole(payloads, "Opus")


def _whole(parts: Sequence[bytes], name: str) -> bytes:
    data = b"".join(parts)
    if not data:
        raise ParseError(f"{name} access unit is empty")
    if len(data) > MAX_UNIT:
        raise ParseError(f"{name} access unit is too long")
    return data


DEPACKETIZERS: dict[str, Callable[[], Depacketizer]] = {
    "VP8": Vp8Depacketizer,
    "VP9": Vp9Depacketizer,
    "H264": H264Depacketizer,
    "AV1": Av1Depacketizer,
    "opus": OpusDepacketizer,
}


def continues(name: str, earlier: bytes, later: bytes) -> bool:
    """Whether a frame that begins with `later` can be decoded after that of `earlier`, whatever was lost between them.

    VP8 only, by its temporal layers: frames of higher ones are referred to by no lower one.
    """
    if name != "VP8" or not earlier or not later:
        return False
    try:
        last, this = vp8.parse(earlier), vp8.parse(later)
    except ParseError:
        return False
    if not this.start or last.tl0picidx is None or this.tl0picidx is None:
        return False
    step = diff(this.tl0picidx, last.tl0picidx, 8)
    if this.tid == 0:
        return step == 1
    return step == 0 and this.layer_sync


def unwrap_red(packet: RtpPacket) -> list[RtpPacket]:
    """The blocks of a RED packet as packets of their own payload types, the oldest first, numbered back from it.

    Senders put the blocks of the packets just before it there, so a redundant one is the packet that may have been lost.
    """
    payload = packet.payload
    heads, start, _ = red.parse(payload)
    if len(heads) > MAX_BLOCKS:
        raise ParseError("RED packet has too many blocks")
    out: list[RtpPacket] = []
    for index, at in enumerate(heads):
        back = len(heads) - 1 - index
        offset, size = 0, len(payload) - start
        if back:
            offset = payload[at + 1] << 6 | payload[at + 2] >> 2
            size = (payload[at + 2] & 3) << 8 | payload[at + 3]
        block = payload[start : start + size]
        start += size
        if block:
            out.append(
                rtp_packet.parse(
                    rtp_packet.serialize(
                        payload_type=payload[at] & 0x7F,
                        sequence_number=(packet.sequence_number - back) & 0xFFFF,
                        timestamp=(packet.timestamp - offset) & 0xFFFFFFFF,
                        ssrc=packet.ssrc,
                        payload=block,
                        marker=packet.marker,
                    )
                )
            )
    return out
