"""A meeting is recorded from the page: everybody sees it, the start page plays it; who may not, cannot."""

from __future__ import annotations

import json
import math
import struct
import time
import tomllib
import wave
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import ENV, TIDEGATE
from tests.support.browser import axe, chromium, open_page, wait_until
from tests.support.meeting_page import (
    expect_people,
    join,
    new_room,
    notices,
    open_console,
    record,
    stop_recording,
    tile,
)
from tests.support.serving import RunningServer, start_server
from tests.support.webhook_receiver import running_receiver

RECORDED = "This meeting is being recorded"
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}

# Brightness and greenness of the picture that a player shows now: the fake camera is green.
LOOK = """(() => {
  const video = document.querySelector(".player video");
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 36 });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 64, 36);
  const { data } = context.getImageData(0, 0, 64, 36);
  let [green, others] = [0, 0];
  for (let at = 0; at < data.length; at += 4) {
    green += data[at + 1];
    others += Math.max(data[at], data[at + 2]);
  }
  return { green: green / (data.length / 4), others: others / (data.length / 4) };
})()"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """It may send webhooks to this machine."""
    env = ENV | {"TIDEGATE_OUTGOING_ALLOW": "127.0.0.0/8"}
    directory = tmp_path_factory.mktemp("server")
    with start_server(TIDEGATE, directory, env=env) as running:
        running.keys = tomllib.loads((directory / "tidegate-data" / "keys.toml").read_text())
        yield running


def guest_link(server: RunningServer, address: str, **grants: bool) -> str:
    claims = {"apikey": server.keys["api_key"], "permissions": ["allow_join"], "version": 2, "roles": ["rtc"],
              "grants": grants, "exp": int(time.time()) + 600}  # fmt: skip
    return f"{address}#token={jwt.encode(claims, server.keys['api_secret'], algorithm='HS256')}"


async def plays(page: Page) -> None:
    """Time goes on, and the picture is that of the cameras."""
    await expect(page.locator(".player video")).to_be_visible()
    await page.evaluate("(() => { const video = document.querySelector('.player video'); video.muted = true; return video.play(); })()")
    await wait_until(page, "document.querySelector('.player video').currentTime > 1.5")
    assert await page.evaluate("document.querySelector('.player video').videoWidth") == 1280
    seen = await page.evaluate(LOOK)
    assert seen["green"] > 60 and seen["green"] > 2 * seen["others"], seen


async def test_everybody_sees_that_it_is_recorded_and_the_start_page_plays_it(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada, bob = await join(browser, address, "Ada"), await join(browser, address, "Bob")
        await expect_people(ada.page, 2)
        await notices(bob.page)
        await record(ada.page)
        await notices(bob.page, RECORDED)
        await expect(ada.page.get_by_role("status").filter(has_text=RECORDED)).to_be_visible()
        eve = await join(browser, guest_link(server, address, record=False, broadcast=False), "Eve")
        await notices(eve.page, RECORDED)
        await expect(eve.page.get_by_role("button", name="Recording")).to_be_hidden()
        await expect(eve.page.get_by_role("button", name="Go live")).to_be_hidden()

        await ada.page.get_by_role("button", name="Recording", exact=True).click()
        await expect(ada.page.get_by_role("dialog", name=RECORDED)).to_be_visible()
        await expect(ada.page.get_by_label("Quality", exact=True)).to_be_disabled()
        assert await axe(ada.page) == []
        await ada.page.locator(".layout-card").filter(has_text="Sidebar").click()
        await ada.page.get_by_role("button", name="Apply").click()
        await expect(ada.page.get_by_role("dialog")).to_have_count(0)
        await wait_until(bob.page, f"performance.now() - {await bob.page.evaluate('performance.now()')} > 4000")  # worth playing
        await stop_recording(ada.page)
        for page in (ada.page, bob.page, eve.page):
            await notices(page)
        await expect(bob.page.get_by_role("status").filter(has_text="The recording has ended")).to_be_visible()

        async with ada.page.context.expect_page() as opened:
            await ada.page.get_by_role("button", name="Open the recording").click()
        await expect((await opened.value).locator(".player video")).to_be_visible()

        console = await open_console(browser, server.url, "Recordings")
        row = console.page.locator(".row").filter(has_text=address.rsplit("/", 1)[1])
        await expect(row.get_by_text("Done")).to_be_visible()
        assert await axe(console.page) == []
        await row.get_by_role("link").first.click()
        await plays(console.page)
        await expect(console.page.locator(".facts")).to_contain_text("Sidebar")
        await console.page.get_by_text("As a table").click()
        lanes = console.page.get_by_role("table").get_by_role("rowheader")
        await expect(lanes).to_have_text(["Ada", "Bob", "Eve"])
        assert await console.page.locator(".lanes-plot .lane-there").count() == 3
        assert await console.page.locator(".lanes-plot .layout-mark").count() == 2
        assert await axe(console.page) == []
        # A click into the plot moves the player; the server answers with a range.
        await console.page.locator(".lanes-plot").click(position={"x": 5, "y": 5})
        await wait_until(console.page, "document.querySelector('.player video').currentTime < 1.5")
        status = await console.page.evaluate(
            "(async () => (await fetch(document.querySelector('.player video').src, { headers: { Range: 'bytes=0-99' } })).status)()"
        )
        assert status == 206
        async with console.page.expect_download() as download:
            await console.page.get_by_role("link", name="Download").click()
        assert (await (await download.value).path()).stat().st_size > 50_000
        await console.page.get_by_role("button", name="Delete").click()
        await console.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(console.page.get_by_role("heading", name="Recordings")).to_be_visible()
        await expect(row).to_have_count(0)
        for watched in (ada, bob, eve, console):
            await watched.assert_clean()


async def test_a_layout_of_ones_own_is_drawn_and_its_mistakes_are_told_by_path(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada = await join(browser, address, "Ada")
        page = ada.page
        await expect_people(page, 1)
        await page.keyboard.press("r")
        await expect(page.get_by_role("img", name="How it would look now: Grid")).to_be_visible()
        await page.locator(".layout-card").filter(has_text="Your own").click()
        own = page.get_by_label("Boxes as JSON")
        await own.fill('{"boxes": [')
        await page.get_by_role("button", name="Start recording").click()
        await expect(page.get_by_role("alert").filter(has_text="This is not JSON")).to_be_visible()
        await own.fill(json.dumps({"boxes": [{"x": 0.4, "y": 0, "width": 0.9, "height": 1, "show": {"speaker": 0}}]}))
        await expect(page.get_by_role("img", name="How it would look now: Your own")).to_be_visible()
        await page.get_by_role("button", name="Start recording").click()
        problem = page.get_by_role("alert").filter(has_text="must not add up to more than 1")
        await expect(problem.locator("code")).to_have_text("config.layout.boxes[0].width")
        assert await axe(page) == []
        await own.fill(json.dumps({"boxes": [{"x": 0, "y": 0, "width": 1, "height": 1, "show": {"speaker": 0}}]}))
        await page.get_by_role("button", name="Start recording").click()
        await notices(page, RECORDED)
        await stop_recording(page)
        await notices(page)
        await ada.assert_clean()


async def test_on_a_phone_recording_is_within_reach_and_everything_fits(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada = await join(browser, address, "Ada", **PHONE)
        page = ada.page
        await expect_people(page, 1)
        await expect(page.get_by_role("button", name="Record", exact=True)).to_be_hidden()
        await page.get_by_role("button", name="More").click()
        await expect(page.get_by_role("button", name="Record", exact=True)).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="More")).to_be_focused()
        await page.get_by_role("button", name="More").click()
        await record(page, "Spotlight")
        await notices(page, RECORDED)
        notice = await page.locator(".notice").bounding_box()
        assert notice and notice["x"] >= 0 and notice["x"] + notice["width"] <= 360
        await page.get_by_role("button", name="More").click()
        await page.get_by_role("button", name="Recording", exact=True).click()
        for button in await page.locator("#composing .actions button:visible").all():
            box = await button.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["y"] + box["height"] <= 740
        assert await axe(page) == []
        await page.get_by_role("button", name="Stop recording").click()
        await notices(page)
        for section in ("Recordings", "Broadcasts", "Webhooks"):
            console = await open_console(browser, server.url, section, **PHONE)
            assert await console.page.evaluate("document.documentElement.scrollWidth") <= 360
            current = await console.page.locator("#sections a[aria-current]").bounding_box()
            assert current and current["x"] >= 0 and current["x"] + current["width"] <= 360
            assert await axe(console.page) == []
        await ada.assert_clean()


def make_voice(path: Path) -> Path:
    """Seconds of a tone that rises and falls as syllables do."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        loud = (9000 * (0.6 + 0.4 * math.sin(at / 800)) * math.sin(at * 0.1) for at in range(16_000 * 4))
        file.writeframes(b"".join(struct.pack("<h", int(value)) for value in loud))
    return path


