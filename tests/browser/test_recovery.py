"""What a call survives: a lost socket, a lost path, a server that was killed and started again."""

from __future__ import annotations

import signal

from playwright.async_api import Page, expect

from tests.browser.conftest import ENV, TIDEGATE
from tests.support.browser import chromium, expect_frames, wait_until
from tests.support.meeting_page import expect_people, join, new_room, tile
from tests.support.serving import start_server

SEES_THE_OTHER = "document.querySelector('.tile:not(.local) video')?.videoWidth > 0"

# Lets the SDK believe that a peer connection failed: the browser itself would take half a minute to find out.
FAIL = """(index) => {
  const peer = window.testPeers[index];
  Object.defineProperty(peer, "connectionState", { value: "failed", configurable: true });
  peer.dispatchEvent(new Event("connectionstatechange"));
  delete peer.connectionState;
}"""
# ... and, once the restart has been answered, that it recovered: of which there is nothing for the browser to tell.
RECOVER = "(index) => window.testPeers[index].dispatchEvent(new Event('connectionstatechange'))"
UFRAG = "window.testPeers[{}].localDescription.sdp.match(/a=ice-ufrag:(.*)/)[1]"


async def test_a_dropped_socket_is_resumed_and_nobody_leaves(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada, bob = await join(browser, address, "Ada"), (await join(browser, address, "Bob")).page
        page = ada.page
        await expect_people(bob, 2)
        await wait_until(bob, SEES_THE_OTHER)
        await page.context.set_offline(True)
        await expect(page.locator("#call")).to_have_attribute("data-state", "RECONNECTING")
        await page.context.set_offline(False)
        await expect(page.locator("#call")).to_have_attribute("data-state", "CONNECTED")
        await page.get_by_role("button", name="Turn microphone off").click()
        await expect(tile(bob, "Ada")).to_have_attribute("aria-label", "Ada, microphone off")
        await expect_frames(bob)
        await expect(bob.get_by_role("status").filter(has_text="Ada left")).to_have_count(0)


async def ufrag(page: Page, peer: int) -> str:
    return await page.evaluate(UFRAG.format(peer))


async def test_a_path_that_failed_is_restarted_on_both_connections(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada, bob = (await join(browser, address, "Ada")).page, (await join(browser, address, "Bob")).page
        for page in (ada, bob):
            await wait_until(page, SEES_THE_OTHER)
        for peer in (0, 1):
            before = await ufrag(ada, peer)
            await ada.evaluate(FAIL, peer)
            await wait_until(ada, f"{UFRAG.format(peer)} !== '{before}'")
            await wait_until(ada, f"window.testPeers[{peer}].signalingState === 'stable'")
            await expect(ada.locator("#call")).to_have_attribute("data-state", "RECONNECTING")
            await ada.evaluate(RECOVER, peer)
        await expect(ada.locator("#call")).to_have_attribute("data-state", "CONNECTED")
        for page in (ada, bob):
            await expect_frames(page)


async def test_a_server_that_was_killed_and_started_again_is_joined_anew(tmp_path):
    async with chromium() as browser:
        with start_server(TIDEGATE, tmp_path, env=ENV) as server:
            address = await new_room(browser, server.url)
            pages = [(await join(browser, address, name)).page for name in ("Ada", "Bob")]
            for page in pages:
                await wait_until(page, SEES_THE_OTHER)
            await pages[0].get_by_role("button", name="Turn microphone off").click()
            server.process.send_signal(signal.SIGKILL)
            for page in pages:
                await expect(page.locator("#call")).to_have_attribute("data-state", "RECONNECTING")
        port = server.url.rsplit(":", 1)[1]
        with start_server(TIDEGATE, tmp_path, env=ENV, args=["--http-port", port]):
            for page in pages:
                await expect(page.locator("#call")).to_have_attribute("data-state", "CONNECTED")
                await expect_people(page, 2)
                await expect_frames(page)
            await expect(tile(pages[1], "Ada")).to_have_attribute("aria-label", "Ada, microphone off")


async def test_a_server_that_ends_says_so(tmp_path):
    async with chromium() as browser:
        with start_server(TIDEGATE, tmp_path, env=ENV) as server:
            page = (await join(browser, await new_room(browser, server.url), "Ada")).page
            server.process.send_signal(signal.SIGTERM)
            await expect(page.get_by_role("heading", name="The server is shutting down")).to_be_visible()
