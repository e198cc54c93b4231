"""What Prometheus sees of media workers."""

import pytest
from prometheus_client import CollectorRegistry

from sfu.compose.messages import FinalizeSpec
from tests.support.workers import make_supervisor, start, until
from tidegate.workers.budget import WorkersBusy
from tidegate.workers.metrics import WorkerMetrics


async def test_everything_is_counted():
    async with make_supervisor(max_pipelines=2) as supervisor:
        registry = CollectorRegistry()
        registry.register(WorkerMetrics(supervisor))
        value = registry.get_sample_value
        run, crashing = await start(supervisor), await start(supervisor)
        await until(lambda: run.reports and crashing.reports)
        assert value("tidegate_pipelines", {"kind": "composition", "state": "running"}) == 2
        with pytest.raises(WorkersBusy):
            await start(supervisor)
        for _ in range(3):
            run.worker.link.send_rtp(bytes(100))
            crashing.worker.link.send_rtp(bytes(100))
        crashing.command("abort")
        await crashing.exit()
        crashing.worker.link.send_rtp(bytes(100))
        await until(lambda: run.worker.stats.rss_bytes)
        run.worker.stop()
        assert value("tidegate_pipelines", {"kind": "composition", "state": "stopping"}) == 1
        assert value("tidegate_pipeline_resident_bytes", {"kind": "composition"}) == run.worker.stats.rss_bytes
        assert value("tidegate_pipeline_cpu_cores", {"kind": "composition"}) == run.worker.stats.cpu_share
        await run.exit()
        assert value("tidegate_pipeline_starts_total", {"kind": "composition"}) == 2
        assert value("tidegate_pipeline_ends_total", {"kind": "composition", "reason": "done"}) == 1
        assert value("tidegate_pipeline_ends_total", {"kind": "composition", "reason": "crashed"}) == 1
        assert value("tidegate_pipeline_refusals_total") == 1
        assert value("tidegate_worker_packets_total") == 6
        assert value("tidegate_worker_bytes_total") == 600
        assert value("tidegate_worker_drops_total", {"reason": "full"}) == 0
        assert value("tidegate_worker_rtcp_packets_total") == run.worker.link.stats.rtcp_in + crashing.worker.link.stats.rtcp_in
        assert value("tidegate_worker_flv_bytes_total") == 0
        assert value("tidegate_pipeline_budget_cores") == 7.5
        assert value("tidegate_pipeline_admitted_cores") == 0
        assert value("tidegate_workers_spare") == 0


async def test_restarts_are_counted():
    async with make_supervisor() as supervisor:
        await supervisor.start(
            FinalizeSpec("F", "/", ()), kind="finalize", cost=0.1, on_report=print, on_exit=print, restarted=True
        )
        registry = CollectorRegistry()
        registry.register(WorkerMetrics(supervisor))
        assert registry.get_sample_value("tidegate_pipeline_restarts_total", {"kind": "finalize"}) == 1


async def test_a_spare_counts_when_it_is_ready():
    async with make_supervisor(spare=1) as supervisor:
        registry = CollectorRegistry()
        registry.register(WorkerMetrics(supervisor))
        assert registry.get_sample_value("tidegate_workers_spare") == 0
        await until(lambda: registry.get_sample_value("tidegate_workers_spare") == 1)
