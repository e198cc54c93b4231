"""All endpoints of the HTTP interface, and the application made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from media.ids import document_id
from tidegate.auth import Identity
from tidegate.http import (
    about,
    broadcasts,
    console,
    dispatch,
    downloads,
    events,
    hls,
    participant_recordings,
    raw,
    recordings,
    rooms,
    sessions,
    transcodings,
    webhooks,
)
from tidegate.http.context import HttpContext
from tidegate.http.dispatch import make_handler
from tidegate.http.endpoint import Access, Endpoint
from tidegate.http.middleware import build_middlewares

RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTEXT: web.AppKey[HttpContext] = web.AppKey("context", HttpContext)

ENDPOINTS: tuple[Endpoint, ...] = (
    *rooms.ENDPOINTS,
    *sessions.ENDPOINTS,
    *recordings.ENDPOINTS,
    *transcodings.STEREO_ENDPOINTS,
    *participant_recordings.ENDPOINTS,
    *participant_recordings.BY_ID,
    *downloads.ENDPOINTS,
    *recordings.BY_ID,
    *broadcasts.ENDPOINTS,
    *transcodings.ENDPOINTS,
    *hls.ENDPOINTS,
    *events.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *raw.ENDPOINTS,
    *console.ENDPOINTS,
    *about.ENDPOINTS,
)


def create_app(context: HttpContext, raw_handlers: Mapping[str, RawHandler]) -> web.Application:
    """The application. `raw_handlers`: one for each name in raw.py; an endpoint whose name is missing is not served.

    Pages and other files are the caller's to add to its router.
    """
    app = web.Application(
        client_max_size=context.limits.max_body_bytes,
        middlewares=build_middlewares(lambda: document_id(context.random_bytes)),
    )
    app[CONTEXT] = context
    app[events.READERS] = Counter()
    app[dispatch.UNDER_WAY] = set()
    app.on_shutdown.append(dispatch.finish_under_way)
    for endpoint in ENDPOINTS:
        if endpoint.raw is None:
            handler = make_handler(endpoint, context)
        elif endpoint.raw in raw_handlers:
            handler = raw_handlers[endpoint.raw]
        else:
            continue
        app.router.add_route(endpoint.method, endpoint.path, handler)
        if endpoint.method == "GET" and endpoint.access is Access.ANYBODY and endpoint.status == 200:
            app.router.add_route("HEAD", endpoint.path, handler)  # what monitors ask
    return app


async def authenticate_request(request: web.Request, role: str | None) -> Identity:
    """For raw handlers (`role`: auth.REST, auth.MEETING, None for any): the caller, rates and origin checked. PeerError, Problem."""
    return await dispatch.authenticate(request.app[CONTEXT], request, role)
