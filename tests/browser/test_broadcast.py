"""Going live from the page: two targets, one of them dead, their states in words, the end; the key is shown nowhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import ENV, TIDEGATE
from tests.support.browser import PATIENCE_MS, axe, chromium, wait_until
from tests.support.meeting_page import expect_people, join, new_room, notices, open_console
from tests.support.rtmp_nginx import running_nginx
from tests.support.serving import RunningServer, start_server

LIVE = "This meeting is live"
KEY = "the-secret-key-of-our-channel"
NOBODY = "rtmp://127.0.0.1:9/live"
TOP_MOST = """element => {
  const box = element.getBoundingClientRect();
  return element.contains(document.elementFromPoint(box.x + box.width / 2, box.bottom - 2));
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """It may send to this machine."""
    env = ENV | {"TIDEGATE_OUTGOING_ALLOW": "127.0.0.0/8"}
    with start_server(TIDEGATE, tmp_path_factory.mktemp("server"), env=env) as running:
        yield running


def keep_answers(page: Page) -> list[str]:
    """Everything that the server says to a page over the meeting's socket from now on."""
    said: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: said.append(str(frame))))
    return said


async def fill_targets(page: Page, *targets: tuple[str, str]) -> None:
    for index, (url, key) in enumerate(targets):
        if index:
            await page.get_by_role("button", name="Another target").click()
        await page.get_by_label("Server address").nth(index).fill(url)
        await page.get_by_label("Stream key").nth(index).fill(key)


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def grows(file: Path) -> None:
    """Until pictures are in it: it begins with a keyframe, which takes up to two seconds to come."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while size_of(file) < 50_000:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_a_meeting_goes_live_to_one_target_while_another_is_dead(server, tmp_path):
    with running_nginx(tmp_path) as nginx:
        async with chromium() as browser:
            target = f"rtmp://127.0.0.1:{nginx.port}/live"
            address = await new_room(browser, server.url)
            ada, bob = await join(browser, address, "Ada"), await join(browser, address, "Bob")
            page = ada.page
            await expect_people(page, 2)
            await page.get_by_role("button", name="Go live", exact=True).click()
            dialog = page.get_by_role("dialog", name="Go live")
            await dialog.get_by_role("button", name="Go live").click()
            await expect(page.get_by_role("alert").filter(has_text="Say where to")).to_be_visible()
            assert await page.locator("#composing-problem li").evaluate(TOP_MOST)
            await fill_targets(page, (target, KEY), ("http://example.org/live", KEY))
            assert await page.get_by_label("Stream key").first.get_attribute("type") == "password"
            await dialog.get_by_role("button", name="Go live").click()
            await expect(page.get_by_role("alert").locator("code")).to_have_text("outputs[1].url")
            await expect(page.get_by_label("Server address").nth(1)).to_have_attribute("aria-invalid", "true")
            assert await axe(page) == []
            await page.get_by_label("Server address").nth(1).fill(NOBODY)
            await page.get_by_label("Record it as well").check()
            await dialog.get_by_role("button", name="Go live").click()
            await notices(bob.page, "This meeting is being recorded", LIVE)
            await expect(page.get_by_role("status").filter(has_text="nothing listens at this address").first).to_be_visible()

            await page.get_by_role("button", name="Live", exact=True).click()
            outputs = page.locator(".output")
            await expect(outputs.filter(has_text=target).locator(".chip")).to_have_text("Live")
            await expect(outputs.filter(has_text=target).get_by_role("img")).to_have_accessible_name(re.compile("^Bit rate so far, .* [km]bit/s now$", re.IGNORECASE))
            await expect(outputs.filter(has_text=NOBODY)).to_contain_text("nothing listens at this address")
            assert await axe(page) == []
            await page.get_by_role("button", name=f"Send nothing more to {NOBODY}").click()
            await expect(outputs).to_have_count(1)
            assert KEY not in await page.content()

            console = await open_console(browser, server.url, "Broadcasts")
            row = console.page.locator(".row").filter(has_text=address.rsplit("/", 1)[1])
            await expect(row.locator(":scope > .chip")).to_have_text("Live")
            await expect(row.locator(".output .rate")).to_contain_text("bit/s")
            assert await axe(console.page) == []
            await page.get_by_role("button", name="End the livestream").click()
            await notices(bob.page)
            await expect(row.locator(":scope > .chip")).to_have_text("Done")
            await row.get_by_role("link", name="Recording").click()
            await expect(console.page.locator(".player video")).to_be_visible()
            await wait_until(console.page, "document.querySelector('.player video').duration > 2")
            assert KEY not in await console.page.content()
            for watched in (ada, bob, console):
                await watched.assert_clean()
        with av.open(str(nginx.recording(KEY))) as file:
            assert sum(1 for _ in file.decode(video=0)) > 30
    assert KEY not in server.output


async def test_a_target_added_while_live_gets_the_meeting_too(server, tmp_path):
    with running_nginx(tmp_path) as nginx:
        async with chromium() as browser:
            target = f"rtmp://127.0.0.1:{nginx.port}/live"
            address = await new_room(browser, server.url)
            ada = await join(browser, address, "Ada")
            said = keep_answers(ada.page)
            page = ada.page
            await expect_people(page, 1)
            await page.get_by_role("button", name="Go live", exact=True).click()
            await fill_targets(page, (target, "one"))
            await page.locator("#composing-go").click()
            await notices(page, LIVE)
            await page.get_by_role("button", name="Live", exact=True).click()
            await fill_targets(page, (target, KEY))
            await page.get_by_role("button", name="Apply").click()
            await page.get_by_role("button", name="Live", exact=True).click()
            await expect(page.locator(".output .chip")).to_have_text(["Live", "Live"])
            await grows(nginx.recording(KEY))
            await page.get_by_role("button", name="End the livestream").click()
            await notices(page)
            assert not any(KEY in frame for frame in said)
            await ada.assert_clean()
        for key in ("one", KEY):
            with av.open(str(nginx.recording(key))) as file:
                assert next(file.decode(video=0)).width == 1280
