"""Real encoder output as RTP: pictures and tones that can be told apart after decoding, for whatever takes media in.

The packetizers are aiortc's where it has them (VP8, H.264), else written here from the documents, not from our depacketizers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import VpxPayloadDescriptor

from media.clock import wall_to_ntp
from media.codecs import Codec, Kind
from sfu.rtp import packet
from sfu.rtp.compound import serialize_compound
from sfu.rtp.reports import SenderReport

VP8 = Codec("VP8", Kind.VIDEO, 90_000, 96)
VP9 = Codec("VP9", Kind.VIDEO, 90_000, 98)
H264 = Codec("H264", Kind.VIDEO, 90_000, 102)
AV1 = Codec("AV1", Kind.VIDEO, 90_000, 45)
OPUS = Codec("opus", Kind.AUDIO, 48_000, 111, channels=2)
VIDEO_CODECS = {codec.name: codec for codec in (VP8, VP9, H264, AV1)}

ENCODERS = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
    "AV1": ("libsvtav1", {"preset": "11", "crf": "40", "svtav1-params": "pred-struct=1:lookahead=0:lp=1:rc=0"}),
}
MAX_PAYLOAD = 1100


class VideoEncoder:
    """Grey pictures of a given brightness, told apart by their median; a quarter is moving noise, so that none fits a packet."""

    def __init__(self, codec: Codec, width: int = 320, height: int = 180, fps: int = 30, gop: int = 300) -> None:
        name, options = ENCODERS[codec.name]
        self.context = av.CodecContext.create(name, "w")
        self.context.width, self.context.height = width, height
        self.context.pix_fmt = "yuv420p"
        self.context.time_base = Fraction(1, fps)
        self.context.framerate = Fraction(fps)
        self.context.bit_rate = 0 if codec.name == "AV1" else 3_000_000
        self.context.gop_size = gop
        self.context.thread_count = 1
        self.context.options = options
        self.width, self.height = width, height
        self._count = 0
        self._noise = np.random.default_rng(1).integers(0, 255, (height // 4, width), np.uint8)

    def encode(self, luma: int = 128, *, keyframe: bool = False) -> bytes | None:
        """One access unit; None while the encoder keeps the picture."""
        planes = np.full((self.height * 3 // 2, self.width), 128, np.uint8)
        planes[: self.height] = luma
        planes[: self.height // 4] = np.roll(self._noise, self._count * 4)
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts = self._count
        if keyframe:
            frame.pict_type = av.video.frame.PictureType.I
        self._count += 1
        data = b"".join(bytes(part) for part in self.context.encode(frame))
        return data or None


class OpusEncoder:
    """20 ms packets of a tone."""

    def __init__(self, hertz: float = 440.0) -> None:
        self.context = av.CodecContext.create("libopus", "w")
        self.context.sample_rate = 48_000
        self.context.layout = "stereo"
        self.context.format = "flt"
        self.context.bit_rate = 64_000
        self._hertz = hertz
        self._count = 0

    def encode(self) -> bytes:
        times = (np.arange(960) + self._count * 960) / 48_000
        tone = (0.5 * np.sin(2 * np.pi * self._hertz * times)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2).reshape(1, -1), "flt", "stereo")
        frame.sample_rate = 48_000
        frame.pts = self._count * 960
        self._count += 1
        return b"".join(bytes(part) for part in self.context.encode(frame))


# Payloads


def payloads_of(codec: Codec, unit: bytes, *, picture: int = 0) -> list[bytes]:
    """The access unit as RTP payloads."""
    if codec.name == "VP8":
        return list(_vp8(unit, picture))
    if codec.name == "VP9":
        return list(_vp9(unit, picture))
    if codec.name == "H264":
        return H264Encoder._packetize(H264Encoder._split_bitstream(unit))
    if codec.name == "AV1":
        return list(_av1(unit))
    return [unit]


def _vp8(unit: bytes, picture: int) -> Iterator[bytes]:
    descriptor = VpxPayloadDescriptor(partition_start=1, partition_id=0, picture_id=picture & 0x7FFF)
    for at in range(0, len(unit), MAX_PAYLOAD):
        yield bytes(descriptor) + unit[at : at + MAX_PAYLOAD]
        descriptor.partition_start = 0


def _vp9(unit: bytes, picture: int) -> Iterator[bytes]:
    """RFC 9628 section 4.2, non-flexible mode: I with 15 bits, B and E at the ends; P unless the header says key frame."""
    key = not unit[0] & 0x04  # frame_marker 10, profile bits, show_existing 0, frame_type
    for at in range(0, len(unit), MAX_PAYLOAD):
        last = at + MAX_PAYLOAD >= len(unit)
        head = 0x80 | (0 if key else 0x40) | (0x08 if at == 0 else 0) | (0x04 if last else 0)
        yield bytes((head, 0x80 | picture >> 8 & 0x7F, picture & 0xFF)) + unit[at : at + MAX_PAYLOAD]


def obus_of(unit: bytes) -> Iterator[bytes]:
    """OBUs of a temporal unit without their size fields; temporal delimiters left out, as the RTP format asks."""
    at = 0
    while at < len(unit):
        head = unit[at]
        start = at + (2 if head & 4 else 1)
        size = shift = 0
        while True:
            byte = unit[start]
            start += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if head >> 3 & 15 != 2:
            yield bytes((head & ~2,)) + (unit[at + 1 : at + 2] if head & 4 else b"") + unit[start : start + size]
        at = start + size


def leb128(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return out + bytes((value,))


def _av1(unit: bytes) -> Iterator[bytes]:
    """Each packet with W = 0 and up to MAX_PAYLOAD bytes: OBUs cut wherever a packet is full."""
    obus = list(obus_of(unit))
    new_sequence = any(obu[0] >> 3 & 15 == 1 for obu in obus)
    packets: list[tuple[bool, bool, bytes]] = []
    body, continues = b"", False
    for obu in obus:
        while obu:
            room = MAX_PAYLOAD - len(body) - 2
            piece, obu = obu[:room], obu[room:]
            body += leb128(len(piece)) + piece
            if obu or len(body) > MAX_PAYLOAD - 8:
                packets.append((continues, bool(obu), body))
                body, continues = b"", bool(obu)
    if body:
        packets.append((continues, False, body))
    for index, (z, y, data) in enumerate(packets):
        yield bytes((z << 7 | y << 6 | (8 if new_sequence and index == 0 else 0),)) + data


# Packets


class Track:
    """A published track: numbers its packets and says its clock. `zero` is the RTP time of media time 0."""

    def __init__(self, codec: Codec, ssrc: int, *, first: int = 0, zero: int = 0) -> None:
        self.codec = codec
        self.ssrc = ssrc
        self.sequence = first
        self.zero = zero
        self.pictures = 0

    def timestamp(self, at: float) -> int:
        return (self.zero + round(at * self.codec.clock_rate)) & 0xFFFFFFFF

    def packets(self, unit: bytes, at: float) -> list[bytes]:
        """The access unit captured at media time `at`."""
        payloads = payloads_of(self.codec, unit, picture=self.pictures)
        self.pictures += 1
        out = []
        for index, payload in enumerate(payloads):
            out.append(
                packet.serialize(
                    payload_type=self.codec.payload_type,
                    sequence_number=self.sequence & 0xFFFF,
                    timestamp=self.timestamp(at),
                    ssrc=self.ssrc,
                    payload=payload,
                    marker=self.codec.kind is Kind.VIDEO and index == len(payloads) - 1,
                )
            )
            self.sequence += 1
        return out

    def report(self, at: float, wall: float) -> bytes:
        """A sender report: media time `at` is `wall`."""
        return serialize_compound([SenderReport(self.ssrc, wall_to_ntp(wall), self.timestamp(at), 0, 0)])
