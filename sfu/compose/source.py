"""Tracks of a meeting as they reach a media worker: packets in, access units with their time out, requests for keyframes back.

Ordering is `sfu/stream/jitter.py`'s, times `sfu/stream/playout.py`'s, bytes `sfu/rtp/payload/depacketize.py`'s; decoding is
`decode.py`'s. No I/O here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from media.clock import WallClock
from media.codecs import Codec, Kind
from media.errors import ParseError
from sfu.compose.messages import SourceAdded
from sfu.rtp import packet as rtp_packet
from sfu.rtp.compound import parse_compound, serialize_compound
from sfu.rtp.feedback import Pli
from sfu.rtp.packet import RtpPacket
from sfu.rtp.payload import KEYFRAME_DETECTORS, depacketize
from sfu.rtp.reports import SenderReport
from sfu.stream.jitter import Frame, JitterBuffer
from sfu.stream.playout import PublisherClock, TrackClock

MAX_AHEAD = 0.1  # seconds: nothing is captured after it arrived; what a clock says beyond this is not believed
MIN_STEP = 0.000_1  # two units of a track never share a time, and none goes back
WORKER_SSRC = 1  # of our feedback; the node looks at the media SSRC only


@dataclass(slots=True)
class AccessUnit:
    """A picture or a packet of sound, whole. `at`: Unix seconds of its capture on the node's clock, drift taken out; it grows
    from unit to unit. It is to be shown at `at` plus the table's delay."""

    data: bytes
    codec: Codec
    at: float
    keyframe: bool
    discontinuity: bool  # something before it is missing, or the codec is another
    rtp_time: int  # extended


@dataclass(slots=True)
class SourceStats:
    packets: int = 0
    bytes: int = 0
    units: int = 0
    garbage: int = 0  # packets and units that could not be read
    keyframe_requests: int = 0


class Source:
    """One track. Made by `SourceTable.add`."""

    def __init__(
        self,
        info: SourceAdded,
        *,
        delay: float,
        hold: bool,
        wall_clock: WallClock,
        publisher: PublisherClock,
        out: list[bytes],
    ) -> None:
        self.info = info
        self.muted = info.muted
        self.shown = True
        self.last_unit_at: float | None = None
        """When `next_unit` last gave something, monotonic seconds: a source whose picture is frozen shows by it."""
        self.stats = SourceStats()
        self._delay = delay
        self._hold = hold
        self._wall_clock = wall_clock
        self._out = out  # RTCP for the node
        self._codecs = {codec.payload_type: codec for codec in info.codecs}
        self.clock: TrackClock = publisher.add_track(info.codecs[0].clock_rate if info.codecs else 90_000)
        self.jitter = JitterBuffer(
            info.kind, self.clock.clock_rate, delay, is_keyframe=self._is_keyframe, continues=self._continues
        )
        self._codec: Codec | None = None  # of the last unit
        self._depacketizer: depacketize.Depacketizer | None = None
        self._pending: AccessUnit | None = None
        self._last_at = float("-inf")

    # In

    def receive(self, packet: RtpPacket, *, now: float) -> None:
        """One RTP packet of this track's SSRC."""
        self.stats.packets += 1
        self.stats.bytes += len(packet.data)
        codec = self._codecs.get(packet.payload_type)
        if codec is None:
            self.stats.garbage += 1
            return
        if packet.payload_end == packet.payload_offset:
            return
        self.clock.receive(packet.timestamp, wall=self._wall_clock.wall(now))
        if codec.name != "red":
            self._keep(packet, now)
            return
        try:
            packets = depacketize.unwrap_red(packet)
        except ParseError:
            self.stats.garbage += 1
            return
        for block in packets:
            if block.payload_type in self._codecs:
                self._keep(block, now)

    def _keep(self, packet: RtpPacket, now: float) -> None:
        at = self._capture_time(packet.timestamp, now)
        self.jitter.receive(packet, now=now, due=at - self._wall_clock.offset + self._delay)

    def receive_report(self, report: SenderReport, *, now: float) -> None:
        self.clock.receive_report(report.ntp, report.rtp_time, wall=self._wall_clock.wall(now))

    def _capture_time(self, timestamp: int, now: float) -> float:
        wall = self._wall_clock.wall(now)
        at = self.clock.capture_time(timestamp)
        return wall if at is None else min(at, wall + MAX_AHEAD)

    # Out

    def next_unit(self, *, now: float) -> AccessUnit | None:
        """The next access unit that is whole, in order and, where the table holds them, due; None while there is none.

        A muted source, or one that is not shown, gives nothing and forgets what would have been due. To be called regularly,
        until it gives None: this is also where keyframes are asked for.
        """
        unit = self._next_unit(now)
        if unit is None and not self.muted and self.shown and self.jitter.collect_keyframe_request(now=now):
            self.stats.keyframe_requests += 1
            self._out.append(serialize_compound([Pli(WORKER_SSRC, self.info.ssrc)]))  # RFC 4585 section 6.3.1
        return unit

    def _next_unit(self, now: float) -> AccessUnit | None:
        while True:
            if self._pending is None and not self._assemble(now):
                return None
            unit = self._pending
            assert unit is not None
            silent = self.muted or not self.shown
            if (self._hold or silent) and self._wall_clock.wall(now) < unit.at + self._delay:
                return None
            self._pending = None
            if not silent:
                self.stats.units += 1
                self.last_unit_at = now
                return unit

    def _assemble(self, now: float) -> bool:
        """Put the next whole unit before us."""
        while (frame := self.jitter.next_frame(now=now)) is not None:
            codec = self._codecs[frame.packets[0].payload_type]
            changed = self._codec is not None and codec is not self._codec
            if changed and not frame.keyframe:
                self.jitter.skip_to_keyframe()
                continue
            if codec is not self._codec and not self._choose(codec):
                self.stats.garbage += 1
                continue
            assert self._depacketizer is not None
            try:
                data = self._depacketizer.unit([packet.payload for packet in frame.packets])
            except ParseError:
                self.stats.garbage += 1
                self.jitter.skip_to_keyframe()
                continue
            self._pending = self._unit(frame, codec, data, changed=changed)
            return True
        return False

    def _choose(self, codec: Codec) -> bool:
        maker = depacketize.DEPACKETIZERS.get(codec.name)
        if maker is None:
            return False
        self._depacketizer = maker()
        self._codec = codec
        return True

    def _unit(self, frame: Frame, codec: Codec, data: bytes, *, changed: bool) -> AccessUnit:
        at = max(self._capture_time(frame.timestamp, frame.packets[0].arrival), self._last_at + MIN_STEP)
        self._last_at = at
        rtp_time = self.clock.extend(frame.timestamp)
        return AccessUnit(data, codec, at, frame.keyframe, frame.discontinuity or changed, rtp_time)

    # Control

    def set_muted(self, muted: bool) -> None:
        """A muted source gives nothing. Afterwards video goes on from a keyframe, which is asked for."""
        if self.muted and not muted:
            self.skip_to_keyframe()
        self.muted = muted

    def set_shown(self, shown: bool) -> None:
        """One that nobody sees is not to be decoded: it gives nothing, and goes on from a keyframe when it comes into view."""
        if shown and not self.shown:
            self.skip_to_keyframe()
        self.shown = shown

    def skip_to_keyframe(self) -> None:
        """Give nothing more before a keyframe, and ask for one: what was given could not be decoded."""
        if self.info.kind is Kind.VIDEO and (self._pending is None or not self._pending.keyframe):
            self._pending = None
            self.jitter.skip_to_keyframe()

    def _is_keyframe(self, packet: RtpPacket) -> bool:
        codec = self._codecs[packet.payload_type]
        detect: Callable[[bytes], bool] | None = KEYFRAME_DETECTORS.get(codec.name)
        return detect is None or detect(packet.payload)

    def _continues(self, earlier: bytes, later: bytes) -> bool:
        return self._codec is not None and depacketize.continues(self._codec.name, earlier, later)


