"""What surrounds every request: its id, errors as problem+json, other origins, headers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from media.errors import PeerError
from tidegate.http.problem import Problem

log = logging.getLogger("tidegate.http")

REQUEST_ID = web.RequestKey("request_id", str)
ORIGIN_REFUSED = web.RequestKey("origin_refused", bool)

OPEN_PATHS = ("/v1/", "/v2/", "/sdk/", "/hls/")  # for pages of other origins; the console's cookie is not sent there
PREFLIGHT_SECONDS = "86400"
ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Range, X-Request-Id"
EXPOSED_HEADERS = (
    "Location, ETag, Link, Retry-After, X-Request-Id, Accept-Patch, Accept-Post, Idempotency-Replayed, "
    "Accept-Ranges, Content-Range, Content-Disposition"  # a player that reads a file in parts needs them
)
CALLERS_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_middlewares(new_id: Callable[[], str]) -> list[Callable[..., Awaitable[web.StreamResponse]]]:
    """`new_id` makes a request id where the caller sent none."""

    @web.middleware
    async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-Id", "")
        request[REQUEST_ID] = given if CALLERS_REQUEST_ID.match(given) else new_id()
        if is_preflight(request):
            response: web.StreamResponse = preflight()
        else:
            response = await _answer(request, handler)
        if not response.prepared:
            finish(request, response)
        return response

    return [surround]


def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers that every answer has. Streaming handlers call it before they prepare their response."""
    response.headers["X-Request-Id"] = request[REQUEST_ID]
    response.headers["Server"] = "tidegate"  # not the versions of what we are made of, as aiohttp would say
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.path.startswith(("/v1/", "/v2/", "/console/")):
        response.headers.setdefault("Cache-Control", "no-store")
    if request.path.startswith(OPEN_PATHS) and not request.get(ORIGIN_REFUSED, False):
        # A star, never credentials: what is behind needs a token, and no cookie is taken from another origin.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS


def is_preflight(request: web.Request) -> bool:
    return (
        request.method == "OPTIONS"
        and "Access-Control-Request-Method" in request.headers
        and request.path.startswith(OPEN_PATHS)
    )


def preflight() -> web.Response:
    """A preflight carries no token, so it is answered for all; the request itself is held to the key's origins."""
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": ALLOWED_METHODS,
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": PREFLIGHT_SECONDS,
        },
    )


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    request_id = request[REQUEST_ID]
    try:
        return await handler(request)
    except Problem as problem:
        return problem.render(request_id)
    except PeerError as error:
        return Problem.from_peer_error(error).render(request_id)
    except web.HTTPException as error:
        return error if error.status < 400 else _from_aiohttp(error).render(request_id)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            raise  # the caller went away; any other lost connection is ours, to the store
        log.exception("request failed", extra={"request_id": request_id, "path": request.path})
        message = f"something is wrong on our side; request {request_id}"
        return Problem(500, message, code=5000, name="INTERNAL").render(request_id)


def _from_aiohttp(error: web.HTTPException) -> Problem:
    """Its own words where its raiser gave some; its headers (Allow, Accept-Patch), but not those of its plain text."""
    plain = {404: "no such path", 405: "this method is not allowed here", 413: "the body is too large"}
    default = error.reason == HTTPStatus(error.status).phrase
    message = plain.get(error.status, error.reason) if default else error.reason
    headers = {name: value for name, value in error.headers.items() if not name.lower().startswith("content-")}
    return Problem(error.status, message, headers=headers)
