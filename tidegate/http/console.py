"""/console: how the page on our own origin gets tokens. Everything else it does with these tokens, through the API.

docs/tokens.md says who may: a person who signed in, or whoever sits at this machine (console_guard.py).
"""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import quote

from aiohttp import web

from tidegate.auth import sign_token
from tidegate.http import answers, models, render
from tidegate.http.console_guard import (
    COOKIE,
    COOKIE_PATH,
    Person,
    find_person,
    make_cookie,
    require_person,
)
from tidegate.http.dispatch import too_many
from tidegate.http.endpoint import Access, Call, Endpoint
from tidegate.http.problem import Problem, unknown_room
from tidegate.store import Room, RoomOptions

HOUR = 3600
NO_SECRET = "-" * 64  # compared with when there is no such key, so that both cases take the same time
ALL_PERMISSIONS = ["allow_join", "allow_mod"]


async def who_am_i(call: Call) -> dict[str, Any]:
    person = await find_person(call.context, call.request)
    return _session(person) if person else _session(None)


def _session(person: Person | None) -> dict[str, Any]:
    if person is None:
        return {"mode": "signed-out", "apiKey": None, "expires": None}
    expires = None if person.expires is None else render.iso(int(person.expires * 1000))
    return {
        "mode": "dev" if person.development else "signed-in",
        "apiKey": person.key.api_key,
        "expires": expires,
    }


async def sign_in(call: Call) -> web.Response:
    context, body = call.context, call.body
    wait = context.sign_in_limiter.take(context.client_address(call.request))
    if wait:
        raise too_many(wait)
    key = await context.store.keys.find(body.api_key) if body.api_key.isprintable() else None
    secret = NO_SECRET if key is None else key.secret
    fits = hmac.compare_digest(secret.encode(), body.secret.encode())
    if key is None or key.disabled or not fits:
        raise Problem(401, "key and secret do not fit", name="SIGN_IN", headers={"WWW-Authenticate": "Cookie"})
    seconds = context.auth.session_hours * HOUR
    person = Person(key, False, context.wall() + seconds)
    response = web.json_response(_session(person))
    cookie = make_cookie(key, context.wall(), seconds)
    _set_cookie(call, response, cookie, int(seconds))
    return response


async def sign_out(call: Call) -> web.Response:
    response = web.json_response(_session(None))
    _set_cookie(call, response, "", 0)
    return response


def _set_cookie(call: Call, response: web.Response, value: str, max_age: int) -> None:
    secure = call.context.public_url(call.request).startswith("https:")
    response.set_cookie(
        COOKIE, value, max_age=max_age, path=COOKIE_PATH, httponly=True, samesite="Strict", secure=secure
    )


async def token(call: Call) -> dict[str, Any]:
    """For the person at the page: may moderate; short-lived, for one room if that is said."""
    person = await require_person(call.context, call.request)
    room = None if call.body.room_id is None else await _room(call, person, call.body.room_id)
    claims: dict[str, Any] = {"permissions": ALL_PERMISSIONS}
    if room is not None:
        claims["roomId"] = room.room_id
    if call.body.participant_id is not None:
        claims["participantId"] = call.body.participant_id
    signed, expires = _sign(call, person, claims, call.context.auth.page_token_hours * HOUR)
    return {"token": signed, "expires": expires, "roomId": None if room is None else room.room_id}


async def create_room(call: Call) -> dict[str, Any]:
    person = await require_person(call.context, call.request)
    options = RoomOptions(custom_room_id=call.body.custom_room_id)
    room, _ = await call.context.store.rooms.create(person.key.project_id, person.key.api_key, options)
    return render.room(room, call.context.public_url(call.request))


async def invite(call: Call) -> dict[str, Any]:
    """A link into one room. Its token is in the fragment, which browsers send to nobody and servers do not log."""
    body: models.Invite = call.body
    person = await require_person(call.context, call.request)
    room = await _room(call, person, body.room_id)
    hours = call.context.auth
    seconds = min(body.expires_in or hours.invite_hours * HOUR, hours.invite_max_hours * HOUR)
    permissions = ALL_PERMISSIONS if body.moderator else ["allow_join"]
    # Meeting only: an invited guest calls no REST.
    claims: dict[str, Any] = {"permissions": permissions, "roles": ["rtc"], "roomId": room.room_id}
    if body.participant_id is not None:
        claims["participantId"] = body.participant_id
    signed, expires = _sign(call, person, claims, seconds)
    name = "" if body.name is None else f"&name={quote(body.name, safe='')}"
    base = call.context.public_url(call.request)
    return {"url": f"{base}/meeting/{room.room_id}#token={signed}{name}", "expires": expires}


async def _room(call: Call, person: Person, name: str) -> Room:
    room = await call.context.store.rooms.find(person.key.project_id, name)
    if room is None:
        raise unknown_room()
    return room


def _sign(call: Call, person: Person, claims: dict[str, Any], seconds: float) -> tuple[str, str]:
    now = call.context.wall()
    signed = sign_token(person.key.api_key, person.key.secret, claims, now_wall=now, seconds=seconds)
    return signed, render.iso(int(now + seconds) * 1000)


TAG = "Console"

ENDPOINTS = (
    Endpoint("GET", "/console/session", who_am_i, "Who is signed in here", TAG,
             access=Access.CONSOLE, answer=answers.ConsoleSession),
    Endpoint("POST", "/console/sign-in", sign_in, "Sign in with key and secret", TAG,
             access=Access.CONSOLE, body=models.SignIn, answer=answers.ConsoleSession),
    Endpoint("POST", "/console/sign-out", sign_out, "Sign out", TAG,
             access=Access.CONSOLE, body=models.Nothing, answer=answers.ConsoleSession),
    Endpoint("POST", "/console/token", token, "A short-lived token for the page", TAG,
             access=Access.CONSOLE, body=models.PageToken, answer=answers.Token),
    Endpoint("POST", "/console/rooms", create_room, "Create a room", TAG,
             access=Access.CONSOLE, body=models.PageRoom, answer=answers.Room),
    Endpoint("POST", "/console/invite", invite, "A link that lets somebody into one room", TAG,
             access=Access.CONSOLE, body=models.Invite, answer=answers.InviteLink),
)  # fmt: skip

