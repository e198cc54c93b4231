"""Firefox from Debian, driven by WebDriver BiDi: just enough to evaluate scripts in an empty page."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "remote.active-protocols": 1,  # BiDi
    "app.update.disabledForTesting": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "network.connectivity-service.enabled": False,
    "network.captive-portal-service.enabled": False,
    "app.normandy.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}


class FirefoxPage:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._next_id = 0
        self.context = ""

    async def command(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._next_id += 1
        await self._socket.send_json({"id": self._next_id, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == self._next_id:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                return message["result"]

    async def evaluate(self, function: str, argument: Any = None) -> Any:
        """The JSON value that the (async) function of one argument returns, as playwright's `page.evaluate`."""
        expression = f"(async () => JSON.stringify(await ({function})({json.dumps(argument)})) ?? 'null')()"
        result = await self.command(
            "script.evaluate", {"expression": expression, "target": {"context": self.context}, "awaitPromise": True}
        )
        if result["type"] != "success":
            raise RuntimeError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])


@asynccontextmanager
async def firefox_page() -> AsyncIterator[FirefoxPage]:
    profile = Path(tempfile.mkdtemp(prefix="firefox-"))
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items())
    (profile / "user.js").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        "firefox-esr", "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while (found := _LISTENING.search(line := await process.stderr.readline())) is None:
                assert line, "Firefox ended before it listened"
        drain = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(found[1].decode() + "/session", max_msg_size=0) as socket:
                page = FirefoxPage(socket)
                await page.command("session.new", {"capabilities": {}})
                tree = await page.command("browsingContext.getTree", {})
                page.context = tree["contexts"][0]["context"]
                yield page
        drain.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        shutil.rmtree(profile, ignore_errors=True)
