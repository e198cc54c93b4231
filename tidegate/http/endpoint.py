"""The form of a route: one `Endpoint` says what it takes, who may call it and what it answers.

`routes.py` turns endpoints into aiohttp routes, `openapi.py` into `/openapi.json`; so the two cannot differ. What is
served raw (WHIP, signalling) has an endpoint too: `raw` names the handler, which gets the bare request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import BaseModel

from tidegate.auth import Identity

if TYPE_CHECKING:
    from tidegate.http.context import HttpContext


class Access(Enum):
    """Who may call."""

    ANYBODY = "anybody"
    TOKEN = "token"
    """A token whose roles allow REST."""
    CONSOLE = "console"
    """The page on our own origin: a signed-in person or the development door. Never another origin."""


@dataclass(slots=True)
class Call:
    """One request, as a handler sees it: authenticated, validated."""

    request: web.Request
    context: HttpContext
    request_id: str
    identity: Identity | None
    """Set for Access.TOKEN."""
    body: Any = None
    query: Any = None

    @property
    def who(self) -> Identity:
        assert self.identity is not None, "only endpoints with Access.TOKEN have an identity"
        return self.identity

    @property
    def path(self) -> Any:
        return self.request.match_info


Handler = Callable[[Call], Awaitable[Any]]
"""Returns what JSON can say (status 200, or the endpoint's), or a response of its own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: str
    """As aiohttp writes it: `/v2/rooms/{roomId}`."""
    handler: Handler | None
    """None for raw ones."""
    summary: str
    tag: str
    access: Access = Access.TOKEN
    needs: tuple[str, ...] = ("join",)
    """Grants that a token must have; any one of a name like `join|ask`."""
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    raw: str | None = None
    """Name of a handler given to `create_app`, which takes the bare request and does everything by itself."""
    content_types: dict[str, str] = field(default_factory=dict)
    """Where it is not JSON: {"request": "application/sdp", "answer": "application/sdp"}."""
    max_body_bytes: int | None = None
    """Where limits.max_body_bytes is too little: bodies that hold pictures."""
    parameters: tuple[str, ...] = ()
    """Query parameters of a raw endpoint."""
