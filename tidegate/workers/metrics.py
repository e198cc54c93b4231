"""`/metrics` of media workers, read from the supervisor at scrape time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from tidegate.workers.supervisor import Supervisor


class WorkerMetrics(Collector):
    """Labels are bounded: kinds are those that the egress names, states and reasons those of `handle.py`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterable[object]:
        supervisor = self._supervisor
        workers = supervisor.workers
        pipelines = GaugeMetricFamily("tidegate_pipelines", "Running pipelines", labels=["kind", "state"])
        for (kind, state), count in Counter((worker.kind, worker.state.value) for worker in workers).items():
            pipelines.add_metric([kind, state], count)
        yield pipelines
        ready = sum(spare.is_ready for spare in supervisor.spares)
        yield GaugeMetricFamily("tidegate_workers_spare", "Media workers that wait for a pipeline, with their libraries loaded", ready)
        cpu = GaugeMetricFamily("tidegate_pipeline_cpu_cores", "Cores that pipelines take", labels=["kind"])
        memory = GaugeMetricFamily("tidegate_pipeline_resident_bytes", "Memory of pipelines", labels=["kind"])
        for kind in sorted({worker.kind for worker in workers}):
            same = [worker.stats for worker in workers if worker.kind == kind]
            cpu.add_metric([kind], sum(stats.cpu_share for stats in same))
            memory.add_metric([kind], sum(stats.rss_bytes for stats in same))
        yield cpu
        yield memory
        yield GaugeMetricFamily("tidegate_pipeline_budget_cores", "Cores that pipelines may take", supervisor.budget.cores)
        yield GaugeMetricFamily(
            "tidegate_pipeline_admitted_cores", "Cores that the budget counts as taken", supervisor.cores_in_use
        )
        yield _by_kind("tidegate_pipeline_starts", "Pipelines started", supervisor.started)
        yield _by_kind("tidegate_pipeline_restarts", "Pipelines begun again after a worker's death", supervisor.restarted)
        ends = CounterMetricFamily("tidegate_pipeline_ends", "How media workers ended", labels=["kind", "reason"])
        for (kind, reason), count in supervisor.exits.items():
            ends.add_metric([kind, reason], count)
        yield ends
        yield CounterMetricFamily("tidegate_pipeline_refusals", "Pipelines refused for want of room", supervisor.refused)
        yield from self._links()

    def _links(self) -> Iterable[object]:
        links = [self._supervisor.past_links, *(worker.link.stats for worker in self._supervisor.workers)]

        def total(name: str) -> int:
            return sum(getattr(stats, name) for stats in links)

        yield CounterMetricFamily("tidegate_worker_packets", "RTP and RTCP packets given to media workers", total("packets"))
        yield CounterMetricFamily("tidegate_worker_bytes", "Bytes of them", total("bytes"))
        yield CounterMetricFamily("tidegate_worker_delayed_packets", "Packets that found a worker behind", total("delayed"))
        drops = CounterMetricFamily("tidegate_worker_drops", "Packets that no worker got", labels=["reason"])
        drops.add_metric(["full"], total("dropped_full"))
        drops.add_metric(["dead"], total("dropped_dead"))
        yield drops
        yield CounterMetricFamily("tidegate_worker_rtcp_packets", "RTCP packets that came from media workers", total("rtcp_in"))
        yield CounterMetricFamily("tidegate_worker_flv_bytes", "Bytes of broadcasts that came from media workers", total("flv_bytes"))


def _by_kind(name: str, words: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, words, labels=["kind"])
    for kind, count in counts.items():
        family.add_metric([kind], count)
    return family
