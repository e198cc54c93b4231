"""Participants made of real media: flashes and beeps or patches of colour, encoded, cut into RTP with sender reports.

Packets are made in capture order; `Packet.sent` is when one leaves, on the common clock. A `Take` is encoded once and played
by any number of senders: encoding is what costs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from media.clock import wall_to_ntp
from media.codecs import Codec, Kind
from sfu.compose.messages import SourceAdded
from sfu.rtp import packet as rtp_packet
from sfu.rtp.compound import serialize_compound
from sfu.rtp.reports import SenderReport

VP8 = Codec("VP8", Kind.VIDEO, 90_000, 96, feedback=("nack pli",))
H264 = Codec("H264", Kind.VIDEO, 90_000, 102, fmtp={"packetization-mode": "1", "profile-level-id": "42e01f"})
OPUS = Codec("opus", Kind.AUDIO, 48_000, 111, channels=2)
OPUS_SAMPLES = 960
REPORT_EVERY = 0.5  # seconds between sender reports; the first goes before the media
BEEP_HZ = 1000
MARK_SECONDS = 0.1  # of a flash and of a beep
GRAY = (126, 128, 128)
WHITE = (235, 128, 128)


@dataclass(frozen=True, slots=True)
class Unit:
    """A coded picture or a packet of sound, as RTP payloads. `at` in seconds since the take's beginning."""

    at: float
    payloads: tuple[bytes, ...]
    keyframe: bool = True
    codec: Codec = VP8


@dataclass(frozen=True, slots=True)
class Packet:
    sent: float  # seconds on the common clock
    data: bytes


def picture(width: int, height: int, yuv: tuple[int, int, int]) -> av.VideoFrame:
    """All of one colour."""
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, yuv, strict=True):
        np.frombuffer(plane, np.uint8)[:] = value
    return frame


def solid(width: int, height: int, yuv: tuple[int, int, int]) -> Callable[[float], av.VideoFrame]:
    """The same colour all the time."""
    one = picture(width, height, yuv)
    return lambda at: one


def flashes(
    width: int, height: int, *, every: float, base: tuple[int, int, int] = GRAY
) -> Callable[[float], av.VideoFrame]:
    """White for `MARK_SECONDS` at each multiple of `every` but zero."""
    dark, light = picture(width, height, base), picture(width, height, WHITE)
    return lambda at: light if at >= every and at % every < MARK_SECONDS - 1e-6 else dark


def record_video(
    picture_at: Callable[[float], av.VideoFrame],
    seconds: float,
    *,
    fps: int = 30,
    codec: Codec = VP8,
    bps: int = 400_000,
    keyframe_every: float = 2.0,
    begin: float = 0.0,
) -> list[Unit]:
    """Encoded in real-time mode and packetised as aiortc sends it."""
    first = picture_at(begin)
    context = av.CodecContext.create("libvpx" if codec.name == "VP8" else "libx264", "w")
    context.width, context.height, context.pix_fmt = first.width, first.height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, fps), Fraction(fps, 1)
    context.bit_rate, context.gop_size, context.thread_count = bps, round(keyframe_every * fps), 1
    if codec.name == "VP8":
        context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    else:
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    units = []
    for index in range(round(seconds * fps)):
        at = begin + index / fps
        frame = picture_at(at)
        frame.pts, frame.time_base = index, Fraction(1, fps)
        for coded in context.encode(frame):
            payloads = _payloads(bytes(coded), codec, index)
            units.append(Unit(at, payloads, coded.is_keyframe, codec))
    return units


def _payloads(data: bytes, codec: Codec, index: int) -> tuple[bytes, ...]:
    if codec.name == "VP8":
        return tuple(Vp8Encoder._packetize(data, index & 0x7FFF))
    return tuple(H264Encoder._packetize(H264Encoder._split_bitstream(data)))


def beeps(*, every: float, hertz: float = BEEP_HZ, level: float = 0.5) -> Callable[[np.ndarray], np.ndarray]:
    """A tone for `MARK_SECONDS` at each multiple of `every` but zero; of times, samples."""
    return lambda t: np.where((t >= every) & (t % every < MARK_SECONDS), level * np.sin(2 * np.pi * hertz * t), 0.0)


