"""A receiver of webhooks, as an app server would have: it keeps what comes and checks both signatures with code that is not ours.

The RSA signature is checked by `cryptography` over the body as it came, the other by the Standard Webhooks library (and both must
be there). What the receiver answers can be set, or scripted request by request.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from standardwebhooks import Webhook, WebhookVerificationError

PATIENCE = 30.0  # what is waited for ends the wait

Answer = int | web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return self.json["webhookType"]

    @property
    def data(self) -> dict[str, Any]:
        return self.json["data"]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class WebhookReceiver:
    """`url` is where to send. `public_key` (PEM) and `secret` (whsec_...): when set, what is not signed by them is refused
    with 401 and kept in `forged`. `answer`: what it says when `script` is empty."""

    url: str = ""
    public_key: str | None = None
    secret: str | None = None
    answer: Answer = 200
    script: deque[Answer] = field(default_factory=deque)
    seen: list[Received] = field(default_factory=list)
    """Every request that was signed, whatever was answered."""
    forged: list[Received] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def types(self) -> list[str]:
        return [one.type for one in self.seen]

    async def wait_for(self, kind: str, count: int = 1, **data: Any) -> Received:
        """The `count`-th request of this kind with these data, now or when it comes."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [one for one in self.seen if one.type == kind and data.items() <= one.data.items()]
                if len(found) >= count:
                    return found[count - 1]
                await self._wait()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._wait()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        received = Received(request.path, {name.lower(): value for name, value in request.headers.items()}, await request.read())
        if not self._is_signed(received):
            self.forged.append(received)
            self._changed.set()
            return web.Response(status=401)
        self.seen.append(received)
        self._changed.set()
        answer = self.script.popleft() if self.script else self.answer
        if isinstance(answer, int):
            return web.Response(status=answer)
        return answer if isinstance(answer, web.Response) else await answer(request)

    def _is_signed(self, received: Received) -> bool:
        try:
            if self.public_key is not None:
                verify_rsa(self.public_key, received.body, received.headers["videosdk-signature"])
            if self.secret is not None:
                Webhook(self.secret).verify(received.body, received.headers)
        except (KeyError, ValueError, InvalidSignature, WebhookVerificationError):
            return False
        return True


def verify_rsa(public_key: str, body: bytes, signature: str) -> None:
    """As the reference has it: RSA-SHA256 (PKCS #1 v1.5) of the body as it came. InvalidSignature."""
    key = serialization.load_pem_public_key(public_key.encode())
    key.verify(base64.b64decode(signature), body, padding.PKCS1v15(), hashes.SHA256())  # type: ignore[call-arg, union-attr]


@asynccontextmanager
async def running_receiver(port: int = 0, **options: Any) -> AsyncIterator[WebhookReceiver]:
    """Listens on a port of loopback; the server's `outgoing.allow` must name 127.0.0.1. `port` to come back where it was."""
    receiver = WebhookReceiver(**options)
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiver
    finally:
        await runner.cleanup()