class SourceTable:
    """All tracks of a pipeline. `delay`: seconds from capture until a unit is due; what is lost is waited for so long.

    With `hold` units leave when they are due, else as soon as they are whole and in order.
    """

    def __init__(self, delay: float, wall_clock: WallClock, *, hold: bool = True) -> None:
        self.delay = delay
        self.sources: dict[str, Source] = {}  # by track id
        self.unknown = 0  # packets of no track
        self.garbage = 0
        self._hold = hold
        self._wall_clock = wall_clock
        self._out: list[bytes] = []
        self._by_ssrc: dict[int, Source] = {}
        self._publishers: dict[str, PublisherClock] = {}  # by participant id

    def add(self, info: SourceAdded, *, now: float) -> Source:
        """A track; one of the same id is replaced."""
        self.remove(info.track_id)
        publisher = self._publishers.setdefault(info.participant_id, PublisherClock())
        source = Source(
            info, delay=self.delay, hold=self._hold, wall_clock=self._wall_clock, publisher=publisher, out=self._out
        )
        self.sources[info.track_id] = self._by_ssrc[info.ssrc] = source
        return source

    def remove(self, track_id: str) -> None:
        source = self.sources.pop(track_id, None)
        if source is None:
            return
        if self._by_ssrc.get(source.info.ssrc) is source:
            del self._by_ssrc[source.info.ssrc]
        publisher = self._publishers[source.info.participant_id]
        publisher.remove_track(source.clock)
        if publisher.is_empty:
            del self._publishers[source.info.participant_id]

    def set_muted(self, track_id: str, muted: bool) -> None:
        """Nothing happens if the track is gone already."""
        source = self.sources.get(track_id)
        if source is not None:
            source.set_muted(muted)

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        """One RTP or RTCP packet. Never raises: garbage is counted."""
        try:
            if len(data) > 1 and 192 <= data[1] <= 223:  # RFC 5761 section 4
                self._receive_rtcp(data, now)
                return
            packet = rtp_packet.parse(data)
        except ParseError:
            self.garbage += 1
            return
        source = self._by_ssrc.get(packet.ssrc)
        if source is None:
            self.unknown += 1
            return
        source.receive(packet, now=now)

    def _receive_rtcp(self, data: bytes, now: float) -> None:
        for message in parse_compound(data):
            if isinstance(message, SenderReport) and (source := self._by_ssrc.get(message.ssrc)) is not None:
                source.receive_report(message, now=now)

    def datagrams_to_send(self) -> list[bytes]:
        """RTCP for the node: PLI. Emptied by the call."""
        out = list(self._out)
        self._out.clear()
        return out
