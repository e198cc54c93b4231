"""The pages: who may, in words what went wrong, by keyboard, by screen reader, on a phone, under their policy."""

from __future__ import annotations

import re
import tomllib

import pytest
from playwright.async_api import expect

from tests.support.browser import axe, chromium, open_page, wait_until
from tests.support.meeting_page import expect_people, join, new_room, tile

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}


async def test_nothing_serious_for_assistive_technology_and_no_violation_of_the_policy(server):
    async with chromium() as browser:
        start = await open_page(browser)
        await start.page.goto(server.url)
        await expect(start.page.get_by_role("button", name="New meeting")).to_be_visible()
        assert await axe(start.page) == []
        address = await new_room(browser, server.url)
        ada = await open_page(browser)
        await ada.page.goto(address)
        await expect(ada.page.get_by_role("heading", name="Ready to join?")).to_be_visible()
        await expect(ada.page.locator("#pre-camera option")).not_to_have_count(0)
        assert await axe(ada.page) == []
        await ada.page.fill("#name", "Ada")
        await ada.page.click("#join")
        await expect_people(ada.page, 1)
        assert await axe(ada.page) == []
        bob = await join(browser, address, "Bob")
        await bob.page.get_by_role("button", name="Turn camera off").click()
        await expect(tile(ada.page, "Bob").locator(".initials")).to_be_visible()
        await ada.page.get_by_role("button", name="People").click()
        assert await axe(ada.page) == []
        for button, dialog in (("Invite", "Invite others"), ("Settings", "Settings"), ("Keyboard shortcuts", "Keyboard shortcuts")):
            await ada.page.get_by_role("button", name=button, exact=True).click()
            await expect(ada.page.get_by_role("dialog", name=dialog)).to_be_visible()
            assert await axe(ada.page) == []
            await ada.page.keyboard.press("Escape")
        await bob.page.keyboard.press("l")
        assert await axe(bob.page) == []
        await bob.page.get_by_role("button", name="Leave", exact=True).last.click()
        await expect(bob.page.get_by_role("heading", name="You left the meeting")).to_be_visible()
        assert await axe(bob.page) == []
        for watched in (start, ada, bob):
            await watched.assert_clean()


async def test_the_whole_call_works_by_keyboard(server):
    async with chromium() as browser:
        watched = await open_page(browser)
        page = watched.page
        await page.goto(server.url)
        await page.get_by_role("button", name="New meeting").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Ready to join?")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Your name")).to_be_focused()
        await page.keyboard.type("Ada m v s l")  # letters typed are no shortcuts
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Turn microphone off")).to_be_focused()
        await page.keyboard.press("m")
        await expect(page.get_by_role("button", name="Turn microphone on")).to_be_visible()
        await expect(page.get_by_role("alert").filter(has_text="Microphone off")).to_have_count(1)
        await page.keyboard.press("v")
        await expect(page.get_by_role("button", name="Turn camera on")).to_be_visible()
        await page.keyboard.press("p")
        await expect(page.get_by_role("complementary", name="People")).to_be_visible()
        await expect(page.get_by_role("button", name="Close")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#people-button")).to_be_focused()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        await page.get_by_role("checkbox").uncheck()
        await page.keyboard.press("Escape")
        await page.keyboard.press("m")
        await expect(page.get_by_role("button", name="Turn microphone on")).to_be_visible()
        await page.get_by_role("button", name="Leave").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="You left the meeting")).to_be_focused()
        await watched.assert_clean()


