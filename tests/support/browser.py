"""Browsers for tests: Chromium by playwright, Firefox by puppeteer-core (firefox.mjs), and what they say of their media.

Test by numbers of frames, packets and energy, never by connection states alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).parents[2]
TOOLS = Path(os.environ.get("TIDEGATE_TEST_TOOLS", ROOT / ".tools"))
PATIENCE_MS = 30_000  # a machine with two cores and two browsers; what is being waited for ends the wait

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream=fps=30",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    # Two pages in one window: the one behind must go on as if it were seen.
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
]

# Keeps every RTCPeerConnection of a page where a test finds it, and every violation of the page's own policy.
WATCH = """(() => {
  window.testPeers = [];
  window.testViolations = [];
  window.RTCPeerConnection = new Proxy(window.RTCPeerConnection, {
    construct(target, args) {
      const peer = new target(...args);
      window.testPeers.push(peer);
      return peer;
    },
  });
  document.addEventListener("securitypolicyviolation", (event) => {
    window.testViolations.push(`${event.violatedDirective}: ${event.blockedURI}`);
  });
})()"""

# Sums over what a page sends and receives now.
READ_MEDIA = """(async () => {
  const sum = { sentFrames: 0, sentWidth: 0, sentAudioPackets: 0, received: [], receivedAudioEnergy: 0, receivedAudioPackets: 0 };
  for (const peer of window.testPeers) {
    for (const report of (await peer.getStats()).values()) {
      if (report.type === "outbound-rtp" && report.kind === "video") {
        sum.sentFrames += report.framesEncoded ?? 0;
        sum.sentWidth = Math.max(sum.sentWidth, report.frameWidth ?? 0);
      }
      if (report.type === "outbound-rtp" && report.kind === "audio") sum.sentAudioPackets += report.packetsSent ?? 0;
      if (report.type === "inbound-rtp" && report.kind === "video") {
        sum.received.push({ frames: report.framesDecoded ?? 0, width: report.frameWidth ?? 0, freezes: report.freezeCount ?? 0 });
      }
      if (report.type === "inbound-rtp" && report.kind === "audio") {
        sum.receivedAudioEnergy += report.totalAudioEnergy ?? 0;
        sum.receivedAudioPackets += report.packetsReceived ?? 0;
      }
    }
  }
  sum.receivedFrames = sum.received.reduce((total, { frames }) => total + frames, 0);
  return sum;
})()"""


@asynccontextmanager
async def chromium(*, extra_args: list[str] | None = None, without: tuple[str, ...] = ()) -> AsyncIterator[Browser]:
    """The system's Chromium with a fake camera of 30 frames a second. `without`: flags to leave out."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert executable, "chromium is missing: bin/test installs it"
    args = [arg for arg in CHROMIUM_ARGS if not arg.startswith(without or ("\0",))]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=[*args, *(extra_args or [])])
        try:
            yield browser
        finally:
            await browser.close()


class Watched:
    """A page and what went wrong on it: uncaught errors, console errors, violations of its policy."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)

    async def assert_clean(self) -> None:
        assert self.errors == []
        assert await self.page.evaluate("window.testViolations") == []


async def open_page(browser: Browser, *, init_script: str = "", **context_options: Any) -> Watched:
    """A page of its own browser context: of another person, as far as the server can see."""
    options: dict[str, Any] = {"viewport": {"width": 1000, "height": 640}, "locale": "en-GB", **context_options}
    context = await browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    await context.add_init_script(WATCH)
    if init_script:
        await context.add_init_script(init_script)
    return Watched(await context.new_page())


async def media(page: Page | Firefox) -> dict[str, Any]:
    return await page.evaluate(READ_MEDIA)


async def wait_until(page: Page | Firefox, condition: str) -> None:
    """Until a JavaScript expression is true; await may be used in it. The page's policy forbids `wait_for_function`'s eval."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not await page.evaluate(f"(async () => Boolean({condition}))()"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def expect_frames(page: Page | Firefox, count: int = 10) -> None:
    """So many pictures more come in."""
    before = (await media(page))["receivedFrames"]
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while (await media(page))["receivedFrames"] < before + count:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)


async def axe(page: Page, within: str = "document") -> list[dict[str, Any]]:
    """What axe-core finds serious or critical."""
    source = (TOOLS / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    await page.evaluate(source)
    result = await page.evaluate(f"axe.run({within}, {{resultTypes: ['violations']}})")
    return [
        {"id": found["id"], "impact": found["impact"], "nodes": [node["html"] for node in found["nodes"]]}
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
    ]


class Firefox:
    """One page of Firefox, driven through a node process by a line of JSON for each command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def _ask(self, command: str, *args: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([command, *args]).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(2 * PATIENCE_MS / 1000):
            line = await self._process.stdout.readline()
        assert line, "firefox.mjs ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer.get("result")

    async def goto(self, url: str) -> None:
        await self._ask("goto", url)

    async def evaluate(self, expression: str) -> Any:
        return await self._ask("evaluate", expression)

    async def click(self, selector: str) -> None:
        await self._ask("click", selector)

    async def fill(self, selector: str, text: str) -> None:
        await self._ask("fill", selector, text)

    async def close(self) -> None:
        await self._ask("close")


@asynccontextmanager
async def firefox() -> AsyncIterator[Firefox]:
    node = shutil.which("node")
    assert node, "node is missing: bin/test installs it"
    process = await asyncio.create_subprocess_exec(
        node,
        str(Path(__file__).with_name("firefox.mjs")),
        str(TOOLS),
        shutil.which("firefox-esr") or shutil.which("firefox") or "",
        WATCH,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    page = Firefox(process)
    try:
        await page._ask("ready")
        yield page
    finally:
        if process.returncode is None:
            assert process.stdin
            process.stdin.close()  # it closes the browser and ends
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
