"""Sender and receiver reports of one endpoint, and round-trip times by XR. RFC 3550 section 6, RFC 3611 sections 4.4, 4.5."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from media.clock import WallClock, ntp_middle
from media.ids import RandomBytes
from media.seq import diff
from sfu.rtp.compound import RtcpMessage
from sfu.rtp.reports import SDES_CNAME, ExtendedReport, ReceiverReport, SenderReport, SourceDescription
from sfu.stream.link import PublisherLink

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.producer import Producer

MAX_BLOCKS = 31  # the count has five bits
MAX_SENDERS = 16  # SR and SDES of so many stay below 1200 bytes in one datagram
STALE = 30.0  # RFC 3550 section 6.3.5 drops silent senders; so long are they still reported


class Reporter:
    """`due` is when the next reports are to be sent."""

    def __init__(
        self, interval: float, link: PublisherLink, wall_clock: WallClock, cname: str, random_bytes: RandomBytes
    ) -> None:
        self.due: float | None = None
        self._interval = interval
        self._link = link
        self._wall_clock = wall_clock
        self._cname = cname.encode()[:255]
        self._random_bytes = random_bytes
        self._reference: tuple[int, int, float] | None = None  # peer's RRTR: its ssrc, middle NTP, our time

    def start(self, *, now: float) -> None:
        if self.due is None:
            self._arm(now)

    def _arm(self, now: float) -> None:
        # RFC 3550 section 6.2: "varied randomly over the range [0.5,1.5] times the calculated interval"
        self.due = now + self._interval * (0.5 + self._random_bytes(1)[0] / 255)

    def receive_extended(self, message: ExtendedReport, *, now: float) -> None:
        if message.rrtr is not None:
            self._reference = message.ssrc, ntp_middle(message.rrtr), now
        for ssrc, last_rr, delay in message.dlrr:
            if ssrc == self._link.ssrc and last_rr:
                ticks = diff(ntp_middle(self._wall_clock.ntp(now)), (last_rr + delay) & 0xFFFFFFFF, 32)
                self._link.round_trip_time = max(0, ticks) / 65536

    def report(self, producers: Sequence[Producer], consumers: Sequence[Consumer], *, now: float) -> None:
        self._arm(now)
        if producers:
            self._report_reception(producers, now)
        reports = []
        for consumer in consumers:
            report = consumer.sender_report(self._wall_clock, now=now)
            if report is not None:
                reports.append((report, consumer.params.cname.encode()[:255] or self._cname))
        for batch in _batches(reports, MAX_SENDERS):
            self._send_senders(batch)
        if self._reference is not None and not producers:
            self._link.send(ReceiverReport(self._link.ssrc), self._answer(now))

    def _report_reception(self, producers: Sequence[Producer], now: float) -> None:
        blocks = [
            stream.report_block(now=now)
            for producer in producers
            for stream in producer.layers.streams
            if stream.highest >= 0 and now - stream.last_arrival < STALE
        ]
        if not blocks:
            return
        extended = self._answer(now)
        extended.rrtr = self._wall_clock.ntp(now)
        for at, batch in enumerate(_batches(blocks, MAX_BLOCKS)):
            messages: list[RtcpMessage] = [
                ReceiverReport(self._link.ssrc, batch),
                SourceDescription([(self._link.ssrc, [(SDES_CNAME, self._cname)])]),
            ]
            if at == 0:
                messages.append(extended)
            self._link.send(*messages)

    def _answer(self, now: float) -> ExtendedReport:
        extended = ExtendedReport(self._link.ssrc)
        if self._reference is not None:
            ssrc, middle, at = self._reference
            extended.dlrr.append((ssrc, middle, min(0xFFFFFFFF, round((now - at) * 65536))))
            self._reference = None
        return extended

    def _send_senders(self, batch: list[tuple[SenderReport, bytes]]) -> None:
        chunks = [(report.ssrc, [(SDES_CNAME, cname)]) for report, cname in batch]
        self._link.send(*(report for report, _ in batch), SourceDescription(chunks))


def _batches(items: Iterable, size: int) -> Iterable[list]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
