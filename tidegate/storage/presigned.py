"""A finished file to an address that the caller signed: one PUT, past the guard of outgoing requests."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path

import aiohttp

from tidegate.outgoing import OutgoingGuard, OutgoingRefused
from tidegate.storage.ports import StorageError, UploadRefused

CONNECT_SECONDS = 10.0
STALL_SECONDS = 60.0  # without a byte taken or an answer
FOR_EVER = frozenset({400, 401, 403, 404, 405, 410, 411, 413, 415})  # asking again would be answered the same


async def put_presigned(guard: OutgoingGuard, url: str, local: Path) -> None:
    """The file stays where it is. UploadRefused when another attempt is no use, StorageError when it may be."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS)
    size = (await asyncio.to_thread(local.stat)).st_size
    # S3 takes no chunked body with a signature of this kind: the length is said.
    kind = mimetypes.guess_type(local.name)[0] or "application/octet-stream"
    headers = {"Content-Length": str(size), "Content-Type": kind}
    try:
        async with await guard.guarded_session(url, timeout=timeout) as session:
            with await asyncio.to_thread(local.open, "rb") as file:
                async with session.put(url, data=file, headers=headers, allow_redirects=False) as answer:
                    status = answer.status
    except OutgoingRefused as error:
        raise UploadRefused(f"the upload address is refused: {error}") from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise StorageError(f"the upload failed ({type(error).__name__})") from None  # its own words quote the address
    if status in FOR_EVER or 300 <= status < 400:
        raise UploadRefused(f"the upload address answered {status}")
    if not 200 <= status < 300:
        raise StorageError(f"the upload address answered {status}")
