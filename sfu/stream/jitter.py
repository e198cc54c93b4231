"""A jitter buffer by time: packets in any order in, whole frames in order out; a hole is waited for until a deadline and no longer.

For media workers, which decode: the node forwards without one. When a frame is to be shown is `playout.py`'s matter, what
its payloads mean the depacketizers'. Sequence numbers by RFC 3550 section A.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

from media.codecs import Kind
from media.seq import Unwrapper, diff
from sfu.rtp.packet import RtpPacket
from sfu.stream.keyframe import KeyframeRequester

MAX_PACKETS = 4096  # 4 s at 10 Mbit/s; what is beyond drops all that waits, and goes on from a keyframe
MAX_BYTES = 8 << 20  # the same bound for whoever sends jumbo datagrams
MAX_DROPOUT = 3000  # RFC 3550 A.1: a greater jump is a restart, believed when a second packet confirms it
MAX_LATE = 10.0  # seconds: a number we have passed with a time further back than this is no late packet but a restart
ASK_EARLY = (
    0.5  # of the time that a hole is waited for: most retransmissions come sooner, and a keyframe takes as long again
)
MAX_CONTINUATION = 2.0  # seconds: further on, counters of layers may have come round
KEYFRAME_INTERVAL = 0.5  # requests for keyframes are not closer together: the encoder needs a round trip to answer


def _never(earlier: bytes, later: bytes) -> bool:
    return False


@dataclass(slots=True)
class JitterStats:
    received: int = 0
    duplicates: int = 0
    late: int = 0  # came after their place had been passed
    lost: int = 0  # numbers never seen
    frames: int = 0  # given out
    dropped: int = 0  # frames thrown away: incomplete, or waiting for a keyframe
    restarts: int = 0
    overflows: int = 0


@dataclass(slots=True)
class Frame:
    """Packets of one access unit, in order and complete. Audio: one packet."""

    packets: list[RtpPacket]
    keyframe: bool
    discontinuity: bool  # something before it is missing

    @property
    def timestamp(self) -> int:
        return self.packets[0].timestamp


class JitterBuffer:
    """Of one stream. `delay`: seconds from a packet's arrival to its deadline, where `receive` is not told a better one.

    `is_keyframe(packet)` says whether a keyframe begins with the packet. `continues(earlier, later)`, given the first payloads
    of the last frame given out and of a frame behind a hole, whether the later can be decoded all the same.
    """

    def __init__(
        self,
        kind: Kind,
        clock_rate: int,
        delay: float,
        *,
        is_keyframe: Callable[[RtpPacket], bool] = lambda packet: True,
        continues: Callable[[bytes, bytes], bool] = _never,
        keyframe_interval: float = KEYFRAME_INTERVAL,
    ) -> None:
        self.stats = JitterStats()
        self._video = kind is Kind.VIDEO
        self._clock_rate = clock_rate
        self._delay = delay
        self._is_keyframe = is_keyframe
        self._continues = continues
        self._requester = KeyframeRequester(keyframe_interval)
        self._restart()

    def _restart(self) -> None:
        self._packets: dict[int, RtpPacket] = {}
        self._due: dict[int, float] = {}
        self._order: list[int] = []  # a heap of the numbers that are there: what is behind a hole is its first
        self._bytes = 0
        self._unwrapper = Unwrapper()
        self._next = -1  # the number that is to be given out next; -1: before the first packet
        self._scan = -1  # of the frame at the head, numbers below this are there
        self._newest_timestamp = 0
        self._suspect: int | None = None  # RFC 3550 A.1 "bad_seq"
        self._awaits_keyframe = self._video
        self._asks = False
        self._broken: int | None = None  # timestamp of the frame that a hole has spoiled
        self._discontinuity = False
        self._last_payload = b""  # the first of the last frame given out, and its time
        self._last_timestamp = 0

    def __len__(self) -> int:
        return len(self._packets)

    # In

    def receive(self, packet: RtpPacket, *, now: float, due: float | None = None) -> None:
        """Keep the packet. `due`: when its frame is to be shown; a hole before it is not waited for beyond that."""
        stats = self.stats
        stats.received += 1
        if self._next < 0:
            self._begin(packet)
        sequence = self._unwrapper.peek(packet.sequence_number)
        if self._is_stray(packet, sequence):
            if self._suspect != packet.sequence_number:
                self._suspect = (packet.sequence_number + 1) & 0xFFFF
                return
            stats.restarts += 1
            self._restart()
            self._discontinuity = True
            self._begin(packet)
            sequence = self._next
        elif sequence < self._next:
            stats.late += 1
            return
        elif sequence in self._packets:
            stats.duplicates += 1
            return
        if self._is_full:
            stats.overflows += 1
            self.flush()
            if sequence < self._next:
                stats.late += 1
                return
        self._suspect = None
        self._unwrapper.unwrap(packet.sequence_number)
        if diff(packet.timestamp, self._newest_timestamp, 32) > 0 or sequence == self._unwrapper.last:
            self._newest_timestamp = packet.timestamp
        packet.arrival = now
        self._packets[sequence] = packet
        self._due[sequence] = now + self._delay if due is None else due
        self._bytes += len(packet.data)
        heappush(self._order, sequence)

    def _begin(self, packet: RtpPacket) -> None:
        self._next = self._scan = self._unwrapper.unwrap(packet.sequence_number)
        self._newest_timestamp = packet.timestamp

    def _is_stray(self, packet: RtpPacket, sequence: int) -> bool:
        """Whether the packet has no place in the run of numbers: theirs began anew, or it is garbage."""
        if sequence - (self._unwrapper.last or 0) > MAX_DROPOUT or self._next - sequence > MAX_DROPOUT:
            return True
        if sequence >= self._next:
            return False
        age = diff(self._newest_timestamp, packet.timestamp, 32)
        return age < 0 or age > MAX_LATE * self._clock_rate

    # Out

    def next_frame(self, *, now: float) -> Frame | None:
        """The next frame that is complete and in order; None while nothing is, or a hole is still waited for."""
        while self._packets:
            if self._next not in self._packets:
                if not self._pass_hole(now):
                    return None
            elif not self._video:
                return self._give(self._next + 1, keyframe=True)
            elif self._packets[self._next].timestamp == self._broken:
                self._drop(self._next + 1)
            else:
                self._broken = None
                end = self._find_end(now)
                if end is None:
                    return None
                frame = self._take_video(end) if end > self._next else None
                if frame is not None:
                    return frame
        return None

    def _pass_hole(self, now: float) -> bool:
        """Whether the hole at the head is given up: its deadline has come."""
        behind = self._order[0]
        if now < self._due[behind]:
            self._ask_early(behind, now)
            return False
        self._lose(behind)
        return True

    def _lose(self, end: int) -> None:
        """Numbers from `_next` to before `end` will not come."""
        self.stats.lost += end - self._next
        self._discontinuity = True
        if self._video:
            if not self._begins_anew(end):
                self._broken = self._packets[end].timestamp
            self._await_keyframe()
        self._next = self._scan = end

    def _begins_anew(self, sequence: int) -> bool:
        """Whether the packet behind a hole is known to be the first of its frame."""
        packet = self._packets[sequence]
        return self._is_keyframe(packet) or self._can_continue(packet)

    def _can_continue(self, packet: RtpPacket) -> bool:
        """Whether the frame that begins with the packet can be decoded after the last one given out, whatever is missing."""
        if not self._last_payload:
            return False
        elapsed = diff(packet.timestamp, self._last_timestamp, 32)
        return 0 < elapsed <= MAX_CONTINUATION * self._clock_rate and self._continues(
            self._last_payload, packet.payload
        )

    @property
    def _is_full(self) -> bool:
        return len(self._packets) > MAX_PACKETS or self._bytes > MAX_BYTES

    def _find_end(self, now: float) -> int | None:
        """The number after the frame at the head; None while it is not whole. `_next` moves where the frame was given up."""
        packets, scan = self._packets, max(self._scan, self._next)
        timestamp = packets[self._next].timestamp
        while True:
            packet = packets.get(scan)
            if packet is None:
                break
            if packet.timestamp != timestamp:
                return scan
            scan += 1
            if packet.marker:
                return scan
        self._scan = scan
        if scan > (self._unwrapper.last or 0):
            return None  # nothing newer waits behind it: giving it up would show nobody anything
        if now < self._due[self._next]:
            self._ask_early(self._next, now)
            return None
        self._broken = timestamp
        self.stats.dropped += 1
        self._await_keyframe()
        self._drop(scan)
        return self._next

    def _take_video(self, end: int) -> Frame | None:
        first = self._packets[self._next]
        keyframe = any(self._is_keyframe(self._packets[number]) for number in range(self._next, end))
        if self._awaits_keyframe and not keyframe and not self._can_continue(first):
            self.stats.dropped += 1
            self._await_keyframe()
            self._drop(end)
            return None
        self._awaits_keyframe = self._asks = False
        self._requester.receive_keyframe()
        self._last_payload, self._last_timestamp = first.payload, first.timestamp
        return self._give(end, keyframe=keyframe)

    def _give(self, end: int, *, keyframe: bool) -> Frame:
        packets = [self._packets[number] for number in range(self._next, end)]
        self._drop(end)
        self.stats.frames += 1
        frame = Frame(packets, keyframe, self._discontinuity)
        self._discontinuity = False
        return frame

    def _drop(self, end: int) -> None:
        for number in range(self._next, end):
            packet = self._packets.pop(number)
            del self._due[number]
            self._bytes -= len(packet.data)
            heappop(self._order)
        self._next = self._scan = end

    # Keyframes

    def _await_keyframe(self) -> None:
        """What cannot be used makes us ask. Not the start: a first keyframe may be on its way."""
        self._awaits_keyframe = self._asks = self._discontinuity = True

    def _ask_early(self, sequence: int, now: float) -> None:
        """The packet waits for an earlier one: past half its time that is more likely lost than late."""
        arrival = self._packets[sequence].arrival
        if self._video and now - arrival >= ASK_EARLY * (self._due[sequence] - arrival):
            self._asks = True

    def skip_to_keyframe(self) -> None:
        """Give out nothing more before the next keyframe: what was given out is not decoded, or decodes to garbage."""
        if self._video:
            self._last_payload = b""
            self._await_keyframe()

    def flush(self) -> None:
        """Forget what is there, and go on with what comes, video from a keyframe."""
        if self._packets:
            end = max(self._packets) + 1
            self._packets.clear()
            self._due.clear()
            self._order.clear()
            self._bytes = 0
            self._next = self._scan = end
        self._discontinuity = True
        self.skip_to_keyframe()

    def collect_keyframe_request(self, *, now: float) -> bool:
        """Whether to ask for a keyframe now. Repeated until one comes, with growing pauses while nothing does."""
        if self._asks:
            self._asks = False
            self._requester.request(now)
        return self._requester.collect(now)
