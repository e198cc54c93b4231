"""WHIP and WHEP beside the SDK: an aiortc participant and a page of the app, in one meeting, see and hear each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

from playwright.async_api import Page

from tests.support.aiortc_peer import ColourTrack, HttpPeer, Player, Publisher, ToneTrack
from tests.support.app_page import join, open_app, receives_media, told
from tests.support.arrows import arrow
from tests.support.browser import chromium, media

FRAMES = 60  # two seconds of pictures
SOUNDS = 100  # two seconds of packets; the fake microphone beeps once a second

# The middle of somebody's picture, as the page shows it: [red, green, blue].
MIDDLE = """(id) => {
  const video = document.querySelector(`#tile-${id} video`);
  const canvas = Object.assign(document.createElement("canvas"), { width: 3, height: 3 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 3, 3);
  return [...context.getImageData(1, 1, 1, 1).data].slice(0, 3);
}"""


@asynccontextmanager
async def closing(peer: HttpPeer) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await peer.close()


async def own_id(page: Page, name: str) -> str:
    tile_id = await page.locator("#tiles figure").filter(has_text=name).get_attribute("id")
    assert tile_id
    return tile_id.removeprefix("tile-")


async def test_an_aiortc_participant_and_a_page_see_and_hear_each_other(tidegate, app_server, http):
    async with chromium() as browser, http.get(f"{app_server.url}/get-token") as answer:
        token = (await answer.json())["token"]
        ada = await open_app(browser, app_server.url)
        await join(ada.page, "Ada")
        room_id = await ada.page.locator("#joined-id").text_content()

        query = urlencode({"roomId": room_id, "participantId": "camera", "displayName": "Camera"})
        publisher = Publisher(http, f"{tidegate.url}/v2/whip?{query}", token)
        query = urlencode({"roomId": room_id, "remotePeerId": await own_id(ada.page, "Ada")})
        player = Player(http, f"{tidegate.url}/v2/whep?{query}", token)
        async with closing(publisher), closing(player):
            with arrow("WHIP: aiortc joins and publishes"):
                publisher.publish(ColourTrack("green"), ToneTrack())
                await publisher.connect()
                await told(ada.page, "Camera joined")
            with arrow("WHIP: Chromium decodes what aiortc sends"):
                await receives_media(ada.page)
                assert [received["width"] for received in (await media(ada.page))["received"]] == [320]
                red, green, blue = await ada.page.evaluate(MIDDLE, "camera")
                assert green > 200 and red < 60 and blue < 60
            with arrow("WHEP: aiortc decodes what Chromium sends"):
                await player.connect()
                await player.wait_for("video", FRAMES)
                await player.wait_for("audio", SOUNDS)
                assert player.size[0] == (await media(ada.page))["sentWidth"]
                assert player.energy > 0
            with arrow("WHIP: aiortc leaves, and the page sees it"):
                assert await publisher.delete() == 200
                await told(ada.page, "Camera left")
        await ada.assert_clean()
