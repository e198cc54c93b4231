"""What a person does on the page of `examples/app-page`, as steps for tests."""

from __future__ import annotations

import asyncio
from datetime import datetime

from playwright.async_api import Browser, Page, expect

from tests.support.browser import PATIENCE_MS, Watched, media, open_page

expect.set_options(timeout=PATIENCE_MS)

FRAMES = 60  # two seconds of pictures

# Presses a button and says when, by the page's own clock.
PRESS = "(id) => { const at = Date.now(); document.getElementById(id).click(); return at; }"


async def open_app(browser: Browser, url: str) -> Watched:
    watched = await open_page(browser)
    answer = await watched.page.goto(url)
    assert answer and answer.ok, f"{url} is not there"
    return watched


async def join(page: Page, name: str, meeting_id: str = "") -> None:
    """Until joined, in the meeting of that id or a new one."""
    await page.fill("#name", name)
    await page.fill("#meeting-id", meeting_id)
    await page.get_by_role("button", name="Join").click()
    await expect(page.locator("#call")).to_be_visible()


async def press(page: Page, button: str) -> float:
    """When it was pressed, in Unix seconds."""
    return await page.evaluate(PRESS, button) / 1000


async def told(page: Page, words: str) -> float:
    """Waits until the page says `words` at last; when it did, in Unix seconds."""
    line = page.locator("#events li").filter(has_text=words).last
    await expect(line).to_be_visible()
    written = await line.locator("time").get_attribute("datetime")
    assert written
    return datetime.fromisoformat(written).timestamp()


def tile(page: Page, name: str):
    return page.locator("#tiles figure").filter(has_text=name)


async def receives_media(page: Page) -> None:
    """Until as many pictures were decoded, and sound had energy, from now on."""
    before = await media(page)
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while True:
            now = await media(page)
            frames = now["receivedFrames"] - before["receivedFrames"]
            if frames >= FRAMES and now["receivedAudioEnergy"] > before["receivedAudioEnergy"]:
                return
            await asyncio.sleep(0.1)
