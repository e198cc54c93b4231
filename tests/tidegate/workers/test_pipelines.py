"""The real child with the real pipelines: each begins, ends well, and leaves files that open. What is in them is `tests/sfu/compose`'s."""

import os
import signal
import sys

import av
import pytest

from sfu.compose import messages
from tests.support.workers import make_supervisor, until
from tidegate.workers.process import WORKER_COMMAND
from tidegate.workers.supervisor import Supervisor

pytestmark = pytest.mark.slow


@pytest.fixture
async def supervisor():
    async with make_supervisor(command=WORKER_COMMAND) as supervisor:
        yield supervisor


class Job:
    """A pipeline with its reports."""

    def __init__(self) -> None:
        self.reports = []

    @classmethod
    async def start(cls, supervisor: Supervisor, spec) -> "Job":
        job = cls()
        job.worker = await supervisor.start(
            spec, kind="test", cost=0.1, on_report=job.reports.append, on_exit=lambda exit: None
        )
        return job

    def first(self, kind: type):
        return next((report for report in self.reports if isinstance(report, kind)), None)

    async def end(self) -> messages.Done:
        exit = await self.worker.wait()
        assert exit.reason == "done", exit
        return self.first(messages.Done)


def duration(path) -> float:
    with av.open(str(path)) as container:
        return float(sum(1 for _ in container.decode(video=0)) / container.streams.video[0].average_rate)


def composition(directory) -> messages.CompositionSpec:
    return messages.CompositionSpec("RC_1", str(directory), 320, 180, 25, file_format="mp4", playout_delay=0.1)


async def test_a_composition_ends_in_a_file_that_plays(supervisor, tmp_path):
    job = await Job.start(supervisor, composition(tmp_path))
    job.worker.send(messages.PersonJoined("PA_1", "Ärger 日本"))
    await until(lambda: job.first(messages.Progress))
    job.worker.stop()
    (file,) = (await job.end()).files
    assert file.kind == "audio-video" and file.size == (tmp_path / file.name).stat().st_size
    assert duration(tmp_path / file.name) == pytest.approx(file.duration, abs=0.1)


async def test_what_a_killed_composition_left_is_finalised_and_merged(supervisor, tmp_path):
    job = await Job.start(supervisor, composition(tmp_path))
    await until(lambda: getattr(job.reports[-1] if job.reports else None, "media_time", 0) > 1.5)
    os.kill(job.worker.pid, signal.SIGKILL)
    assert (await job.worker.wait()).reason == "crashed"
    name = job.first(messages.FileOpened).name
    job = await Job.start(supervisor, messages.FinalizeSpec("F_1", str(tmp_path), (name,)))
    (whole,) = (await job.end()).files
    seconds = duration(tmp_path / whole.name)
    assert seconds > 0.5
    inputs = (messages.MergeInput(str(tmp_path / whole.name)),) * 2
    place = tmp_path / "merged"
    place.mkdir()
    job = await Job.start(supervisor, messages.MergeSpec("M_1", str(place), "concat", inputs))
    (merged,) = (await job.end()).files
    assert duration(place / merged.name) == pytest.approx(2 * seconds, abs=0.3)


async def test_a_recording_of_nothing_ends_too(supervisor, tmp_path):
    job = await Job.start(supervisor, messages.TrackFileSpec("RC_2", str(tmp_path)))
    await until(lambda: job.worker.stats.rss_bytes)
    job.worker.stop()
    assert (await job.end()).files == ()


async def test_a_spec_that_no_pipeline_takes_is_a_failure_in_words(supervisor, tmp_path):
    scene = messages.Scene(layout={"type": "SPIRAL"})
    job = await Job.start(supervisor, messages.CompositionSpec("RC_3", str(tmp_path), 320, 180, scene=scene))
    exit = await job.worker.wait()
    assert exit.reason == "failed" and str(tmp_path) not in exit.text


async def test_ffmpegs_words_reach_the_log(tmp_path, caplog):
    script = tmp_path / "noisy.py"
    script.write_text(
        "import sys\n"
        "from tidegate.workers import worker\n"
        "def factory(spec, flv_fd):\n"
        "    import av\n"
        "    decoder = av.CodecContext.create('h264', 'r')\n"
        "    decoder.decode(av.Packet(bytes(3) + b'\\x01\\x65' + b'\\xff' * 50))\n"
        "sys.exit(worker.run(factory))\n"
    )
    async with make_supervisor(command=(sys.executable, "-P", str(script))) as supervisor:
        job = await Job.start(supervisor, composition(tmp_path))
        await job.worker.wait()
    noise = [record for record in caplog.records if "[h264 @" in record.getMessage()]
    assert noise and {record.pipeline for record in noise} == {"RC_1"}
