"""A supervisor whose workers run `fake_worker.py`, and one started worker with what came of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfu.compose import messages
from tidegate.config.egress import WorkersConfig
from tidegate.workers.supervisor import Exit, Supervisor, Worker

FAKE = (sys.executable, "-P", str(Path(__file__).with_name("fake_worker.py")))
DEADLINE = 30.0  # seconds for what takes milliseconds on an idle machine


def make_supervisor(*, command: tuple[str, ...] = FAKE, cores: float | None = 8.0, **config: Any) -> Supervisor:
    return Supervisor(WorkersConfig(**({"spare": 0} | config)), cores=cores, command=command)


async def until(condition: Callable[[], Any], what: str = "") -> None:
    """Wait until it holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)


@dataclass
class Run:
    """One pipeline and everything that was heard of it, in order."""

    worker: Worker = field(init=False)
    reports: list[Any] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    rtcp: list[bytes] = field(default_factory=list)
    flv: bytearray = field(default_factory=bytearray)

    def command(self, name: str) -> None:
        """Let the fake pipeline do that."""
        self.worker.send(messages.PersonJoined("PA_1", name))

    def texts(self) -> list[str]:
        return [report.text for report in self.reports if isinstance(report, messages.Warned)]

    async def heard(self, text: str) -> None:
        await until(lambda: any(text in line for line in self.texts()), text)

    async def exit(self) -> Exit:
        async with asyncio.timeout(DEADLINE):
            return await self.worker.wait()


async def start(supervisor: Supervisor, *, id: str = "RC_1", directory: str = "/", flv: bool = True, cost: float = 0.5) -> Run:
    run = Run()
    spec = messages.CompositionSpec(id, directory, 640, 360, flv=flv)
    run.worker = await supervisor.start(
        spec, kind="composition", cost=cost, on_report=run.reports.append, on_exit=run.exits.append,
        on_rtcp=run.rtcp.append, on_flv=run.flv.extend if flv else None,
    )  # fmt: skip
    return run
