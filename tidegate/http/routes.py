"""All routes of the HTTP interface, as endpoints, and the application made of them."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from tidegate.http.context import HttpContext
from tidegate.http.endpoint import Endpoint

CONTEXT: web.AppKey[HttpContext] = web.AppKey("context", HttpContext)
ENDPOINTS: tuple[Endpoint, ...] = ()


def create_app(context: HttpContext, extra: Sequence[Endpoint] = ()) -> web.Application:
    """The aiohttp application: our endpoints, and `extra` ones (WHIP, WHEP, signalling, pages, metrics).

    An extra endpoint has `raw=True`: its handler takes the bare request, and may call `authenticate_request`.
    """
    raise NotImplementedError


async def authenticate_request(request: web.Request, role: str) -> object:
    """For raw handlers: the Identity of a request, its origin and rate checked. PeerError otherwise."""
    raise NotImplementedError
