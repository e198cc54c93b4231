"""`/metrics` of webhooks, read from the deliverer at scrape time."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate.events.deliver import Deliverer

RESULTS = ("delivered", "failed", "dead")


class WebhookMetrics(Collector):
    def __init__(self, deliverer: Deliverer) -> None:
        self._deliverer = deliverer

    def collect(self) -> Iterable[object]:
        deliverer = self._deliverer
        results = CounterMetricFamily(
            "tidegate_webhooks", "Attempts that succeeded and failed, and deliveries that were given up", labels=["result"]
        )
        for result in RESULTS:
            results.add_metric([result], deliverer.results[result])
        yield results
        yield GaugeMetricFamily("tidegate_webhooks_sending", "Attempts under way", deliverer.under_way)
        yield GaugeMetricFamily("tidegate_webhooks_waiting", "Deliveries that wait to be tried or tried again", deliverer.waiting)
        yield GaugeMetricFamily(
            "tidegate_webhooks_oldest_seconds", "Since when the oldest of them waits", deliverer.oldest_seconds
        )
        yield GaugeMetricFamily(
            "tidegate_webhook_endpoints_paused", "Endpoints that get a probe at a time", deliverer.endpoints.paused
        )
