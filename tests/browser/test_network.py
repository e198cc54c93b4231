"""Calls over a real network's faults: `network.py`'s seeded model as a UDP relay between a real browser and the node.

Ada's media go through the relay on both ways, Bob's do not: from Ada to Bob the node asks for what is lost, from Bob to Ada
it answers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path as FilePath

import aiohttp
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import ENV, TIDEGATE
from tests.support.browser import READ_MEDIA, Watched, chromium, expect_frames, media, wait_until
from tests.support.meeting_page import expect_people, join, new_room, tile
from tests.support.network import Path
from tests.support.relay import UdpRelay
from tests.support.serving import RunningServer, start_server

SECONDS = 10
CUT = Path(loss=1.0)
NOBODY_THERE = "Ada, microphone off, camera off"
SEES_THE_OTHER = "document.querySelector('.tile:not(.local) video')?.videoWidth > 0"

# Leaves 127.0.0.1 of the server's candidates and sends it through the relay's port.
THROUGH = """(() => {
  const { prototype } = RTCPeerConnection;
  const set = prototype.setRemoteDescription;
  prototype.setRemoteDescription = function ({ type, sdp }) {
    const lines = sdp.split("\\r\\n").filter((line) => !line.startsWith("a=candidate:") || line.includes(" 127.0.0.1 "));
    const port = (line) => line.replace(/^(a=candidate:\\S+ \\d+ udp \\d+ \\S+) \\d+/i, "$1 PORT");
    return set.call(this, { type, sdp: lines.map(port).join("\\r\\n") });
  };
})()"""

# Keeps the sockets; to the page, one that is closed has dropped.
SOCKETS = """(() => {
  window.testSockets = [];
  window.WebSocket = new Proxy(WebSocket, {
    construct(target, args) {
      const socket = new target(...args);
      socket.addEventListener("close", (event) => {
        if (!event.isTrusted) return;
        event.stopImmediatePropagation();
        socket.dispatchEvent(new CloseEvent("close", { code: 1006 }));
      });
      window.testSockets.push(socket);
      return socket;
    },
  });
})();
"""

FIRST_CODEC = """(() => {
  const { prototype } = RTCPeerConnection;
  const add = prototype.addTransceiver;
  prototype.addTransceiver = function (track, init) {
    const transceiver = add.call(this, track, init);
    if (track.kind === "video") {
      const { codecs } = RTCRtpSender.getCapabilities("video");
      transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType === "CODEC" || mimeType === "video/rtx"));
    }
    return transceiver;
  };
})()"""

VIDEO = """(async (type) => {
  for (const peer of window.testPeers.filter(({ connectionState }) => connectionState !== "closed")) {
    const reports = await peer.getStats();
    for (const report of reports.values()) {
      if (report.type !== type || report.kind !== "video") continue;
      const { targetBitrate, frameWidth, freezeCount, totalFreezesDuration, framesDecoded } = report;
      const codec = reports.get(report.codecId)?.mimeType;
      return { codec, targetBitrate, frameWidth, freezeCount, totalFreezesDuration, framesDecoded };
    }
  }
  return {};
})"""
TARGET = f"({VIDEO}('outbound-rtp').then((sent) => sent.targetBitrate))"


async def video(page: Page, what: str) -> dict:
    return await page.evaluate(f"{VIDEO}('{what}')")


async def metrics(server: RunningServer) -> dict[str, float]:
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/metrics") as answer:
        return {name: float(value) for name, value in re.findall(r"^(tidegate_\S+) (\S+)$", await answer.text(), re.MULTILINE)}


def node_of(server: RunningServer) -> tuple[str, int]:
    found = re.search(r"UDP (\d+)", server.wait_for_line("Media"))
    assert found
    return "127.0.0.1", int(found[1])


@asynccontextmanager
async def call_through(
    server: RunningServer,
    *,
    path: Path = Path(),  # noqa: B008, frozen
    script: str = "",
) -> AsyncIterator[tuple[Page, Page, UdpRelay]]:
    """Ada behind a relay and Bob without one, who see each other."""
    async with UdpRelay(node_of(server), up=path, down=path, seed=11) as relay, chromium() as browser:
        people = await two_people(browser, server, script + THROUGH.replace("PORT", str(relay.port)))
        yield people[0].page, people[1].page, relay
        people[0].errors = [error for error in people[0].errors if "ERR_INTERNET_DISCONNECTED" not in error]
        for watched in people:
            await watched.assert_clean()


async def two_people(browser: Browser, server: RunningServer, script: str) -> tuple[Watched, Watched]:
    address = await new_room(browser, server.url)
    ada, bob = await join(browser, address, "Ada", init_script=script), await join(browser, address, "Bob")
    for watched in (ada, bob):
        await expect_people(watched.page, 2)
        await wait_until(watched.page, SEES_THE_OTHER)
    return ada, bob


async def test_what_a_lossy_path_loses_is_sent_again(server):
    path = Path(loss=0.05, delay=0.02, jitter=0.01, reorder=0.02)
    async with call_through(server, path=path) as (ada, bob, relay):
        pages = [ada, bob]
        before, frozen = [await media(page) for page in pages], [await video(page, "inbound-rtp") for page in pages]
        counted = await metrics(server)
        await asyncio.sleep(SECONDS)  # the measurement itself: what comes through in this time
        after, later = [await media(page) for page in pages], [await video(page, "inbound-rtp") for page in pages]
        for sender, receiver in ((0, 1), (1, 0)):
            sent = after[sender]["sentFrames"] - before[sender]["sentFrames"]
            decoded = after[receiver]["receivedFrames"] - before[receiver]["receivedFrames"]
            assert sent >= 100
            assert decoded >= 0.9 * sent
            assert later[receiver]["totalFreezesDuration"] - frozen[receiver]["totalFreezesDuration"] < 0.2 * SECONDS
            assert after[receiver]["receivedAudioEnergy"] > before[receiver]["receivedAudioEnergy"]
        lost_up, lost_down = relay.lost
        assert lost_up > 50 and lost_down > 50
        counts = await metrics(server)
        for name in ("nack_packets", "rtx_packets"):
            for direction in ("in", "out"):
                key = f'tidegate_{name}_total{{direction="{direction}"}}'
                assert counts[key] - counted[key] > 20, key


async def test_a_camera_is_sent_at_its_full_size_from_the_first_picture(server):
    async with chromium() as browser:
        ada = (await join(browser, await new_room(browser, server.url), "Ada")).page
        await wait_until(ada, f"(await {VIDEO}('outbound-rtp')).frameWidth")
        assert (await video(ada, "outbound-rtp"))["frameWidth"] == 1280


async def test_a_narrow_path_makes_the_sender_send_less_and_a_wide_one_more_again(server):
    async with call_through(server) as (ada, bob, relay):
        await wait_until(ada, f"await {TARGET} > 1_000_000")
        relay.impair(up=Path(rate_bps=600_000, queue_bytes=40_000, delay=0.01))
        await wait_until(ada, f"await {TARGET} < 600_000")
        await expect_frames(bob, 30)
        relay.impair(up=Path(delay=0.01))
        await wait_until(ada, f"await {TARGET} > 1_000_000")


async def test_a_path_cut_for_some_seconds_goes_on_with_the_same_connections(server):
    async with call_through(server) as (ada, bob, relay):
        peers = await ada.evaluate("testPeers.length")
        relay.impair(up=CUT, down=CUT)
        await expect(ada.locator("#call")).to_have_attribute("data-state", "RECONNECTING")
        relay.impair(up=Path(), down=Path())
        for page in (ada, bob):
            await expect_frames(page)
            await expect(page.locator("#call")).to_have_attribute("data-state", "CONNECTED")
            await expect_people(page, 2)
        assert await ada.evaluate("testPeers.length") == peers


async def test_a_client_that_comes_from_another_address_goes_on(server):
    async with call_through(server) as (ada, bob, relay):
        peers, before = await ada.evaluate("testPeers.length"), relay.forwarded
        await relay.move()
        for page in (ada, bob):
            await expect_frames(page, 60)
        assert await ada.evaluate("testPeers.length") == peers
        assert all(now > then for now, then in zip(relay.forwarded, before, strict=True))


@pytest.fixture
def forgetful_server(tmp_path: FilePath) -> Iterator[RunningServer]:
    """It gives up silent peers and handshakes quickly."""
    times = {"TIDEGATE_SFU_PEER_TIMEOUT": "4", "TIDEGATE_SFU_HANDSHAKE_TIMEOUT": "5"}
    with start_server(TIDEGATE, tmp_path, env=ENV | times) as running:
        yield running


async def test_connections_that_the_server_has_forgotten_are_made_anew(forgetful_server):
    async with call_through(forgetful_server) as (ada, bob, relay):
        old = await ada.evaluate("testPeers.length")
        relay.impair(up=CUT, down=CUT)
        # Gone for Bob, but for the name: nobody's picture stands still.
        await expect(tile(bob, "Ada")).to_have_attribute("aria-label", NOBODY_THERE)
        await expect_people(bob, 2)
        # New connections are made over the path that is still cut, and given up too.
        await wait_until(ada, f"testPeers.length >= {old + 3}")
        relay.impair(up=Path(), down=Path())
        await expect_the_call(ada, bob)


async def test_signalling_and_media_that_were_away_together_come_back_together(forgetful_server):
    async with call_through(forgetful_server, script=SOCKETS) as (ada, bob, relay):
        relay.impair(up=CUT, down=CUT)
        await ada.context.set_offline(True)  # no new socket, but the one there is lives on
        await ada.evaluate("testSockets.at(-1).close(4000)")
        await expect(tile(bob, "Ada")).to_have_attribute("aria-label", f"{NOBODY_THERE}, connection lost")
        relay.impair(up=Path(), down=Path())
        await ada.context.set_offline(False)
        await wait_until(ada, "testSockets.at(-1).readyState === WebSocket.OPEN")
        await expect_the_call(ada, bob)
        await expect(bob.get_by_role("status").filter(has_text="Ada left")).to_have_count(0)


async def expect_the_call(ada: Page, bob: Page) -> None:
    """Both see and hear each other, over two connections each, and nobody twice."""
    await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada")
    await expect(ada.locator("#call")).to_have_attribute("data-state", "CONNECTED")
    for page in (ada, bob):
        await wait_until(page, f"(await {VIDEO}('inbound-rtp')).framesDecoded > 0")
        await expect_frames(page)
        await expect(page.locator(".tile")).to_have_count(2)
        heard = (await media(page))["receivedAudioEnergy"]
        await wait_until(page, f"(await {READ_MEDIA}).receivedAudioEnergy > {heard}")
        assert await page.evaluate("testPeers.filter(({ connectionState }) => connectionState !== 'closed').length") == 2


@pytest.mark.parametrize("codec", ["video/H264", "video/VP9", "video/AV1"])
async def test_a_camera_in_another_codec_arrives_at_its_size(server, codec):
    async with chromium() as browser:
        ada, bob = [each.page for each in await two_people(browser, server, FIRST_CODEC.replace("CODEC", codec))]
        await expect_frames(bob, 30)
        sent, received = await video(ada, "outbound-rtp"), await video(bob, "inbound-rtp")
        assert (received["codec"], received["frameWidth"]) == (codec, sent["frameWidth"])
