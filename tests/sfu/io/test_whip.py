"""WHIP and WHEP by aiortc, over real sockets: what is published is decoded at the other end."""

from __future__ import annotations

import os
import time

import aiohttp
import pytest
from aiohttp import web

from media.clock import WallClock
from media.errors import PeerError
from sfu.conference import Conference
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.ice.candidate import host_candidates
from sfu.io.signalling_ports import Admission
from sfu.io.udp import MediaServer
from sfu.io.whip import WhipServer
from sfu.meeting.permissions import Grants
from tests.support.aiortc_peer import COLOURS, ColourTrack, Player, Publisher, ToneTrack


class Site:
    """A media server with WHIP and WHEP in front, and everybody let in."""

    def __init__(self, media: MediaServer, url: str, http: aiohttp.ClientSession) -> None:
        self.media, self.url, self.http = media, url, http
        self.conference = media.conference

    def whip(self, **query: str) -> str:
        return self._url("whip", query)

    def whep(self, **query: str) -> str:
        return self._url("whep", query)

    def _url(self, protocol: str, query: dict[str, str]) -> str:
        pairs = "&".join(f"{k}={v}" for k, v in {"roomId": "room", **query}.items())
        return f"{self.url}/v2/{protocol}?{pairs}"


async def admit(request: web.Request, room_id: str, participant_id: str | None) -> Admission:
    return Admission(room_id=room_id, grants=Grants.full(), participant_id=participant_id, project_id="p")


async def owns(request: web.Request, project_id: str | None, participant_id: str) -> bool:
    return True


@pytest.fixture
async def site():
    clock = WallClock(wall=time.time(), now=time.monotonic())
    conference = Conference(
        SfuConfig(), DtlsContext(Certificate.generate(wall=time.time())), random_bytes=os.urandom, wall_clock=clock
    )
    async with MediaServer(conference, port=0) as media, aiohttp.ClientSession() as http:
        conference.context.candidates = host_candidates(["127.0.0.1"], media.port)
        server = WhipServer(
            media, admit, owns, random_bytes=os.urandom, public_url=lambda r: f"http://{r.host}", ice_servers=("stun:x.example",)
        )

        @web.middleware
        async def errors(request, handler):
            try:
                return await handler(request)
            except PeerError as error:
                return web.Response(status=400, text=str(error))

        app = web.Application(middlewares=[errors])
        app.router.add_post("/v2/whip", server.whip)
        app.router.add_post("/v2/whep", server.whep)
        app.router.add_options("/v2/whip", server.options)
        for protocol in ("whip", "whep"):
            app.router.add_patch(f"/v2/{protocol}/sessions/{{sessionId}}", server.patch)
            app.router.add_delete(f"/v2/{protocol}/sessions/{{sessionId}}", server.delete)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Site(media, f"http://127.0.0.1:{runner.addresses[0][1]}", http)
        await runner.cleanup()


def near(found: tuple[int, ...], colour: str) -> bool:
    return all(abs(a - b) < 16 for a, b in zip(found, COLOURS[colour], strict=True))


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_what_whip_publishes_whep_decodes(site, codec):
    publisher = Publisher(site.http, site.whip(participantId="alice"))
    publisher.publish(ColourTrack("green"), ToneTrack(), prefer=codec)
    player = Player(site.http, site.whep(participantId="bob", remotePeerId="alice"))
    try:
        await publisher.connect()
        await player.connect()
        await player.wait_for("video", 20)
        await player.wait_for("audio", 20)
        assert player.size == (320, 240)
        assert near(player.colour, "green"), player.colour
        assert player.energy / player.frames["audio"] > 500
    finally:
        await publisher.close()
        await player.close()
