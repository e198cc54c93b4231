"""From a request to a handler's `Call`: limits, token, origin, body, query, Idempotency-Key; and its answer back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from media.errors import PeerError
from tidegate import auth
from tidegate.auth import Identity
from tidegate.http import problem
from tidegate.http.console_guard import require_same_origin
from tidegate.http.context import HttpContext
from tidegate.http.endpoint import Access, Call, Endpoint
from tidegate.http.middleware import ORIGIN_REFUSED, REQUEST_ID
from tidegate.http.problem import Problem

MAX_IDEMPOTENCY_KEY = 255

UNDER_WAY: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("under_way", set)


def make_handler(endpoint: Endpoint, context: HttpContext) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of an endpoint that is not raw."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _handle(endpoint, context, request)

    return handle


async def _handle(endpoint: Endpoint, context: HttpContext, request: web.Request) -> web.StreamResponse:
    identity = None
    if endpoint.access is Access.TOKEN:
        identity = await authenticate(context, request, auth.REST)
        if identity.version != 2:
            raise PeerError(4002, "INVALID_TOKEN", "REST needs a token with version 2")
        require_grants(identity, endpoint.needs)
    else:
        check_address(context, request)
    if endpoint.access is Access.CONSOLE:
        require_same_origin(context, request)
    if any(not value.isprintable() for value in request.match_info.values()):
        raise problem.not_found("path")
    raw, body = await _read_body(endpoint, request)
    call = Call(request, context, request[REQUEST_ID], identity, body, _read_query(endpoint, request))
    key = request.headers.get("Idempotency-Key")
    if key is not None and identity is not None and request.method == "POST":
        return await _see_through(request.app[UNDER_WAY], _answer_once(endpoint, call, key, raw))
    return _respond(endpoint, await endpoint.handler(call))


def _respond(endpoint: Endpoint, answer: Any) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        return answer
    return web.json_response(_plain(answer), status=endpoint.status)


def _plain(answer: Any) -> Any:
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json", by_alias=True)
    return answer


async def authenticate(context: HttpContext, request: web.Request, role: str | None) -> Identity:
    """Who calls: address and key within their limits, token good for `role` (None: any), page of an allowed origin."""
    check_address(context, request)
    identity = await auth.authenticate(
        context.store, request.headers.get("Authorization"), context.wall(), leeway=context.auth.clock_leeway
    )
    _check_rate(context.key_limiter.take(identity.api_key))
    if not auth.is_origin_allowed(identity, request.headers.get("Origin"), context.public_url(request)):
        request[ORIGIN_REFUSED] = True
        raise PeerError(4025, "UNAUTHORIZED_REQUEST", "this apikey is not for pages of that origin")
    if role is not None:
        auth.require_role(identity, role)
    return identity


def check_address(context: HttpContext, request: web.Request) -> None:
    _check_rate(context.address_limiter.take(context.client_address(request)))


def _check_rate(wait: float) -> None:
    if wait:
        raise too_many(wait)


def too_many(wait: float) -> Problem:
    return Problem(429, "too many requests", headers={"Retry-After": str(math.ceil(wait))})


def require_grants(identity: Identity, needs: tuple[str, ...]) -> None:
    """PeerError 4025 unless every need is met; `join|ask` is met by either."""
    for need in needs:
        if not any(getattr(identity.grants, name) for name in need.split("|")):
            raise PeerError(4025, "UNAUTHORIZED_REQUEST", f"the token does not grant {need.replace('|', ' or ')}")


async def _read_body(endpoint: Endpoint, request: web.Request) -> tuple[bytes, Any]:
    if endpoint.body is None:
        return b"", None
    if endpoint.max_body_bytes is not None:
        request = request.clone(client_max_size=endpoint.max_body_bytes)
    raw = await request.read()
    if raw and request.content_type != "application/json":
        raise Problem(415, "send the body with Content-Type: application/json")
    if not raw and endpoint.access is Access.CONSOLE and request.content_type != "application/json":
        raise Problem(415, "send the body with Content-Type: application/json")  # a plain form of another site must not pass for a request of ours
    try:
        data = json.loads(raw or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not JSON", name="INVALID_REQUEST") from None
    return raw, _validate(endpoint.body, data)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _read_query(endpoint: Endpoint, request: web.Request) -> Any:
    if endpoint.query is None:
        return None
    return _validate(endpoint.query, dict(request.query))


def _validate(model: type[BaseModel], data: Any) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise problem.from_validation(error) from None


async def _see_through(under_way: set[asyncio.Task[Any]], work: Coroutine[Any, Any, web.Response]) -> web.Response:
    """Finish `work` even if the caller goes away: else its outcome would not be there when they try again."""
    task = asyncio.get_running_loop().create_task(work)
    under_way.add(task)
    task.add_done_callback(under_way.discard)
    return await asyncio.shield(task)


async def finish_under_way(app: web.Application) -> None:
    """At the end of the application: its own tasks first."""
    await asyncio.gather(*app[UNDER_WAY], return_exceptions=True)


async def _answer_once(endpoint: Endpoint, call: Call, key: str, raw: bytes) -> web.Response:
    """The same key again gets the first answer again; with another body it is a mistake.

    draft-ietf-httpapi-idempotency-key-header-06 section 2.6: 422 for another body, 409 while the first is in progress.
    """
    if not 0 < len(key) <= MAX_IDEMPOTENCY_KEY or not key.isprintable():
        raise Problem(400, f"Idempotency-Key: 1 to {MAX_IDEMPOTENCY_KEY} visible characters", name="INVALID_REQUEST")
    repository, project_id = call.context.store.idempotency, call.who.project_id
    scope = f"{call.request.method} {call.request.path}"
    # The caller's token counts too: a scoped token must not be shown what another one was answered.
    caller = f"{call.who.api_key} {call.who.room_id} {call.who.participant_id}".encode()
    fingerprint = hashlib.sha256(caller + b"\0" + raw).hexdigest()
    known = await repository.claim(project_id, scope, key, fingerprint)
    if known is not None:
        if known.fingerprint != fingerprint:
            raise Problem(422, "this Idempotency-Key was used with another body", name="IDEMPOTENCY_KEY_REUSED")
        if known.status is None:
            raise Problem(409, "the first request with this Idempotency-Key is in progress")
        return web.json_response(known.answer, status=known.status, headers={"Idempotency-Replayed": "true"})
    try:
        answer = _plain(await endpoint.handler(call))
        await repository.answer(project_id, scope, key, endpoint.status, answer)
    except BaseException:
        await repository.release(project_id, scope, key)
        raise
    return web.json_response(answer, status=endpoint.status)
