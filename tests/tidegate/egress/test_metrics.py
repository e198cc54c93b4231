"""What /metrics says of jobs."""

from sfu.compose.messages import Progress
from tidegate.egress.metrics import EgressMetrics


def samples(scene):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in EgressMetrics(scene.egress).collect()
        for sample in family.samples  # type: ignore[attr-defined]
    }


async def test_jobs_by_kind_and_state_and_what_their_workers_say(scene):
    row, worker = await scene.recording()
    worker.report(Progress(media_time=3.0, frames=90, dropped=2, lag=0.25, shares={"encode": 0.4}))
    found = samples(scene)
    assert found["tidegate_recordings", "room", "recording"] == 1
    assert found["tidegate_composed_frames", "room-recording"] == 90
    assert found["tidegate_composed_frames_dropped", "room-recording"] == 2
    assert found["tidegate_encoder_lag_seconds", "room-recording"] == 0.25
    assert found["tidegate_pipeline_stage_cores", "room-recording", "encode"] == 0.4
    assert found["tidegate_broadcast_targets", "live"] == 0, "every state is there, so that an alert can name it"
    await scene.egress.stop_recording(row.id)
    worker.finish()
    await scene.ended(row.id)
    found = samples(scene)
    assert ("tidegate_recordings", "room", "recording") not in found
    assert found["tidegate_recorded_bytes_total",] == len(b"fragments")
