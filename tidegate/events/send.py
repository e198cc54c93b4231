"""One attempt at one webhook: a POST through the outgoing guard, redirects looked at one by one, and what came of it.

A redirect is followed when it keeps the POST (307, 308; RFC 9110 section 15.4): the next address passes the guard as the first did.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import aiohttp

from tidegate.events.policy import Outcome
from tidegate.logs import scrub
from tidegate.outgoing import OutgoingGuard, OutgoingRefused

MAX_REDIRECTS = 3
MAX_ANSWER = 4096  # bytes of an answer that are read and kept: enough to see what is wrong
ANSWER_PATIENCE = 2.0  # seconds for those bytes, once the status has said what it comes to
KEEPS_POST = frozenset({307, 308})
BECOMES_GET = frozenset({300, 301, 302, 303})


class Sender:
    """`timeout`: seconds for the whole attempt, names and redirects included. `wall`: Unix seconds."""

    def __init__(self, guard: OutgoingGuard, timeout: float, wall: Callable[[], float] = time.time) -> None:
        self._guard = guard
        self._timeout = timeout
        self._wall = wall

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Never raises for what the receiver, its name or its address does."""
        try:
            async with asyncio.timeout(self._timeout) as limit:
                return await self._follow(url, body, headers, limit)
        except TimeoutError:
            return Outcome(error=f"no answer within {self._timeout:g} s")
        except OutgoingRefused as refused:
            return Outcome(error=f"refused by this server: {refused}")
        except aiohttp.ClientConnectorCertificateError:
            return Outcome(error="its certificate is not valid for this address")
        except aiohttp.ClientConnectorDNSError:
            return Outcome(error="its name has no address")
        except aiohttp.ClientConnectorError as error:
            return Outcome(error=f"no connection: {_words(error.os_error)}")
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionError):
            return Outcome(error="the connection broke off before the answer")
        except aiohttp.ClientError as error:
            return Outcome(error=f"no proper HTTP answer ({type(error).__name__})")
        except OSError:
            return Outcome(error="its name has no address")

    async def _follow(self, url: str, body: bytes, headers: Mapping[str, str], limit: asyncio.Timeout) -> Outcome:
        for _ in range(MAX_REDIRECTS + 1):
            async with (
                await self._guard.guarded_session(url, timeout=aiohttp.ClientTimeout(total=None)) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                status, location = response.status, response.headers.get("Location")
                if status in KEEPS_POST and location:
                    url = _next(url, location)
                    continue
                limit.reschedule(None)  # a 2xx counts, however slowly the rest comes
                answer = await _read_head(response)
                retry_after = _seconds(response.headers.get("Retry-After"), self._wall())
                response.close()  # whatever else it says is not read
            return Outcome(status, _error(status), answer, retry_after)
        return Outcome(status, f"redirects more than {MAX_REDIRECTS} times")


def _next(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise OutgoingRefused("it redirects to what is not an address") from None


def _words(error: OSError) -> str:
    """Connection refused, No route to host..."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 and not isinstance(error, ssl.SSLError) else "TLS failed"


def _error(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if status in BECOMES_GET:
        return f"redirects by {status}, which would turn the POST into a GET: answer 307 or 308, or give the new address"
    return f"answered {status}"


async def _read_head(response: aiohttp.ClientResponse) -> str:
    head = b""
    try:
        async with asyncio.timeout(ANSWER_PATIENCE):
            while len(head) < MAX_ANSWER:
                part = await response.content.read(MAX_ANSWER - len(head))
                if not part:
                    break
                head += part
    except (aiohttp.ClientError, ConnectionError, TimeoutError):
        pass  # the status was there: what it meant to say besides is of no weight
    return scrub(head.decode("utf-8", "replace"))


def _seconds(retry_after: str | None, now: float) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after[:12])
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, moment.timestamp() - now)
