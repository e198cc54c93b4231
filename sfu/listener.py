"""Plain RTP of a room for one of our own listeners: a media worker that records or composes. Sans-I/O.

A listener is the receiving side of a hidden participant: its subscriptions become consumers that write to a PacketSource (the
node's end of a worker's socket pair), without description, transport or encryption. Who gets what is the room's matter
(`meeting/`); what the worker makes of it is `sfu/compose/`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from media.codecs import Codec
from media.ports import PacketSource
from sfu.consumer import Consumer, ConsumerParameters
from sfu.endpoint import RtpEndpoint
from sfu.meeting.participant import Participant, Track
from sfu.producer import Producer
from sfu.session import SessionContext
from sfu.timers import Timers

REPORT_INTERVAL = 0.5  # of sender reports: a worker places sound against picture by them, and follows a drifting clock
FIRST_REPORT_CHECK = 0.1  # until a track's first report could be made: by then a worker has waited for it long enough


@dataclass(frozen=True, slots=True)
class ListenerEvent:
    """`participant_id` and `inner_id` are the listener's."""

    room_id: str
    participant_id: str
    inner_id: str


@dataclass(frozen=True, slots=True)
class ListenerTrackAdded(ListenerEvent):
    """Packets with `ssrc` are this track of `owner_id`. `codecs` have the payload types that these packets have.

    Told again for a track whose codecs changed, after ListenerTrackRemoved, with another SSRC.
    """

    track: Track
    owner_id: str
    ssrc: int
    codecs: tuple[Codec, ...]


@dataclass(frozen=True, slots=True)
class ListenerTrackRemoved(ListenerEvent):
    """No packets of the track come any more. Not told for what a listener still has when it leaves."""

    track_id: str


@dataclass(frozen=True, slots=True)
class ListenerFailed(ListenerEvent):
    """The sink raised, or we did: the listener leaves the room. `reason` is for the log."""

    reason: str


class _Nowhere:
    """The sink of a listener that has failed."""

    def send_rtp(self, data: bytes) -> None:
        pass

    def send_rtcp(self, data: bytes) -> None:
        pass


@dataclass(slots=True)
class _Taken:
    track: Track
    consumer: Consumer