async def test_on_a_phone_everything_is_within_reach(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada = (await join(browser, address, "Ada", **PHONE)).page
        await join(browser, address, "Bob")
        await expect_people(ada, 2)
        assert await ada.evaluate("document.documentElement.scrollWidth") <= 360
        assert await ada.evaluate("document.documentElement.scrollHeight") <= 740
        for control in await ada.locator(".controls .control:visible").all():
            box = await control.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["y"] + box["height"] <= 740
            assert box["width"] >= 44 and box["height"] >= 44
        upper, lower = [await each.bounding_box() for each in await ada.locator(".tile").all()]
        assert upper and lower and upper["x"] == lower["x"] and upper["width"] > 330
        for video in await ada.locator("video:visible").all():
            assert await video.get_attribute("playsinline") is not None
        assert await axe(ada) == []


async def test_who_is_invited_needs_nothing_but_the_link_and_the_token_leaves_the_address_bar(guarded_server, tmp_path):
    keys = tomllib.loads((tmp_path / "tidegate-data" / "keys.toml").read_text())
    url = guarded_server.url.replace("0.0.0.0", "127.0.0.1")
    async with chromium() as browser:
        host = await open_page(browser, permissions=["clipboard-read", "clipboard-write"])
        page = host.page
        await page.goto(url)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await expect(page.get_by_role("button", name="New meeting")).to_be_hidden()
        assert await axe(page) == []
        await page.get_by_label("API key").fill(keys["api_key"])
        await page.get_by_label("Secret").fill("wrong")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert").filter(has_text="do not belong together")).to_be_visible()
        await page.get_by_label("Secret").fill(keys["api_secret"])
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="New meeting").click()
        await page.get_by_label("Your name").fill("Host")
        await page.get_by_role("button", name="Join now").click()
        await page.get_by_role("button", name="Copy link").click()
        await expect(page.get_by_role("status").filter(has_text="copied")).to_be_visible()
        link = await page.evaluate("navigator.clipboard.readText()")
        assert "#token=" in link
        guest = await join(browser, link, "Guest")
        await expect_people(page, 2)
        assert "token" not in guest.page.url
        await expect(guest.page.get_by_role("button", name="Invite")).to_be_hidden()
        await guest.page.reload()
        await expect(guest.page.get_by_role("heading", name="Ready to join?")).to_be_visible()
        stranger = await open_page(browser)
        await stranger.page.goto(link.split("#")[0])
        await stranger.page.wait_for_url(re.compile(r"/\?next="))
        await expect(stranger.page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/meeting/nope-nope-nope", "There is no such meeting"),
        ("/meeting/%E0%A4%A", "There is no such meeting"),
        ("/meeting/nope-nope-nope#token=garbage", "This link is not valid"),
    ],
)
async def test_what_cannot_be_joined_is_said_in_words(server, path, heading):
    async with chromium() as browser:
        page = (await open_page(browser)).page
        await page.goto(server.url + path)
        if "#" in path:
            await page.get_by_role("button", name="Join now").click()
        await expect(page.get_by_role("heading", name=heading)).to_be_visible()
        await expect(page.get_by_role("link", name="Start page")).to_be_visible()
        assert await axe(page) == []


async def test_without_permission_one_is_told_and_joins_all_the_same(server):
    async with chromium(without=("--use-fake-ui",), extra_args=["--deny-permission-prompts"]) as browser:
        address = await new_room(browser, server.url)
        page = (await open_page(browser)).page
        await page.goto(address)
        await expect(page.get_by_text("does not let this page use your camera")).to_be_visible()
        await expect(page.get_by_text("does not let this page use your microphone")).to_be_visible()
        assert await axe(page) == []
        await page.click("#join")
        await expect(tile(page, "Guest")).to_have_attribute("aria-label", "Guest (you), microphone off, camera off")