def tone(hertz: float, level: float = 0.3) -> Callable[[np.ndarray], np.ndarray]:
    return lambda t: level * np.sin(2 * np.pi * hertz * t)


def record_audio(sound_at: Callable[[np.ndarray], np.ndarray], seconds: float, *, begin: float = 0.0) -> list[Unit]:
    """Opus in blocks of 20 ms. The encoder's own delay is taken off the times, as an application that knows it does."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "stereo", "flt"
    context.bit_rate, context.time_base = 64_000, Fraction(1, 48_000)
    units = []
    for index in range(round(seconds * 48_000 / OPUS_SAMPLES)):
        times = begin + (index * OPUS_SAMPLES + np.arange(OPUS_SAMPLES)) / 48_000
        frame = av.AudioFrame(format="flt", layout="stereo", samples=OPUS_SAMPLES)
        frame.planes[0].update(np.repeat(sound_at(times).astype(np.float32)[:, None], 2, axis=1).copy())
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * OPUS_SAMPLES, Fraction(1, 48_000)
        for coded in context.encode(frame):
            units.append(Unit(begin + coded.pts / 48_000, (bytes(coded),), True, OPUS))
    return units


@dataclass
class Sender:
    """One track on its way: units with RTP headers and sender reports.

    `began` is when the take's zero was captured, Unix seconds of a true clock. `skew` is how much too fast the sender's own
    clock runs (1e-4: 100 ppm): its RTP times and its reports' NTP times both come from it, as the node passes them on.
    """

    track_id: str
    participant_id: str
    source: str
    units: list[Unit]
    began: float
    ssrc: int
    skew: float = 0.0
    latency: float = 0.02
    jitter: float = 0.0
    report_every: float = REPORT_EVERY
    sequence: int = 65_500  # wraps soon
    timestamp: int = 0xFFFF_0000
    muted: bool = False
    codecs: tuple[Codec, ...] = ()
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def added(self) -> SourceAdded:
        codecs = self.codecs or _codecs(self.units)
        kind = codecs[0].kind
        return SourceAdded(self.track_id, self.participant_id, self.source, kind, self.ssrc, codecs, self.muted)

    def packets(self) -> Iterator[Packet]:
        rate = _codecs(self.units)[0].clock_rate
        next_report = -1.0
        count = octets = 0
        for unit in self.units:
            own = unit.at * (1 + self.skew)  # seconds of the sender's clock
            rtp_time = (self.timestamp + round(own * rate)) & 0xFFFF_FFFF
            if unit.at >= next_report:
                next_report = unit.at + self.report_every
                report = SenderReport(self.ssrc, wall_to_ntp(self.began + own), rtp_time, count, octets)
                yield Packet(self.began + unit.at + self.latency, serialize_compound([report]))
            sent = self.began + unit.at + self.latency + self.random.random() * self.jitter
            for number, payload in enumerate(unit.payloads):
                data = rtp_packet.serialize(
                    payload_type=unit.codec.payload_type,
                    sequence_number=self.sequence,
                    timestamp=rtp_time,
                    ssrc=self.ssrc,
                    payload=payload,
                    marker=number == len(unit.payloads) - 1,
                )
                self.sequence = (self.sequence + 1) & 0xFFFF
                count, octets = count + 1, octets + len(payload)
                yield Packet(sent, data)


def _codecs(units: Iterable[Unit]) -> tuple[Codec, ...]:
    return tuple({unit.codec.name: unit.codec for unit in units}.values())


def moved(units: list[Unit], seconds: float) -> list[Unit]:
    """The same media, later."""
    return [replace(unit, at=unit.at + seconds) for unit in units]


def in_order(*senders: Sender) -> list[Packet]:
    """Everybody's packets as they leave."""
    return sorted((packet for sender in senders for packet in sender.packets()), key=lambda packet: packet.sent)
