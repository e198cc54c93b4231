"""Transport-wide feedback: the message, and the recorder of arrivals that writes it.

draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, unpack_from

from media.errors import ParseError
from media.seq import Unwrapper
from sfu.rtp.feedback import RTCP_RTPFB

RTPFB_TRANSPORT_CC = 15
HEAD = Struct("!IIHHI")  # ssrcs, base, status count, reference time (24 bits) and feedback count (8)
CHUNK = Struct("!H")
SMALL = Struct("!B")
LARGE = Struct("!h")

TICKS_PER_SECOND = 4000  # deltas are multiples of 250 us
TICKS_PER_REFERENCE = 256  # the reference time is a multiple of 64 ms
MAX_RUN = 8191
ONE_BIT_SYMBOLS = 14
TWO_BIT_SYMBOLS = 7

NOT_RECEIVED, RECEIVED_SMALL, RECEIVED_LARGE = 0, 1, 2

MAX_DELTAS = 180  # at most 6 bytes each with their chunks: a message stays below 1200 bytes
MAX_HOLES = 8192  # told as lost in one go; bounds what a publisher with wild numbers makes us write
MAX_WAITING = 4096  # arrivals between two messages; more means the timer is not driven, the oldest go
BACK_WINDOW = 0.5  # what arrives late is reported together with what is known around it


@dataclass(slots=True)
class TransportFeedback:
    """`deltas`: for each packet from `base_sequence` on, None if not received, else ticks since the one received before it."""

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    reference_time: int  # 24 bits, units of 64 ms
    feedback_count: int
    deltas: list[int | None]

    def serialize(self) -> tuple[int, int, bytes]:
        body = HEAD.pack(
            self.sender_ssrc,
            self.media_ssrc,
            self.base_sequence,
            len(self.deltas),
            (self.reference_time & 0xFFFFFF) << 8 | self.feedback_count & 0xFF,
        )
        symbols = bytes(
            NOT_RECEIVED if delta is None else RECEIVED_SMALL if 0 <= delta <= 255 else RECEIVED_LARGE
            for delta in self.deltas
        )
        parts = [body, pack_chunks(symbols)]
        for delta in self.deltas:
            if delta is not None:
                parts.append(SMALL.pack(delta) if 0 <= delta <= 255 else LARGE.pack(delta))
        out = b"".join(parts)
        return RTCP_RTPFB, RTPFB_TRANSPORT_CC, out + bytes(-len(out) % 4)


def pack_chunks(symbols: bytes) -> bytes:
    """Run-length and status vector chunks for one symbol a packet. Draft sections 3.1.3, 3.1.4."""
    out: list[bytes] = []
    at, end = 0, len(symbols)
    while at < end:
        symbol = symbols[at]
        run = 1
        while run < MAX_RUN and at + run < end and symbols[at + run] == symbol:
            run += 1
        window = symbols[at : at + ONE_BIT_SYMBOLS]
        two_bit = RECEIVED_LARGE in window
        if run >= (TWO_BIT_SYMBOLS if two_bit else ONE_BIT_SYMBOLS) or at + run == end:
            out.append(CHUNK.pack(symbol << 13 | run))
            at += run
            continue
        value = 0xC000 if two_bit else 0x8000
        bits = 2 if two_bit else 1
        window = window[:TWO_BIT_SYMBOLS] if two_bit else window
        shift = 14
        for symbol in window:
            shift -= bits
            value |= symbol << shift
        out.append(CHUNK.pack(value))
        at += len(window)
    return b"".join(out)


def unpack_chunks(body: bytes, offset: int, count: int) -> tuple[list[tuple[int, int]], int]:
    """Runs of (symbol, length) for `count` packets, and where their chunks end."""
    runs: list[tuple[int, int]] = []
    while count > 0:
        if offset + 2 > len(body):
            raise ParseError("transport feedback chunks are cut off")
        (value,) = CHUNK.unpack_from(body, offset)
        offset += 2
        if not value & 0x8000:
            run = min(value & MAX_RUN, count)
            if not run:
                raise ParseError("transport feedback run of no packets")
            runs.append((value >> 13 & 3, run))
            count -= run
            continue
        bits = 2 if value & 0x4000 else 1
        symbols = min(14 // bits, count)
        runs += [(value >> 14 - bits * at & (1 << bits) - 1, 1) for at in range(1, symbols + 1)]
        count -= symbols
    return runs, offset


def parse_transport_feedback(body: bytes) -> TransportFeedback:
    if len(body) < HEAD.size:
        raise ParseError("transport feedback is cut off")
    sender, media, base, count, tail = HEAD.unpack_from(body)
    if not count:
        raise ParseError("transport feedback about no packet")
    runs, offset = unpack_chunks(body, HEAD.size, count)
    deltas: list[int | None] = []
    for symbol, run in runs:  # not packet by packet: two bytes may tell of thousands
        if symbol == NOT_RECEIVED:
            deltas += [None] * run
            continue
        if symbol > RECEIVED_LARGE:
            raise ParseError("transport feedback symbol is reserved")
        form, size = ("B", 1) if symbol == RECEIVED_SMALL else ("h", 2)
        if offset + run * size > len(body):
            raise ParseError("transport feedback deltas are cut off")
        deltas += unpack_from(f"!{run}{form}", body, offset)
        offset += run * size
    return TransportFeedback(sender, media, base, tail >> 8, tail & 0xFF, deltas)


class ArrivalRecorder:
    """When each transport-wide number of one publisher arrived. All of its streams, retransmissions and padding too."""

    __slots__ = ("_arrivals", "_count", "_fresh", "_next", "_unwrapper")

    def __init__(self) -> None:
        self._unwrapper = Unwrapper()
        self._arrivals: dict[int, float] = {}  # BACK_WINDOW of them, at most MAX_WAITING
        self._fresh: int | None = None  # the lowest number that arrived since the last message
        self._next: int | None = None  # the first number no message has spoken of
        self._count = 0

    def receive(self, number: int, now: float) -> None:
        extended = self._unwrapper.unwrap(number)
        arrivals = self._arrivals
        if extended in arrivals:
            return
        if len(arrivals) >= MAX_WAITING:
            oldest = next(iter(arrivals))
            del arrivals[oldest]
            if self._fresh is not None:  # it must not be told as lost
                self._fresh = max(self._fresh, oldest + 1)
                self._next = max(self._next or 0, oldest + 1)
        arrivals[extended] = now
        if self._fresh is None or extended < self._fresh:
            self._fresh = extended

    @property
    def waiting(self) -> bool:
        return self._fresh is not None

    def build(self, *, sender_ssrc: int, media_ssrc: int, now: float) -> list[TransportFeedback]:
        """Messages about everything since the last call; several where counts or deltas do not fit one."""
        if self._fresh is None:
            return []
        arrivals = self._arrivals
        start = self._fresh if self._next is None else min(self._fresh, self._next)
        received = sorted(number for number in arrivals if number >= start)
        messages: list[TransportFeedback] = []
        message: TransportFeedback | None = None
        position = last_tick = told = 0
        holes_left = MAX_HOLES
        for number in received:
            tick = round(arrivals[number] * TICKS_PER_SECOND)
            delta = tick - last_tick
            gap = number - position
            if message is not None and (not -32768 <= delta <= 32767 or gap > holes_left or told == MAX_DELTAS):
                start, message = position, None
            if message is None:
                gap = number - start
                if gap > holes_left:  # not spoken of: the sender takes what no message names for unknown
                    start, gap = number, 0
                reference = tick // TICKS_PER_REFERENCE
                delta = tick - reference * TICKS_PER_REFERENCE
                message = TransportFeedback(
                    sender_ssrc, media_ssrc, start & 0xFFFF, reference & 0xFFFFFF, self._count, []
                )
                told = 0
                messages.append(message)
                self._count = (self._count + 1) & 0xFF
            holes_left -= gap
            message.deltas += [None] * gap
            message.deltas.append(delta)
            position, last_tick, told = number + 1, tick, told + 1
        self._next = max(position, self._next or 0)
        self._fresh = None
        horizon = now - BACK_WINDOW
        self._arrivals = {number: at for number, at in arrivals.items() if at > horizon}
        return messages
