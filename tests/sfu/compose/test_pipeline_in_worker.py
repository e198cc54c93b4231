"""A composition as the node runs it: a worker process, packets over its socket pair, in real time; ended well, and by SIGKILL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sfu.compose import messages
from sfu.compose.boxes import outline
from sfu.compose.finalize import finalize_file
from sfu.compose.probe import probe
from tests.support.composing import beep_times, flash_times
from tests.support.rtp_media import Sender, beeps, flashes, in_order, record_audio, record_video
from tidegate.config.egress import WorkersConfig
from tidegate.workers.supervisor import Supervisor

SECONDS = 4
pytestmark = pytest.mark.slow


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with Supervisor(WorkersConfig(), cores=4) as running:
        yield running


class Run:
    """A composition in a worker, and what it said."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.news = asyncio.Event()
        self.ended = asyncio.Event()

    async def start(self, supervisor: Supervisor, directory: Path) -> None:
        spec = messages.CompositionSpec("CO_1", str(directory), 320, 180, file_format="mp4")
        self.worker = await supervisor.start(
            spec, kind="composition", cost=0.2, on_report=self._take, on_exit=lambda exit: self.ended.set()
        )

    def _take(self, report: Any) -> None:
        self.reports.append(report)
        self.news.set()

    async def wait_for(self, kind: type) -> Any:
        async with asyncio.timeout(60):
            while not (found := [report for report in self.reports if isinstance(report, kind)]):
                self.news.clear()
                await self.news.wait()
        return found[-1]

    async def feed(self, senders: list[Sender]) -> None:
        """Packets at their times."""
        for sender in senders:
            self.worker.send(messages.PersonJoined(sender.participant_id, "Ann"))
            self.worker.send(sender.added())
        for packet in in_order(*senders):
            await asyncio.sleep(max(0.0, packet.sent - time.time()))
            self.worker.link.send_rtp(packet.data)


def film() -> list[Sender]:
    """Begins now."""
    video = record_video(flashes(320, 180, every=1.0), SECONDS)
    audio = record_audio(beeps(every=1.0), SECONDS)
    began = time.time()
    return [Sender("v", "ann", "webcam", video, began, 1), Sender("a", "ann", "mic", audio, began, 2)]


async def test_from_packets_to_a_finished_file(supervisor: Supervisor, tmp_path: Path) -> None:
    run = Run()
    await run.start(supervisor, tmp_path)
    await run.wait_for(messages.Started)
    await run.feed(film())
    run.worker.stop()
    done = await run.wait_for(messages.Done)
    async with asyncio.timeout(60):
        await run.ended.wait()
    path = tmp_path / "recording.mp4"
    assert outline(path).is_fast_start and done.files[0].duration >= SECONDS
    heard, seen = beep_times(path), flash_times(path, 0.5, 0.5)
    assert len(heard) == len(seen) == SECONDS - 1
    assert max(abs(a - b) for a, b in zip(seen, heard, strict=True)) < 0.04
    assert any(report.shown == ("ann",) for report in run.reports if isinstance(report, messages.Progress))


async def test_after_a_kill_the_file_plays_and_can_be_finalised(supervisor: Supervisor, tmp_path: Path) -> None:
    run = Run()
    await run.start(supervisor, tmp_path)
    await run.wait_for(messages.Started)
    await run.feed(film())
    run.worker.kill()
    async with asyncio.timeout(60):
        await run.ended.wait()
    path = tmp_path / "recording.mp4"
    before = probe(path)
    assert before.kind == "audio-video" and before.duration > SECONDS - 2
    after = finalize_file(path)
    assert outline(path).is_fast_start and after.duration == pytest.approx(before.duration, abs=0.6)
    assert len(beep_times(path)) >= SECONDS - 3