async def test_who_speaks_is_marked_and_a_moderator_pins_for_everybody(server, tmp_path):
    voice = make_voice(tmp_path / "voice.wav")
    async with chromium(extra_args=[f"--use-file-for-fake-audio-capture={voice}"]) as browser:
        address = await new_room(browser, server.url)
        ada, bob = await join(browser, address, "Ada"), await join(browser, guest_link(server, address), "Bob")
        await expect_people(ada.page, 2)
        await bob.page.get_by_role("button", name="Turn microphone off").click()
        for page in (ada.page, bob.page):
            await expect(page.locator(".tile.active-speaker .label-name")).to_have_text(["Ada (you)" if page is ada.page else "Ada"])
        await expect(bob.page.get_by_role("button", name="Pin Ada for everybody")).to_be_hidden()
        await ada.page.get_by_role("button", name="Pin Bob for everybody").focus()
        await ada.page.keyboard.press("Enter")
        await expect(tile(bob.page, "Bob")).to_have_attribute("aria-label", "Bob (you), microphone off, pinned")
        late = await join(browser, address, "Late")
        await expect(tile(late.page, "Bob")).to_have_attribute("aria-label", "Bob, microphone off, pinned")
        await late.page.get_by_role("button", name="Unpin Bob").focus()
        await late.page.keyboard.press("Enter")
        await expect(tile(bob.page, "Bob")).to_have_attribute("aria-label", "Bob (you), microphone off")
        for watched in (ada, bob, late):
            await watched.assert_clean()


