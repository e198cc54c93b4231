"""The server about itself: is it alive, does it take work, what does its API look like."""

from __future__ import annotations

from functools import cache
from importlib import resources

from aiohttp import web

from tidegate.http import answers
from tidegate.http.endpoint import Access, Call, Endpoint
from tidegate.http.problem import Problem

STORE_PATIENCE = 2.0  # seconds
DOCS_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


async def healthz(call: Call) -> dict[str, str]:
    return {"status": "ok"}


async def readyz(call: Call) -> dict[str, str]:
    why = call.context.ready()
    if why is None and not await call.context.store.answers(STORE_PATIENCE):
        why = "the store does not answer"
    if why is not None:
        raise Problem(503, why, name="NOT_READY", headers={"Retry-After": "5"})
    return {"status": "ready"}


async def openapi(call: Call) -> web.Response:
    from tidegate.http.openapi import document_text

    return web.Response(text=document_text(), content_type="application/json", headers={"Cache-Control": "no-cache"})


async def docs(call: Call) -> web.Response:
    return _file("docs.html", "text/html", {"Content-Security-Policy": DOCS_POLICY, "Referrer-Policy": "no-referrer"})


async def docs_script(call: Call) -> web.Response:
    return _file("docs.js", "text/javascript", {})


async def docs_style(call: Call) -> web.Response:
    return _file("docs.css", "text/css", {})


def _file(name: str, content_type: str, headers: dict[str, str]) -> web.Response:
    headers = {"Cache-Control": "no-cache", **headers}
    return web.Response(text=_read(name), content_type=content_type, charset="utf-8", headers=headers)


@cache
def _read(name: str) -> str:
    return (resources.files("tidegate.http") / "docs" / name).read_text(encoding="utf-8")


TAG = "About"


def _open(path: str, handler, summary: str, **more) -> Endpoint:
    return Endpoint("GET", path, handler, summary, TAG, access=Access.ANYBODY, needs=(), **more)


ENDPOINTS = (
    _open("/healthz", healthz, "The process is alive", answer=answers.Status),
    _open("/readyz", readyz, "The server takes work: 503 while it starts or drains", answer=answers.Status),
    _open("/openapi.json", openapi, "This description", content_types={"answer": "application/json"}),
    _open("/docs", docs, "This description, for people", content_types={"answer": "text/html"}),
    _open("/docs/docs.js", docs_script, "The script of that page", content_types={"answer": "text/javascript"}),
    _open("/docs/docs.css", docs_style, "The style of that page", content_types={"answer": "text/css"}),
)
