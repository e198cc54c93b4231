"""Answers to bad requests: problem+json (RFC 9457) with `code`, `name`, `message`, `requestId`, `errors`.

`code` is a number of docs/signalling.md where that has one, else the HTTP status.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from media.errors import PeerError
from tidegate.storage.ports import DiskFull
from tidegate.workers.budget import WorkersBusy

# HTTP status of each code. 401: the token is refused whole. 403: it is good, but not for this.
STATUS_OF_CODE = {
    4001: 401, 4002: 401, 4008: 401, 4053: 401, 4100: 401, 4101: 401, 4102: 401, 4103: 401,
    4022: 403, 4023: 403, 4024: 403, 4025: 403, 4093: 403,
    4003: 404, 4066: 404, 4095: 404,
    4004: 400, 4051: 400, 4090: 400, 4092: 400,
    4005: 409, 4094: 409, 4097: 409,
    4011: 409, 4012: 409, 4013: 409, 4014: 409, 4016: 409, 4017: 409, 4018: 409, 4019: 409, 4020: 409,
    4015: 400, 4021: 400,
    4009: 403,
    4052: 402,  # as the reference: a disabled room is told apart from an unknown one
    4091: 413,
    4098: 503,
    5000: 500,
}  # fmt: skip


class Problem(Exception):
    """Raised by handlers and what they call; the outermost middleware renders it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: int | None = None,
        name: str | None = None,
        errors: Sequence[tuple[str, str]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or status
        self.name = name or HTTPStatus(status).name
        self.errors = errors
        self.headers = headers or {}

    @classmethod
    def from_peer_error(cls, error: PeerError) -> Problem:
        if isinstance(error, WorkersBusy):  # unlike a server that shuts down or starts, it serves everything else
            headers = {"Retry-After": str(error.retry_after)}
            return cls(429, error.reason, code=error.code, name=error.name, headers=headers)
        status = 507 if isinstance(error, DiskFull) else STATUS_OF_CODE.get(error.code, 400)
        # RFC 9110 section 11.6.1: a 401 MUST say how to authenticate.
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return cls(status, error.reason, code=error.code, name=error.name, headers=headers)

    def render(self, request_id: str) -> web.Response:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "name": self.name,
            "message": self.message,
            "requestId": request_id,
        }
        if self.errors:
            body["errors"] = [{"path": path, "message": message} for path, message in self.errors]
        headers = {**self.headers, "Content-Type": "application/problem+json"}
        return web.Response(status=self.status, body=json.dumps(body).encode(), headers=headers)


def not_found(what: str) -> Problem:
    return Problem(404, f"no such {what}")


def unknown_room() -> Problem:
    return Problem(404, "no such room", code=4003, name="INVALID_MEETING_ID")


def unsupported(path: str, message: str) -> Problem:
    """A field or parameter of the reference that we do not have: said, never ignored."""
    return Problem(501, message, errors=[(path, message)])


# Types of pydantic errors that `fields.py` raises; both carry a path below their own as "field".
UNSUPPORTED = "unsupported"  # means 501
PATHED = "pathed"


def from_validation(error: ValidationError) -> Problem:
    """400 with a path for each mistake; 501 if a field is one that we do not support."""
    details = error.errors(include_url=False, include_context=True, include_input=False)
    missing = [item for item in details if item["type"] == UNSUPPORTED]
    if missing:
        errors = [(_path_of(item), f"{_path_of(item)} is not supported: {item['ctx']['why']}") for item in missing]
        return Problem(501, errors[0][1], errors=errors)
    errors = [(_path_of(item), _words(item["msg"])) for item in details]
    path, message = errors[0]
    return Problem(400, f"{path}: {message}" if path else message, name="INVALID_REQUEST", errors=errors)


def _path_of(item: Any) -> str:
    below = (item["ctx"]["field"],) if item["type"] in (UNSUPPORTED, PATHED) and item["ctx"]["field"] else ()
    return join_path((*item["loc"], *below))


def join_path(parts: Iterable[str | int]) -> str:
    """("webhook", "events", 0) -> webhook.events[0]"""
    text = ""
    for part in parts:
        piece = f"[{part}]" if isinstance(part, int) else str(part)
        text += f".{piece}" if text and not piece.startswith("[") else piece
    return text


def _words(message: str) -> str:
    """Pydantic's words without its prefix for errors of our own validators, and without names of our classes."""
    if message.startswith("Input should be a valid dictionary"):
        return "must be an object"
    return message.removeprefix("Value error, ")
