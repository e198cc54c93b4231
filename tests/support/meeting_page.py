"""What a person does on the meeting page, as steps for tests."""

from __future__ import annotations

from playwright.async_api import Browser, Page, expect

from tests.support.browser import PATIENCE_MS, Watched, open_page

expect.set_options(timeout=PATIENCE_MS)


async def new_room(browser: Browser, url: str) -> str:
    """One click on the start page; the address of the meeting it leads to."""
    watched = await open_page(browser)
    await watched.page.goto(url)
    await watched.page.click("#new")
    await watched.page.wait_for_url("**/meeting/*")
    await watched.page.locator("#pre-heading").wait_for()
    address = watched.page.url
    await watched.assert_clean()
    await watched.page.context.close()
    return address


async def join(browser: Browser, address: str, name: str, **context_options) -> Watched:
    watched = await open_page(browser, **context_options)
    page = watched.page
    await page.goto(address)
    await page.fill("#name", name)
    # The preview shows that the devices are open; who joins before that waits for them in "Joining…".
    await page.click("#join")
    await page.locator("#call").wait_for()
    return watched


def tile(page: Page, name: str):
    """The camera tile of somebody else, or of oneself by "Ada (you)"."""
    return page.locator(".tile[data-kind=video]").filter(has=page.locator(".label-name", has_text=name))


async def expect_people(page: Page, count: int) -> None:
    await expect(page.locator(".tile[data-kind=video]")).to_have_count(count)


async def notices(page: Page, *words: str) -> None:
    """Until the head of the call says exactly this of recordings and livestreams; no words: nothing."""
    await expect(page.locator("#notices .notice")).to_have_text(list(words))


async def record(page: Page, layout: str = "Grid") -> None:
    await page.get_by_role("button", name="Record", exact=True).click()
    await page.locator(".layout-card").filter(has_text=layout).click()
    await page.get_by_role("button", name="Start recording").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def stop_recording(page: Page) -> None:
    await page.get_by_role("button", name="Recording", exact=True).click()
    await page.get_by_role("button", name="Stop recording").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def open_console(browser: Browser, url: str, section: str, **context_options) -> Watched:
    """A part of the start page: Recordings, Broadcasts or Webhooks."""
    watched = await open_page(browser, **context_options)
    await watched.page.goto(url)
    await watched.page.get_by_role("navigation").get_by_role("link", name=section).click()
    await expect(watched.page.locator(".listing:visible h1")).to_be_focused()
    return watched