async def test_the_page_speaks_the_visitors_language(server):
    async with chromium() as browser:
        page = (await open_page(browser, locale="de-AT")).page
        await page.goto(server.url)
        await expect(page.get_by_role("button", name="Neue Besprechung")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "de"


async def test_a_code_or_a_link_joins_and_nonsense_is_refused(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        page = (await open_page(browser)).page
        for typed in (address, address.rsplit("/", 1)[1]):
            await page.goto(server.url)
            await page.get_by_label("Meeting code or link").fill(typed)
            await page.get_by_role("button", name="Join").click()
            await page.wait_for_url(address)
        await page.goto(server.url)
        await page.get_by_label("Meeting code or link").fill("https://elsewhere.example/meeting/x")
        await page.get_by_role("button", name="Join").click()
        await expect(page.get_by_role("alert").filter(has_text="Enter a meeting code")).to_be_visible()


async def test_a_moderator_mutes_asks_and_removes(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada, bob = (await join(browser, address, "Ada")).page, (await join(browser, address, "Bob")).page
        await ada.get_by_role("button", name="People").click()
        await ada.get_by_role("button", name="Mute Bob").focus()
        await ada.keyboard.press("Enter")
        await expect(bob.get_by_role("status").filter(has_text="Ada muted you")).to_be_visible()
        await expect(tile(bob, "Bob")).to_have_attribute("aria-label", "Bob (you), microphone off")
        await expect(ada.get_by_role("button", name="Ask Bob to unmute")).to_be_focused()
        await ada.keyboard.press("Enter")
        await bob.get_by_role("button", name="Turn on", exact=True).click()
        await expect(tile(ada, "Bob")).to_have_attribute("aria-label", "Bob")
        await ada.get_by_role("button", name="Remove Bob").click()
        await ada.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
        await expect(bob.get_by_role("heading", name="You were removed from the meeting")).to_be_visible()
        await expect_people(ada, 1)


# Every device that is opened, and whether the browser plays sound before somebody clicks: it does not.
DEVICES_AND_SILENCE = """(() => {
  window.testTracks = [];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    if (window.testPrompt) await window.testPrompt;
    const stream = await open(constraints);
    window.testTracks.push(...stream.getTracks());
    return stream;
  };
  const play = HTMLMediaElement.prototype.play;
  window.testSilence = true;
  HTMLMediaElement.prototype.play = function () {
    if (this.tagName === "AUDIO" && window.testSilence) return Promise.reject(new DOMException("a click first", "NotAllowedError"));
    return play.call(this);
  };
})()"""
DEVICES_ON = "testTracks.filter(({ readyState }) => readyState === 'live').length"


async def test_sound_that_the_browser_holds_back_is_started_by_a_button(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        ada = (await join(browser, address, "Ada", init_script=DEVICES_AND_SILENCE)).page
        await expect_people(ada, 1)
        hear = ada.get_by_role("button", name=re.compile("holds the sound back"))
        await expect(hear).to_be_hidden()
        await join(browser, address, "Bob")
        await expect(hear).to_be_visible()
        await ada.evaluate("window.testSilence = false")
        await hear.click()
        await expect(hear).to_be_hidden()


async def test_who_has_left_leaves_no_device_on_not_even_one_allowed_afterwards(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        page = (await join(browser, address, "Ada", init_script=DEVICES_AND_SILENCE)).page
        await expect_people(page, 1)
        assert await page.evaluate(DEVICES_ON) == 2
        await page.get_by_role("button", name="Turn camera off").click()
        await expect(tile(page, "Ada")).to_have_attribute("aria-label", "Ada (you), camera off")
        assert await page.evaluate(DEVICES_ON) == 1
        opened = await page.evaluate("window.testPrompt = new Promise((done) => (window.testAllow = done)), testTracks.length")
        await page.get_by_role("button", name="Turn camera on").click()
        await page.get_by_role("button", name="Leave", exact=True).click()
        await expect(page.get_by_role("heading", name="You left the meeting")).to_be_visible()
        await page.evaluate("testAllow()")
        await wait_until(page, f"testTracks.length === {opened + 1} && {DEVICES_ON} === 0")


async def test_a_question_that_nobody_answers_keeps_nobody_out(server):
    async with chromium() as browser:
        address = await new_room(browser, server.url)
        unanswered = "window.testPrompt = new Promise((done) => (window.testAllow = done));"
        page = (await open_page(browser, init_script=DEVICES_AND_SILENCE + ";" + unanswered)).page
        await page.goto(address)
        await page.get_by_role("button", name="Join now").click()
        await page.get_by_role("button", name="Join without camera and microphone").click()
        await expect(tile(page, "Guest")).to_have_attribute("aria-label", "Guest (you), microphone off, camera off")
        await page.evaluate("testAllow()")
        await wait_until(page, f"testTracks.length === 2 && {DEVICES_ON} === 0")
        await page.get_by_role("button", name="Turn microphone on").click()
        await expect(tile(page, "Guest")).to_have_attribute("aria-label", "Guest (you), camera off")
