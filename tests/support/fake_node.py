"""A node's process that starts one worker with the fake pipeline and says the worker's pid: to be killed by a test."""

from __future__ import annotations

import asyncio
import sys

from sfu.compose import messages
from tests.support.workers import make_supervisor, start


async def main(directory: str, *commands: str) -> None:
    async with make_supervisor(spare=1) as supervisor:
        run = await start(supervisor, directory=directory)
        for _ in range(5):
            run.worker.link.send_rtp(b"\x80" * 100)
        while len(run.rtcp) < 5:  # noqa: ASYNC110 - the packets tell nobody
            await asyncio.sleep(0.01)
        for command in commands:
            run.worker.send(messages.PersonJoined("PA_1", command))
        print(run.worker.pid, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
