"""`/metrics`: plain ints of the planes, read at scrape time. Base units, bounded labels. Nothing here runs per packet."""

from __future__ import annotations

import gc
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from sfu.conference import ConnectionChanged
from sfu.io.signalling import SignallingServer
from sfu.io.udp import Buckets, MediaServer
from tidegate.events.bus import EventBus
from tidegate.events.recorder import Recorder

JOIN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class MediaCollector(Collector):
    """Reads the meeting plane."""

    def __init__(self, server: MediaServer) -> None:
        self._server = server
        self._joins = Buckets(JOIN_BUCKETS)
        server.add_listener(self._on_event)

    def _on_event(self, event: object) -> None:
        if isinstance(event, ConnectionChanged) and event.connected:
            self._joins.add(event.seconds)

    def collect(self) -> Iterable[object]:
        server, conference = self._server, self._server.conference
        stats = conference.stats
        yield GaugeMetricFamily("tidegate_rooms", "Rooms with somebody in them", len(conference.rooms))
        yield GaugeMetricFamily("tidegate_participants", "Participants in rooms", conference.participants)
        yield GaugeMetricFamily("tidegate_tracks", "Published tracks", conference.tracks)
        yield GaugeMetricFamily("tidegate_connections", "Peer connections", len(conference.table))
        yield GaugeMetricFamily("tidegate_handshakes", "DTLS handshakes in progress", conference.table.demux.handshakes)
        yield _by_direction("tidegate_rtp_packets", "RTP packets", stats.packets_in, stats.packets_out)
        yield _by_direction("tidegate_rtp_bytes", "RTP bytes, headers included", stats.bytes_in, stats.bytes_out)
        yield _by_direction("tidegate_nack_packets", "Packets asked for again", stats.nack_in, stats.nack_out)
        yield _by_direction("tidegate_rtx_packets", "Retransmissions", stats.rtx_in, stats.rtx_out)
        yield _by_direction("tidegate_pli", "Keyframe requests", stats.pli_in, stats.pli_out)
        yield CounterMetricFamily("tidegate_twcc_feedback", "Transport-wide feedback sent to publishers", stats.twcc_out)
        drops = CounterMetricFamily("tidegate_drops", "Datagrams and packets dropped", labels=["reason"])
        for reason, count in conference.drops.counts.items():
            drops.add_metric([reason.value], count)
        yield drops
        yield CounterMetricFamily("tidegate_udp_datagrams", "Datagrams sent", server.sender.datagrams)
        yield CounterMetricFamily("tidegate_udp_sends", "System calls they took", server.sender.calls)
        yield _by_direction("tidegate_rtcp_packets", "RTCP packets", stats.rtcp_in, stats.rtcp_out)
        yield CounterMetricFamily(
            "tidegate_nack_unanswered_packets", "Asked for by subscribers when they were no longer kept", stats.nack_unanswered
        )
        yield _histogram(
            "tidegate_forwarding_seconds", "From a batch's first read to its last write", server.forwarding
        )
        yield _histogram("tidegate_loop_lag_seconds", "How late the node's tick came", server.loop_lag)
        yield _histogram("tidegate_join_seconds", "From a connection's description to media", self._joins)


class SignallingCollector(Collector):
    """Reads the WebSockets' counters."""

    def __init__(self, signalling: SignallingServer) -> None:
        self._signalling = signalling

    def collect(self) -> Iterable[object]:
        stats = self._signalling.stats
        yield GaugeMetricFamily("tidegate_sockets", "Open signalling sockets", self._signalling.connections)
        yield _by_direction("tidegate_signalling_messages", "Signalling messages", stats.messages_in, stats.messages_out)
        results = CounterMetricFamily("tidegate_sockets_results", "What became of signalling sockets", labels=["result"])
        for name in ("opened", "closed", "refused", "joined", "resumed", "errors", "too_much", "not_reading"):
            results.add_metric([name], getattr(stats, name))
        yield results


class EventsCollector(Collector):
    """Reads what tells the outside: an event that is dropped or fails here is missing in the store or at a reader."""

    def __init__(self, recorder: Recorder, bus: EventBus) -> None:
        self._recorder, self._bus = recorder, bus

    def collect(self) -> Iterable[object]:
        lost = CounterMetricFamily("tidegate_events_lost", "Events that the store or readers missed", labels=["where"])
        lost.add_metric(["store_queue_full"], self._recorder.dropped)
        lost.add_metric(["store_failed"], self._recorder.failed)
        lost.add_metric(["bus_full"], self._bus.dropped)
        yield lost
        yield CounterMetricFamily("tidegate_events", "Events published", self._bus.published)
        yield GaugeMetricFamily("tidegate_event_readers", "Open /v2/events streams", self._bus.readers)


class Metrics:
    """The registry of a node."""

    def __init__(
        self, server: MediaServer, signalling: SignallingServer, recorder: Recorder, bus: EventBus, *more: Collector
    ) -> None:
        """`more`: collectors that live beside what they read."""
        self._registry = CollectorRegistry()
        own = (MediaCollector(server), SignallingCollector(signalling), EventsCollector(recorder, bus))
        for collector in (*own, *more):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def render(self) -> tuple[bytes, str]:
        """Body and content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def settle_garbage_collector() -> None:
    """What the start made stays: full collections need not look at it, which keeps their pauses short."""
    gc.collect()
    gc.freeze()


def _by_direction(name: str, words: str, inbound: int, outbound: int) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=["direction"])
    family.add_metric(["in"], inbound)
    family.add_metric(["out"], outbound)
    return family


def _histogram(name: str, words: str, buckets: Buckets) -> HistogramMetricFamily:
    pairs = [(str(bound), count) for bound, count in zip(buckets.bounds, buckets.counts, strict=True)]
    family = HistogramMetricFamily(name, words)
    family.add_metric([], [*pairs, ("+Inf", buckets.total)], buckets.sum)
    return family

