"""The pages, their modules and the SDK, as files from the wheel or the clone, with the headers that guard them.

Answers to `GET /`, `/meeting/{roomId}`, `/web/…`, `/sdk/…`. Not here: the routes that the pages call (`http/console.py`).
"""

from __future__ import annotations

import hashlib
import mimetypes
from importlib import resources
from pathlib import Path

from aiohttp import web

# Our own modules pass it; nothing inline, nothing from elsewhere, nobody frames us. `connect-src` names ws: because Safari
# does not count a WebSocket to the page's own origin as 'self'. `media-src` names https: because a recording's link may lead
# on to an object store.
CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' https: blob: mediastream:; "
    "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",  # an invite's address is nobody else's
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self)",
}
SDK_HEADERS = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "cross-origin"}
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


def web_root() -> Path:
    """Where the web files are: in the installed package, or beside it in a clone."""
    packaged = Path(str(resources.files("tidegate"))) / "_web"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "web"


class Pages:
    """Files are read at the start and served from memory: few, small, and no disk is touched by a request."""

    def __init__(self, root: Path) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}  # path -> body, type, etag
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                body = path.read_bytes()
                kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
                self._files[path.relative_to(root).as_posix()] = (body, kind, etag)

    async def start(self, request: web.Request) -> web.Response:
        return self._answer(request, "index.html", HEADERS)

    async def meeting(self, request: web.Request) -> web.Response:
        return self._answer(request, "meeting.html", HEADERS)

    async def asset(self, request: web.Request) -> web.Response:
        return self._answer(request, request.match_info["path"], HEADERS)

    async def sdk(self, request: web.Request) -> web.Response:
        """For pages of any origin: CORS is added by the middleware."""
        return self._answer(request, "sdk/" + request.match_info["path"], SDK_HEADERS)

    def _answer(self, request: web.Request, name: str, headers: dict[str, str]) -> web.Response:
        found = self._files.get(name)
        if found is None:
            raise web.HTTPNotFound
        body, kind, etag = found
        # Revalidated each time: a module of an old version beside a new one is worse than a 304.
        headers = {**headers, "ETag": etag, "Cache-Control": "no-cache"}
        # RFC 9110 section 13.1.2: "A recipient MUST use the weak comparison function": a proxy that compresses marks it weak.
        if any(known.value in ("*", etag.strip('"')) for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        charset = "utf-8" if kind.startswith("text/") or kind.endswith(("json", "svg+xml")) else None
        return web.Response(body=body, content_type=kind, charset=charset, headers=headers)