class Listener:
    """Made by `Conference.listen`. To its consumers it is the transport: a sink that raises costs this listener only."""

    def __init__(
        self, participant: Participant, sink: PacketSource, context: SessionContext, table: ListenerTable
    ) -> None:
        self.participant = participant
        self.closed = False
        self.failure: str | None = None
        self._sink = sink
        self._random_bytes = context.random_bytes
        self._wall_clock = context.wall_clock
        self._table = table
        self._taken: dict[str, _Taken] = {}  # by track_id
        self._unreported: dict[Consumer, None] = {}  # no sender report was possible yet
        self._next_check: float | None = None
        self.endpoint = RtpEndpoint(
            replace(context.config, rtcp_interval=min(REPORT_INTERVAL, context.config.rtcp_interval)),
            self,
            random_bytes=context.random_bytes,
            wall_clock=context.wall_clock,
            cname=participant.inner_id,  # one for all: every track is told on the node's clock, RFC 3550 section 6.5.1
            drops=context.drops,
            stats=context.stats,
        )

    @property
    def ssrcs(self) -> dict[str, int]:
        """By track_id."""
        return {track_id: taken.consumer.params.ssrc for track_id, taken in self._taken.items()}

    # From the worker

    def receive_rtcp(self, data: bytes, *, now: float) -> None:
        """One plain RTCP packet of the worker: PLI for a keyframe. Pump the server afterwards, as for any command."""
        if not self.closed:
            self.endpoint.receive_rtcp(data, now=now)

    # PacketSource, for the consumers

    def send_rtp(self, data: bytes) -> None:
        try:
            self._sink.send_rtp(data)
        except Exception as error:  # the publisher whose packet this is has done nothing wrong
            self.fail(repr(error))

    def send_rtcp(self, data: bytes) -> None:
        try:
            self._sink.send_rtcp(data)
        except Exception as error:
            self.fail(repr(error))

    def fail(self, reason: str) -> None:
        """Nothing is sent any more; the conference lets it leave."""
        self._sink = _Nowhere()
        self.failure = reason
        self._table.touch(self)

    # From the room, by way of the participant's Peer

    def add(self, track: Track, producer: Producer, *, paused: bool, now: float) -> None:
        consumer = self._consume(producer, self._new_ssrc(), paused, now)
        self._take(track, consumer, now)

    def remove(self, track_id: str, *, now: float) -> None:
        taken = self._taken.pop(track_id, None)
        if taken is not None:
            self._drop(taken.consumer, now)
            self._table.tell(ListenerTrackRemoved(*self._subject(), track_id))

    def pause(self, track_id: str, paused: bool, *, now: float) -> None:
        taken = self._taken.get(track_id)
        if taken is not None:
            taken.consumer.set_paused(paused, now=now)

    def exchange(self, producer: Producer, *, now: float) -> None:
        """The track's media was negotiated anew. With the same codecs it goes on under its SSRC and nothing is told."""
        taken = self._taken.get(producer.id)
        if taken is None:
            return
        former = taken.consumer
        if former.params.codecs == _plain(producer.params.codecs):
            self.endpoint.remove_consumer(former, bye=False, now=now)
            taken.consumer = self._consume(producer, former.params.ssrc, former.paused, now, former)
            self._unreported.pop(former, None)
            self._expect_report(taken.consumer, now)
            return
        self.remove(producer.id, now=now)
        consumer = self._consume(producer, self._new_ssrc(), former.paused, now)
        track = replace(taken.track, codec=consumer.params.codecs[0].name, muted=former.producer.muted)
        self._take(track, consumer, now)

    def close(self, *, now: float) -> None:
        """Its participant has left. The sink gets a BYE for each track."""
        if not self.closed:
            self.closed = True
            self.endpoint.close(now=now)
            self._taken.clear()
            self._unreported.clear()

    # Time

    def get_timer(self) -> float | None:
        times = [time for time in (self.endpoint.get_timer(), self._next_check) if time is not None]
        return min(times) if times and not self.closed else None

    def handle_timer(self, *, now: float) -> None:
        if self._next_check is not None and now >= self._next_check:
            self._check_unreported(now)
        self.endpoint.handle_timer(now=now)

    def _check_unreported(self, now: float) -> None:
        """A track is told of as soon as its publisher's clock is known, not when reports are due again."""
        ready = [one for one in self._unreported if one.sender_report(self._wall_clock, now=now) is not None]
        for consumer in ready:
            del self._unreported[consumer]
        if ready:
            self.endpoint.report(now=now)
        self._next_check = now + FIRST_REPORT_CHECK if self._unreported else None

    # Inside

    def _take(self, track: Track, consumer: Consumer, now: float) -> None:
        self._taken[track.track_id] = _Taken(track, consumer)
        self._expect_report(consumer, now)
        params = consumer.params
        self._table.tell(
            ListenerTrackAdded(*self._subject(), track, track.participant_id, params.ssrc, params.codecs)
        )

    def _consume(
        self, producer: Producer, ssrc: int, paused: bool, now: float, former: Consumer | None = None
    ) -> Consumer:
        params = ConsumerParameters("", producer.kind, _plain(producer.params.codecs), ssrc)
        numbering = former.numbering if former is not None else None
        consumer = self.endpoint.add_consumer(producer, params, numbering=numbering, now=now)
        if paused:
            consumer.set_paused(True, now=now)
        return consumer

    def _drop(self, consumer: Consumer, now: float) -> None:
        self.endpoint.remove_consumer(consumer, now=now)
        self._unreported.pop(consumer, None)

    def _expect_report(self, consumer: Consumer, now: float) -> None:
        self._unreported[consumer] = None
        if self._next_check is None:
            self._next_check = now + FIRST_REPORT_CHECK
        self._table.touch(self)

    def _new_ssrc(self) -> int:
        used = {taken.consumer.params.ssrc for taken in self._taken.values()}
        while True:
            ssrc = int.from_bytes(self._random_bytes(4), "big")
            if ssrc and ssrc not in used:
                return ssrc

    def _subject(self) -> tuple[str, str, str]:
        return self.participant.room_id, self.participant.participant_id, self.participant.inner_id


class ListenerTable:
    """All listeners of a node: whose time has come, who has failed. Events go to the conference's."""

    def __init__(self, events: deque[Any]) -> None:
        self.serving: Listener | None = None
        """Who got the last deadline; whom to blame when that raised."""
        self._events = events
        self._touched: dict[Listener, None] = {}
        self._timers: Timers[Listener] = Timers()

    @property
    def has_events(self) -> bool:
        return bool(self._touched)

    def tell(self, event: ListenerEvent) -> None:
        self._events.append(event)

    def touch(self, listener: Listener) -> None:
        """It was given something to do."""
        self._touched[listener] = None

    def forget(self, listener: Listener) -> None:
        self._touched.pop(listener, None)
        self._timers.disarm(listener)

    def handle_timer(self, *, now: float) -> None:
        while (listener := self._timers.pop_due(now)) is not None:
            self.serving = listener
            self._touched[listener] = None
            listener.handle_timer(now=now)
        self.serving = None

    def get_timer(self) -> float | None:
        return self._timers.get_timer()

    def next_failed(self) -> Listener | None:
        """Arms whoever was touched; the next of them that has failed."""
        while self._touched:
            listener, _ = self._touched.popitem()
            if listener.failure is not None:
                return listener
            self._timers.arm(listener, listener.get_timer())
        return None


def _plain(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """The publisher's codecs without retransmission, and without RED: a worker gets the primary blocks as Opus."""
    return tuple(replace(codec, rtx_payload_type=None) for codec in codecs if codec.name != "red") or codecs
