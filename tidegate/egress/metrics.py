"""`/metrics` of what leaves meetings, read from the jobs at scrape time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rtmp.io.broadcaster import TargetPhase
from tidegate.egress.service import Egress


class EgressMetrics(Collector):
    """Labels are bounded: kinds and states of our own tables."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    def collect(self) -> Iterable[object]:
        book = self._egress.book
        recordings = GaugeMetricFamily("tidegate_recordings", "Recordings that have not ended", labels=["kind", "state"])
        for (kind, state), count in Counter((job.row.kind, job.state) for job in book.recordings.values()).items():
            recordings.add_metric([kind, state], count)
        yield recordings
        broadcasts = GaugeMetricFamily("tidegate_broadcasts", "Broadcasts that have not ended", labels=["state"])
        for state, count in Counter(job.state for job in book.broadcasts.values()).items():
            broadcasts.add_metric([state], count)
        yield broadcasts
        targets = GaugeMetricFamily("tidegate_broadcast_targets", "RTMP targets by state", labels=["state"])
        phases = Counter(state.state for job in book.broadcasts.values() for state in job.broadcaster.states())
        for phase in TargetPhase:
            targets.add_metric([phase.value], phases[phase])
        yield targets
        yield GaugeMetricFamily("tidegate_merges", "Transcodings that have not ended", self._egress.merges.count)
        yield CounterMetricFamily("tidegate_recorded_bytes", "Bytes of finished recordings", self._egress.plane.bytes_recorded)
        yield from self._pipelines()

    def _pipelines(self) -> Iterable[object]:
        """What workers say of themselves each second."""
        lag = GaugeMetricFamily("tidegate_encoder_lag_seconds", "How far the slowest encoder is behind the clock", labels=["kind"])
        frames = GaugeMetricFamily("tidegate_composed_frames", "Frames composed by running pipelines", labels=["kind"])
        dropped = GaugeMetricFamily("tidegate_composed_frames_dropped", "Frames left out by running pipelines", labels=["kind"])
        shares = GaugeMetricFamily("tidegate_pipeline_stage_cores", "Cores of each stage", labels=["kind", "stage"])
        running = [(run.what.kind, run.progress) for run in self._egress.book.runs if run.progress is not None]
        for kind in sorted({kind for kind, _ in running}):
            reports = [progress for its, progress in running if its == kind]
            lag.add_metric([kind], max(report.lag for report in reports))
            frames.add_metric([kind], sum(report.frames for report in reports))
            dropped.add_metric([kind], sum(report.dropped for report in reports))
            stages: Counter[str] = Counter()
            for report in reports:
                stages.update(report.shares)  # type: ignore[arg-type]
            for stage, share in stages.items():
                shares.add_metric([kind, stage], share)
        yield from (lag, frames, dropped, shares)
