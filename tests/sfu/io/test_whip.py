"""WHIP and WHEP by aiortc, over real sockets: what is published is decoded at the other end."""

from __future__ import annotations

import logging
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
from sfu.io.whip import WhipServer, ice_links
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


async def owns(request: web.Request, project_id: str | None, room_id: str, participant_id: str) -> bool:
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
            media, admit, owns, random_bytes=os.urandom, public_url=lambda r: f"http://{r.host}", ice_servers=lambda: [{"urls": ["stun:x.example"]}]
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


async def test_a_player_takes_what_comes_later(site):
    """Audio first, video when the publisher comes back with it; the player keeps its one connection."""
    first = Publisher(site.http, site.whip(participantId="alice"))
    first.publish(ToneTrack())
    player = Player(site.http, site.whep(participantId="bob"))
    second = Publisher(site.http, site.whip(participantId="carol"))
    second.publish(ColourTrack("red"), prefer="VP8")
    try:
        await first.connect()
        await player.connect()
        await player.wait_for("audio", 10)
        await second.connect()
        await player.wait_for("video", 10)
        assert near(player.colour, "red")
    finally:
        for peer in (first, player, second):
            await peer.close()


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_one_kind_alone_is_fine(site, kind):
    publisher = Publisher(site.http, site.whip(participantId="alice"))
    publisher.publish(ToneTrack(), ColourTrack("green"), prefer="VP8")
    player = Player(site.http, site.whep(participantId="bob", remotePeerId="alice"), kinds=(kind,))
    try:
        await publisher.connect()
        await player.connect()
        await player.wait_for(kind, 10)
    finally:
        await publisher.close()
        await player.close()


async def test_delete_ends_the_participant_and_frees_everything(site, caplog):
    caplog.set_level(logging.INFO, "sfu.io.whip")
    publisher = Publisher(site.http, site.whip(participantId="alice"))
    publisher.publish(ToneTrack())
    try:
        await publisher.connect()
        assert "alice" in site.conference.rooms["room"].participants
        assert publisher.response.headers["Link"] == '<stun:x.example>; rel="ice-server"'
        assert await publisher.delete() == 200
        assert site.conference.rooms == {} and site.conference.peers == {}
        assert len(site.conference.table) == 0 and site.conference.tracks == 0
        assert await publisher.delete() == 404
        assert {"participant alice joined room room by WHIP", "participant alice has left"} <= set(caplog.messages)
    finally:
        await publisher.close()


async def test_a_publisher_of_the_same_name_puts_the_first_out(site):
    first, second = (Publisher(site.http, site.whip(participantId="alice")) for _ in range(2))
    first.publish(ToneTrack())
    second.publish(ToneTrack())
    try:
        await first.connect()
        await second.connect()
        assert len(site.conference.rooms["room"].participants) == 1
        assert await first.delete() == 404
        assert await second.delete() == 200
    finally:
        await first.close()
        await second.close()


async def test_patch_trickles_and_restarts_ice(site):
    publisher = Publisher(site.http, site.whip(participantId="alice"))
    publisher.publish(ToneTrack())
    try:
        await publisher.connect()
        etag = publisher.response.headers["ETag"]

        async def patch(body: str, **headers: str):
            headers = {"Content-Type": "application/trickle-ice-sdpfrag", **headers}
            async with site.http.patch(publisher.location, data=body, headers=headers) as response:
                return response.status, response.headers.get("ETag"), await response.text()

        trickle = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n"
        assert (await patch(trickle))[0] == 428
        assert (await patch(trickle, **{"If-Match": '"other"'}))[0] == 412
        assert (await patch("hello", **{"If-Match": etag}))[0] == 400
        assert (await patch(trickle, **{"If-Match": etag}))[0] == 204
        status, new_etag, text = await patch(trickle, **{"If-Match": "*"})
        assert status == 200 and new_etag != etag
        ufrag = text.partition("a=ice-ufrag:")[2].split()[0]
        assert ufrag in site.conference.table.demux.ufrags, "the new credentials are answered"
        assert (await patch(trickle, **{"If-Match": etag}))[0] == 412
        async with site.http.patch(publisher.location, data=trickle, headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 415
    finally:
        await publisher.close()


@pytest.mark.parametrize(
    ("url", "body", "kind", "status"),
    [
        ("whep?roomId=room&remotePeerId=nobody", "v=0\r\n", "application/sdp", 404),
        ("whip?roomId=room", "garbage", "application/sdp", 400),
        ("whip?roomId=room", "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", "application/sdp", 400),
        ("whip?roomId=room", "v=0\r\n", "text/plain", 415),
        ("whip", "v=0\r\n", "application/sdp", 400),
        ("whip?roomId=room", "x" * 70_000, "application/sdp", 413),
    ],
)
async def test_refusals_leave_nothing_behind(site, url, body, kind, status):
    async with site.http.post(f"{site.url}/v2/{url}", data=body, headers={"Content-Type": kind}) as response:
        assert response.status == status, await response.text()
    assert site.conference.peers == {} and len(site.conference.table) == 0


async def test_options_tell_what_is_accepted(site):
    async with site.http.options(f"{site.url}/v2/whip") as response:
        assert response.status == 204
        assert response.headers["Accept-Post"] == "application/sdp"


def test_turn_servers_come_with_their_credentials():
    server = {"urls": "turn:t.example", "username": "u", "credential": "c"}
    assert ice_links([server]) == [
        '<turn:t.example>; rel="ice-server"; username="u"; credential="c"; credential-type="password"'
    ]
