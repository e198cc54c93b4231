"""The meeting plane alone behind WHIP and WHEP, everybody let in: what `tidegate serve` costs without the application around it.

    python -m benchmarks.server      # prints its HTTP port, ends with SIGTERM; TIDEGATE_PROFILE=FILE writes a cProfile
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import signal

import uvloop

from tests.support.whip_site import open_whip_site


async def serve() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_whip_site() as site:
        print(site.http_port, flush=True)
        await stop.wait()
        sender, drops = site.media.sender, site.conference.drops
        print(f"sent {sender.datagrams} datagrams in {sender.calls} calls", {r.value: n for r, n in drops.counts.items() if n})


def main() -> None:
    path = os.environ.get("TIDEGATE_PROFILE")
    if not path:
        uvloop.run(serve())
        return
    with cProfile.Profile() as profile:
        uvloop.run(serve())
    profile.dump_stats(path)


if __name__ == "__main__":
    main()
