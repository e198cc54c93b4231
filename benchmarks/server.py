"""The meeting plane alone behind WHIP and WHEP, everybody let in: what `tidegate serve` costs without the application around it.

    python -m benchmarks.server      # prints its HTTP port, ends with SIGTERM; TIDEGATE_PROFILE=FILE writes a cProfile
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import signal
import time

from aiohttp import web

from media.clock import WallClock
from sfu.conference import Conference
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.ice.candidate import host_candidates
from sfu.io.signalling_ports import Admission
from sfu.io.udp import MediaServer
from sfu.io.whip import WhipServer
from sfu.meeting.permissions import Grants


async def admit(request: web.Request, room_id: str, participant_id: str | None) -> Admission:
    return Admission(room_id=room_id, grants=Grants.full(), participant_id=participant_id, project_id="p")


async def owns(request: web.Request, project_id: str | None, participant_id: str) -> bool:
    return True


async def serve() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = WallClock(wall=time.time(), now=time.monotonic())
    dtls = DtlsContext(Certificate.generate(wall=time.time()))
    conference = Conference(SfuConfig(), dtls, random_bytes=os.urandom, wall_clock=clock)
    async with MediaServer(conference, port=0) as media:
        conference.context.candidates = host_candidates(["127.0.0.1"], media.port)
        whip = WhipServer(media, admit, owns, random_bytes=os.urandom, public_url=lambda r: f"http://{r.host}")
        app = web.Application()
        app.router.add_post("/v2/whip", whip.whip)
        app.router.add_post("/v2/whep", whip.whep)
        for protocol in ("whip", "whep"):
            app.router.add_delete(f"/v2/{protocol}/sessions/{{sessionId}}", whip.delete)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await stop.wait()
        await runner.cleanup()
        print({reason.value: n for reason, n in conference.drops.counts.items() if n}, media.sender.datagrams, media.sender.calls)


def main() -> None:
    path = os.environ.get("TIDEGATE_PROFILE")
    profile = cProfile.Profile() if path else None
    import uvloop

    if profile is not None:
        profile.enable()
    uvloop.run(serve())
    if profile is not None:
        profile.disable()
        profile.dump_stats(path)


if __name__ == "__main__":
    main()
