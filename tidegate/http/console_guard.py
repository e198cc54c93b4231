"""Who may use the console's own routes: a signed-in person, or whoever sits at this machine (the development door)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import jwt
from aiohttp import web

from tidegate.http.problem import Problem
from tidegate.store import ApiKey

if TYPE_CHECKING:
    from tidegate.http.context import HttpContext

COOKIE = "tidegate_console"
COOKIE_PATH = "/console"  # sent nowhere else: the API takes tokens only
AUDIENCE = "tidegate-console"
FORWARDING_HEADERS = ("forwarded", "via", "x-real-ip")  # and X-Forwarded-…: proxies set whichever they know


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at the console. `development`: let in by the development door, without sign-in."""

    key: ApiKey
    development: bool
    expires: float | None


async def find_person(context: HttpContext, request: web.Request) -> Person | None:
    """By the cookie; else by the development door, where that is open."""
    person = await _signed_in(context, request)
    if person is None and is_door_open(context, request):
        key = await _first_key(context)
        if key is not None:
            return Person(key, True, None)
    return person


async def require_person(context: HttpContext, request: web.Request) -> Person:
    person = await find_person(context, request)
    if person is None:
        raise Problem(401, "sign in first", name="SIGN_IN", headers={"WWW-Authenticate": "Cookie"})
    return person


def is_door_open(context: HttpContext, request: web.Request) -> bool:
    """`--dev`, or HTTP on loopback; and the request's own Host says so too.

    A page on the internet can let its name point to 127.0.0.1 (DNS rebinding): then Host is that name. What comes
    through a proxy is not from this machine, whatever its Host: the forwarding headers give it away.
    """
    host = host_name(request.host)
    if not (context.dev or context.loopback) or host is None:
        return False
    if is_loopback_name(host):
        return context.dev or is_from_this_machine(request, context.public_url(request))
    # An address cannot be rebound; a name must be one that the operator gave.
    return context.dev and (is_address(host) or host in context.allowed_hosts)


def is_from_this_machine(request: web.Request, public_url: str) -> bool:
    """For what is open on loopback: asked for by a loopback name, not through a proxy, and the server is known by no other name."""
    host = host_name(request.host)
    public = urlsplit(public_url).hostname or ""
    return host is not None and is_loopback_name(host) and is_loopback_name(public) and not is_forwarded(request)


def is_forwarded(request: web.Request) -> bool:
    names = [name.lower() for name in request.headers]
    return any(name.startswith("x-forwarded-") or name in FORWARDING_HEADERS for name in names)


def host_name(host: str) -> str | None:
    """The name in a Host header, lower case, no port; None for what is not one."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").rstrip(".") or None
    except ValueError:
        return None


def is_loopback_name(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or (is_address(host) and ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def require_same_origin(context: HttpContext, request: web.Request) -> None:
    """403 for a request that a page of another site made: the console is for its own page only."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    if site not in ("same-origin", "none") or (origin is not None and not _is_own(context, request, origin)):
        raise Problem(403, "the console answers its own page only", name="OTHER_ORIGIN")


def _is_own(context: HttpContext, request: web.Request, origin: str) -> bool:
    return origin in (context.public_url(request), f"{request.scheme}://{request.host}")


def make_cookie(key: ApiKey, now_wall: float, seconds: float) -> str:
    """What a signed-in browser keeps. Signed by the key's secret: rotating or disabling the key signs everybody out."""
    claims = {"apikey": key.api_key, "aud": AUDIENCE, "exp": int(now_wall + seconds)}
    return jwt.encode(claims, _cookie_secret(key), algorithm="HS256")


def _cookie_secret(key: ApiKey) -> bytes:
    """Derived, so that a cookie is never a token for the API, nor a token a cookie."""
    return hmac.digest(key.secret.encode(), AUDIENCE.encode(), hashlib.sha256)


async def _signed_in(context: HttpContext, request: web.Request) -> Person | None:
    cookie = request.cookies.get(COOKIE, "")
    if not 0 < len(cookie) <= 1024 or not cookie.isascii():
        return None
    try:
        name = jwt.decode(cookie, options={"verify_signature": False}).get("apikey")
        if not isinstance(name, str) or not name.isprintable():
            return None
        key = await context.store.keys.find(name)
        if key is None or key.disabled:
            return None
        options = {"verify_exp": False, "require": ["exp"]}  # by our own clock, below
        claims = jwt.decode(cookie, _cookie_secret(key), algorithms=["HS256"], audience=AUDIENCE, options=options)
    except (jwt.PyJWTError, RecursionError):
        return None
    expires = float(claims["exp"])
    return Person(key, False, expires) if expires > context.wall() else None


async def _first_key(context: HttpContext) -> ApiKey | None:
    """The key of the first start, or the oldest that is not disabled."""
    project = await context.store.projects.first()
    if project is None:
        return None
    keys = [key for key in await context.store.keys.list(project.id) if not key.disabled]
    return keys[-1] if keys else None
