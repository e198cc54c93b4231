"""`/metrics` of the disk that pipelines write to, as its guard saw it last."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate.storage.guard import DiskGuard


class DiskMetrics(Collector):
    def __init__(self, guard: DiskGuard) -> None:
        self._guard = guard

    def collect(self) -> Iterable[object]:
        guard = self._guard
        free = GaugeMetricFamily("tidegate_disk_free_bytes", "Free on the fullest disk that recordings are written to")
        if guard.free is not None:  # nothing has looked yet
            free.add_metric([], guard.free)
        yield free
        yield GaugeMetricFamily("tidegate_disk_reserve_bytes", "With less free than this recordings are ended", guard.min_free)
