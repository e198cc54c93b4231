"""Calls between real Chromium pages through the real page and the real server, told by their frames and sound."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect

from tests.support.browser import chromium, expect_frames, media, wait_until
from tests.support.meeting_page import expect_people, join, new_room, tile

SECONDS = 10


async def test_two_people_see_and_hear_each_other(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        pages = [await join(browser, address, "Ada"), await join(browser, address, "Bob")]
        for watched in pages:
            await expect_people(watched.page, 2)
            await wait_until(watched.page, "[...document.querySelectorAll('.tile:not(.local) video')].every((v) => v.videoWidth > 0)")
        before = [await media(watched.page) for watched in pages]
        await asyncio.sleep(SECONDS)  # the measurement itself: what comes through in this time
        after = [await media(watched.page) for watched in pages]
        for sender, receiver in ((0, 1), (1, 0)):
            sent = after[sender]["sentFrames"] - before[sender]["sentFrames"]
            decoded = after[receiver]["receivedFrames"] - before[receiver]["receivedFrames"]
            assert sent >= 100
            assert decoded >= 0.9 * sent
            assert after[receiver]["received"][0]["width"] == after[sender]["sentWidth"]
            assert after[receiver]["receivedAudioEnergy"] > before[receiver]["receivedAudioEnergy"]
        for watched in pages:
            await watched.assert_clean()


async def test_muting_shows_and_holds_back_what_is_muted(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada, bob = (await join(browser, address, "Ada")).page, (await join(browser, address, "Bob")).page
        await wait_until(bob, "document.querySelector('.tile:not(.local) video')?.videoWidth > 0")
        await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada")
        await ada.get_by_role("button", name="Turn microphone off").click()
        await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada, microphone off")
        await ada.get_by_role("button", name="Turn camera off").click()
        await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada, microphone off, camera off")
        await expect(tile(bob, "Ada").locator(".initials")).to_be_visible()
        held = await media(bob)
        await asyncio.sleep(2)  # the measurement: nothing may come in this time
        still = await media(bob)
        assert still["receivedFrames"] - held["receivedFrames"] <= 3  # what was on its way
        assert still["receivedAudioPackets"] - held["receivedAudioPackets"] <= 5
        await ada.get_by_role("button", name="Turn camera on").click()
        await ada.get_by_role("button", name="Turn microphone on").click()
        await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada")
        await expect(tile(bob, "Ada").locator("video")).to_be_visible()
        await expect_frames(bob)


async def test_a_third_person_comes_and_goes(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada, bob = (await join(browser, address, "Ada")).page, (await join(browser, address, "Bob")).page
        eve = (await join(browser, address, "Eve")).page
        await expect(ada.get_by_role("status").filter(has_text="Eve joined")).to_be_visible()  # first: it is shown for 5 s
        for page in (ada, bob, eve):
            await expect_people(page, 3)
            await wait_until(page, "[...document.querySelectorAll('.tile:not(.local) video')].filter((v) => v.videoWidth > 0).length === 2")
        await eve.get_by_role("button", name="Leave").click()
        await eve.get_by_role("dialog").get_by_role("button", name="Leave", exact=True).click()
        await expect(bob.get_by_role("status").filter(has_text="Eve left")).to_be_visible()
        await expect(eve.get_by_role("heading", name="You left the meeting")).to_be_focused()
        for page in (ada, bob):
            await expect_people(page, 2)


async def test_a_tab_that_dies_is_noticed_and_what_it_held_goes(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada, bob = (await join(browser, address, "Ada")).page, (await join(browser, address, "Bob")).page
        await expect_people(ada, 2)
        crash = await bob.context.new_cdp_session(bob)
        dying = asyncio.ensure_future(crash.send("Page.crash"))
        await expect_people(ada, 1)
        dying.cancel()


async def test_ending_puts_everybody_out(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        pages = [(await join(browser, address, name)).page for name in ("Ada", "Bob")]
        await expect_people(pages[0], 2)
        await pages[0].get_by_role("button", name="Leave").click()
        await pages[0].get_by_role("button", name="End for everybody").click()
        for page in pages:
            await expect(page.get_by_role("heading", name="The meeting was ended for everybody")).to_be_visible()
            assert await page.evaluate("testPeers.every((peer) => peer.connectionState === 'closed')")


async def test_a_screen_is_shared_large_with_its_sound_and_can_be_shared_again(server):
    async with chromium(extra_args=["--auto-select-desktop-capture-source=Entire screen"]) as browser:
        address = await new_room(browser, server.url)
        ada, bob = (await join(browser, address, "Ada")).page, (await join(browser, address, "Bob")).page
        await expect_people(ada, 2)
        screen = bob.locator(".tile[data-kind=share]")
        for _ in range(2):
            await ada.get_by_role("button", name="Share your screen").click()
            await expect(screen).to_have_attribute("aria-label", "Ada's screen")
            await wait_until(bob, "document.querySelector('.tile[data-kind=share] video')?.videoWidth > 0")
            camera = await tile(bob, "Ada").bounding_box()
            large = await screen.bounding_box()
            assert large and camera and large["width"] > 2 * camera["width"]
            await ada.get_by_role("button", name="Stop sharing").click()
            await expect(screen).to_have_count(0)
