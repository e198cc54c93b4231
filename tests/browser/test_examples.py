"""The example app servers, and their page on *their* origin with our SDK: what a builder copies works."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import jwt
import pytest
from playwright.async_api import expect

from tests.support.browser import chromium, expect_frames, open_page
from tests.support.serving import start_server

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "python": [sys.executable, "examples/app-server-python/server.py"],
    "node": [shutil.which("node") or "node", "examples/app-server-node/server.mjs"],
}
PATIENCE = 30.0


def free_port() -> int:
    """The examples take a fixed port, as an app server does; one that was free a moment ago."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return taken.getsockname()[1]


def ask(url: str, method: str = "GET") -> tuple[int, dict]:
    try:
        with urlopen(Request(url, method=method), timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        return error.code, json.loads(error.read())


def wait_for(url: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urlopen(url, timeout=PATIENCE).close()
            return
        except URLError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)


@pytest.fixture(scope="module", params=sorted(EXAMPLES))
def app(request, tmp_path_factory) -> Iterator[str]:
    """The address of an app server in front of a Tidegate of its own."""
    directory = tmp_path_factory.mktemp("tidegate")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with start_server([sys.executable, "-m", "tidegate", "serve"], directory, env=env) as tidegate:
        keys = tomllib.loads((directory / "tidegate-data" / "keys.toml").read_text())
        port = free_port()
        env |= {
            "TIDEGATE_URL": tidegate.url,
            "TIDEGATE_API_KEY": keys["api_key"],
            "TIDEGATE_API_SECRET": keys["api_secret"],
            "PORT": str(port),
        }
        process = subprocess.Popen(EXAMPLES[request.param], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url)
            yield url
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("path", ["app-server-python/server.py", "app-server-node/server.mjs"])
def test_an_app_server_is_small(path):
    assert len((ROOT / "examples" / path).read_text().splitlines()) <= 40


def test_its_routes_pass_on_what_tidegate_says(app):
    status, answer = ask(f"{app}/get-token")
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert status == 200 and claims["roles"] == ["rtc"] and claims["exp"] > time.time()
    status, room = ask(f"{app}/create-meeting", "POST")
    assert status in (200, 201) and room["roomId"]
    assert ask(f"{app}/validate-meeting/{room['roomId']}", "POST")[1]["roomId"] == room["roomId"]
    status, problem = ask(f"{app}/validate-meeting/nope-nope-nope", "POST")
    assert status == 404 and problem["code"] == 4003


async def test_a_page_on_its_own_origin_meets_through_tidegate(app):
    async with chromium() as browser:
        ada, bob = await open_page(browser), await open_page(browser)
        await ada.page.goto(f"{app}/?name=Ada")
        await ada.page.click("#join")
        await expect(ada.page.locator("#state")).to_have_text("CONNECTED")
        meeting = ada.page.url.split("meeting=")[1]
        await bob.page.goto(f"{app}/?name=Bob&meeting={meeting}")
        await bob.page.click("#join")
        for page, other in ((ada.page, "Bob"), (bob.page, "Ada")):
            await expect(page.locator(f"[data-participant={other}] video")).to_be_visible()
            await expect_frames(page)
        await ada.page.click("#mic")
        await expect(bob.page.get_by_text("Ada (muted)")).to_be_visible()
        await bob.page.click("#leave")
        await expect(bob.page.locator("#state")).to_have_text("Left: MANUAL_LEAVE_CALLED")
        await expect(ada.page.locator("[data-participant=Bob]")).to_have_count(0)
        await ada.page.click("#end")
        await expect(ada.page.locator("#state")).to_have_text("Left: REMOVE_ALL")
