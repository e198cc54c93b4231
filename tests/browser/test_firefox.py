"""The same call between Chromium and Firefox."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect

from tests.support.browser import chromium, firefox, media, wait_until
from tests.support.meeting_page import expect_people, join, new_room, tile

SECONDS = 10
SEES_THE_OTHER = "document.querySelector('.tile:not(.local) video')?.videoWidth > 0"


async def test_firefox_and_chromium_see_and_hear_each_other(server):
    async with chromium() as browser, firefox() as fox:
        address = await new_room(browser, server.url)
        ada = await join(browser, address, "Ada")
        await fox.goto(address)
        await fox.fill("#name", "Fox")
        await fox.click("#join")
        await expect_people(ada.page, 2)
        await wait_until(ada.page, SEES_THE_OTHER)
        await wait_until(fox, SEES_THE_OTHER)
        pages = [ada.page, fox]
        before = [await media(page) for page in pages]
        await asyncio.sleep(SECONDS)  # the measurement itself
        after = [await media(page) for page in pages]
        for sender, receiver in ((0, 1), (1, 0)):
            sent = after[sender]["sentFrames"] - before[sender]["sentFrames"]
            decoded = after[receiver]["receivedFrames"] - before[receiver]["receivedFrames"]
            assert sent >= 100
            assert decoded >= 0.9 * sent
            assert after[receiver]["received"][0]["width"] == after[sender]["sentWidth"]
            assert after[receiver]["receivedAudioEnergy"] > before[receiver]["receivedAudioEnergy"]
        await fox.click("#mic")
        await expect(tile(ada.page, "Fox")).to_have_attribute("aria-label", "Fox, microphone off")
        await fox.click("#cam")
        await expect(tile(ada.page, "Fox")).to_have_attribute("aria-label", "Fox, microphone off, camera off")
        await fox.click("#cam")
        await expect(tile(ada.page, "Fox")).to_have_attribute("aria-label", "Fox, microphone off")
        await fox.close()
        await expect_people(ada.page, 1)
        assert await ada.page.evaluate("testViolations") == []
