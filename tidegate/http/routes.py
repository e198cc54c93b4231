"""All endpoints of the HTTP interface, and the application made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from media.ids import document_id
from sfu.io.signalling_ports import Admission
from tidegate.admission import admit
from tidegate.http import about, composed, console, dispatch, events, raw, rooms, sessions
from tidegate.http.context import HttpContext
from tidegate.http.dispatch import make_handler
from tidegate.http.endpoint import Endpoint
from tidegate.http.middleware import build_middlewares

RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTEXT: web.AppKey[HttpContext] = web.AppKey("context", HttpContext)

ENDPOINTS: tuple[Endpoint, ...] = (
    *rooms.ENDPOINTS,
    *sessions.ENDPOINTS,
    *composed.ENDPOINTS,
    *events.ENDPOINTS,
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
    for endpoint in ENDPOINTS:
        if endpoint.raw is None:
            app.router.add_route(endpoint.method, endpoint.path, make_handler(endpoint, context))
        elif endpoint.raw in raw_handlers:
            app.router.add_route(endpoint.method, endpoint.path, raw_handlers[endpoint.raw])
    return app


# For WHIP and WHEP, whose tokens may be of either role


async def authorize_request(request: web.Request, room_name: str, participant_id: str | None) -> Admission:
    """What the caller may do in that room; PeerError or Problem when they may not enter.

    Nobody can let them in there, so a token that may only ask is refused.
    """
    context = request.app[CONTEXT]
    identity = await dispatch.authenticate(context, request, None)
    dispatch.require_grants(identity, ("join",))
    return await admit(context.store, identity, room_name, participant_id, context.random_bytes)


async def owns_participant(request: web.Request, project_id: str | None, participant_id: str) -> bool:
    """Whether the caller may act on a participant of that project."""
    identity = await dispatch.authenticate(request.app[CONTEXT], request, None)
    return identity.project_id == project_id and identity.participant_id in (None, participant_id)
