"""A reader of /v2/events, as an app server would have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

PATIENCE = 30.0  # what is waited for ends the wait


class EventStream:
    """`seen` is every event so far: `{"webhookType", "data", "time"}`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.seen: list[dict[str, Any]] = []
        self._response = response

    async def wait_for(self, kind: str, **data: Any) -> dict[str, Any]:
        """The first event of this kind with these data, now or when it comes."""
        async with asyncio.timeout(PATIENCE):
            for event in self.seen:
                if _fits(event, kind, data):
                    return event
            while True:
                line = await self._response.content.readline()
                assert line, f"the stream ended before {kind}"
                if line.startswith(b"data: "):
                    self.seen.append(json.loads(line[6:]))
                    if _fits(self.seen[-1], kind, data):
                        return self.seen[-1]


def _fits(event: dict[str, Any], kind: str, data: dict[str, Any]) -> bool:
    return event["webhookType"] == kind and all(event["data"].get(name) == value for name, value in data.items())


@asynccontextmanager
async def read_events(http: aiohttp.ClientSession, url: str, token: str, **query: str) -> AsyncIterator[EventStream]:
    """Events from now on, of the server at `url`."""
    headers, unlimited = {"Authorization": token}, aiohttp.ClientTimeout(total=None)
    async with http.get(f"{url}/v2/events", params=query, headers=headers, timeout=unlimited) as response:
        assert response.status == 200, await response.text()
        assert (await response.content.readline()).startswith(b":")  # it is reading from here
        yield EventStream(response)
