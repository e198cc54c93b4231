"""Files of recordings and transcodings by signed links: whole or in ranges (RFC 9110 section 14), without a token.

The link names a row and one of its files, never a path; what is elsewhere than on this disk is redirected to.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
from email.utils import parsedate_to_datetime
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from tidegate.http import recording_models as models
from tidegate.http.endpoint import Access, Call, Endpoint
from tidegate.http.media_render import TIMELINE
from tidegate.http.problem import Problem, not_found
from tidegate.storage import StorageError
from tidegate.storage.links import PATH
from tidegate.storage.ports import disposition
from tidegate.store import Recording, Transcoding
from tidegate.store.media_models import ENDED_STATES

ONE_RANGE = re.compile(r"bytes=([0-9]+-[0-9]*|-0*[1-9][0-9]*)$")
REDIRECT_SECONDS = 3600.0  # of the object store's own link: long enough to begin with; a player asks ours again


class RangedFile(web.FileResponse):
    """aiohttp's, which refuses ranges that it does not know, and knows If-Range with a date only: both give the whole file."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        wanted, condition = request.headers.get(hdrs.RANGE), request.headers.get(hdrs.IF_RANGE)
        # RFC 9110 section 14.2: "MUST ignore a Range header field that contains a range unit it does not understand". Several
        # ranges at once MAY be ignored too. Section 13.1.5: if If-Range is false, "MUST ignore the Range header field".
        is_known = wanted is None or ONE_RANGE.match(wanted.strip()) is not None
        if not is_known or (condition is not None and not await self._holds(condition)):
            headers = request.headers.copy()
            headers.popall(hdrs.RANGE, None)
            request = request.clone(headers=headers)
        return await super().prepare(request)

    async def _holds(self, condition: str) -> bool:
        if condition.startswith('"'):
            try:
                found = await asyncio.to_thread(self._path.stat)
            except OSError:
                return True  # answered with 404 anyway
            return condition == f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        try:
            parsedate_to_datetime(condition)
        except ValueError:
            return False  # a weak tag too: section 13.1.5 forbids it
        return True  # the date is compared by aiohttp


async def download(call: Call) -> web.StreamResponse:
    row = await _find(call)
    name = call.path["name"]
    path = _path(row, name)
    storage = call.context.storage
    kept = None if path is None else storage.local_path(path)
    if path is None:
        raise not_found("file")
    if kept is not None:
        return await _serve(call, kept, name)
    try:
        method = "HEAD" if call.request.method == "HEAD" else "GET"
        address = await storage.url(path, REDIRECT_SECONDS, method=method)
    except StorageError as error:
        raise Problem(503, str(error), headers={"Retry-After": "5"}) from None
    if address is None:
        raise not_found("file")
    return web.Response(status=302, headers={"Location": address, "Referrer-Policy": "no-referrer"})


async def _find(call: Call) -> Recording | Transcoding:
    """The row that the link names, if its signature is good. Who has no good link learns nothing of what there is."""
    query: models.Download = call.query
    row_id, name, store = call.path["recordingId"], call.path["name"], call.context.store
    row = await store.recordings.get(row_id) or await store.transcodings.get(row_id)
    refused = Problem(403, "the link's signature is wrong: ask for the recording again")
    if row is None:
        raise refused
    signer, expires = await call.context.links.signer(row.project_id), int(query.expires)
    if not signer.is_signed(row_id, name, expires, query.signature):
        raise refused
    if signer.is_over(expires):
        raise Problem(410, "the link has expired: ask for the recording again")
    if row.deleted_at is not None or row.is_cleared:
        raise Problem(410, "the file was deleted")
    if row.state not in ENDED_STATES:
        raise Problem(409, "the file is not whole yet")
    return row


def _path(row: Recording | Transcoding, name: str) -> str | None:
    if name == TIMELINE and isinstance(row, Recording) and row.timeline:
        return row.timeline
    return next((entry.get("path") for entry in row.files if entry["name"] == name), None)


async def _serve(call: Call, path: Path, name: str) -> web.StreamResponse:
    if not await asyncio.to_thread(path.is_file):
        raise not_found("file")
    how = "attachment" if call.query.download == "1" else "inline"
    return RangedFile(
        path,
        chunk_size=256 * 1024,
        headers={
            hdrs.CONTENT_TYPE: mimetypes.guess_type(name)[0] or "application/octet-stream",
            hdrs.CONTENT_DISPOSITION: disposition(how, name),
            # The link is a secret until it expires, and so is what it opens: for the one who has it, not for shared caches.
            hdrs.CACHE_CONTROL: "private, max-age=3600",
            "Referrer-Policy": "no-referrer",
        },
    )


ENDPOINTS = (
    Endpoint("GET", PATH + "/{recordingId}/{name}", download, "A file by its signed link, whole or in ranges",
             "Recordings", access=Access.ANYBODY, query=models.Download,
             content_types={"answer": "application/octet-stream"}),
)  # fmt: skip