async def test_the_log_of_webhooks_tells_what_failed_and_sends_it_again(server):
    async with chromium() as browser, running_receiver(answer=500) as receiver:
        watched = await open_page(browser)
        page = watched.page
        await page.goto(server.url)
        await page.evaluate(
            """async (endPoint) => {
              const headers = { "Content-Type": "application/json" };
              const { token } = await (await fetch("/console/token", { method: "POST", headers, body: "{}" })).json();
              const body = JSON.stringify({ endPoint, events: ["session-started"] });
              await fetch("/v2/webhooks", { method: "POST", headers: { ...headers, Authorization: token }, body });
            }""",
            receiver.url,
        )
        address = await new_room(browser, server.url)
        await join(browser, address, "Ada")
        await receiver.wait_for("session-started")
        await page.get_by_role("link", name="Webhooks").click()
        row = page.locator(".row").filter(has_text="session-started").first
        await expect(row.get_by_text("answered 500").first).to_be_visible()
        await expect(row.locator(".chip")).to_have_text("Waiting")
        await row.get_by_role("button", name="Details").click()
        await expect(row.locator("pre")).to_contain_text(address.rsplit("/", 1)[1])
        await expect(page.get_by_role("img", name="Waiting: 1")).to_be_visible()
        assert await axe(page) == []
        await page.set_viewport_size({"width": 360, "height": 740})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        receiver.answer = 200
        await row.get_by_role("button", name="Send again").click()
        await expect(row.locator(".chip")).to_have_text("Delivered")
        await page.get_by_label("Result").select_option("Given up")
        await expect(page.get_by_text("There is nothing here yet.")).to_be_visible()
        await watched.assert_clean()
