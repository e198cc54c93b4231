"""The meeting plane alone behind WHIP and WHEP, on free ports of loopback, everybody let in. For tests and benchmarks."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


class WhipSite:
    """`announce` another port to have peers come through a relay."""

    def __init__(self, media: MediaServer, http_port: int) -> None:
        self.media = media
        self.conference = media.conference
        self.http_port = http_port
        self.announce(media.port)

    def announce(self, port: int) -> None:
        """The UDP port of the candidates in the answers from now on."""
        self.conference.context.candidates = host_candidates(["127.0.0.1"], port)

    def url(self, protocol: str, **query: str) -> str:
        """For `protocol` "whip" or "whep"."""
        pairs = "&".join(f"{name}={value}" for name, value in {"roomId": "room", **query}.items())
        return f"http://127.0.0.1:{self.http_port}/v2/{protocol}?{pairs}"


@asynccontextmanager
async def open_whip_site() -> AsyncIterator[WhipSite]:
    clock = WallClock(wall=time.time(), now=time.monotonic())
    dtls = DtlsContext(Certificate.generate(wall=time.time()))
    conference = Conference(SfuConfig(), dtls, random_bytes=os.urandom, wall_clock=clock)
    async with MediaServer(conference, port=0) as media:
        whip = WhipServer(media, _admit, _owns, random_bytes=os.urandom, public_url=lambda r: f"http://{r.host}")
        app = web.Application()
        app.router.add_post("/v2/whip", whip.whip)
        app.router.add_post("/v2/whep", whip.whep)
        for protocol in ("whip", "whep"):
            app.router.add_delete(f"/v2/{protocol}/sessions/{{sessionId}}", whip.delete)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield WhipSite(media, runner.addresses[0][1])
        finally:
            await runner.cleanup()


async def _admit(request: web.Request, room_id: str, participant_id: str | None) -> Admission:
    return Admission(room_id=room_id, grants=Grants.full(), participant_id=participant_id, project_id="p")


async def _owns(request: web.Request, project_id: str | None, room_id: str, participant_id: str) -> bool:
    return True
