"""What HTTP handlers work with: the one object that the registry builds and hands to `create_app`.

Handlers reach the meeting plane through `Meetings` only, so that they can be tested with a stand-in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from media.ids import RandomBytes
from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants
from tidegate.config.model import AuthConfig, LimitsConfig
from tidegate.events.bus import EventBus
from tidegate.http.ratelimit import RateLimiter
from tidegate.store import Store


class Meetings(Protocol):
    """Commands of the meeting plane. Each one takes effect (events included) before it returns."""

    def end_room(self, room_id: str, reason: CloseReason) -> bool:
        """Put everybody out; False when nobody is in that room."""
        ...

    def remove(self, room_id: str, participant_id: str, reason: CloseReason) -> bool:
        """Put one participant out; False when there is no such participant."""
        ...

    def set_grants(self, room_id: str, participant_id: str, changes: dict[str, Any]) -> Grants:
        """Change the named grants of one participant; PeerError 4066 when there is no such participant."""
        ...


async def _nothing() -> None:
    """Stands for the recorder where there is none."""


@dataclass(slots=True)
class HttpContext:
    """`wall` is Unix seconds, `now` monotonic seconds."""

    limits: LimitsConfig
    auth: AuthConfig
    store: Store
    meetings: Meetings
    bus: EventBus
    wall: Callable[[], float]
    now: Callable[[], float]
    random_bytes: RandomBytes
    public_url: Callable[[web.Request], str]
    """`https://host[:port]`, no slash at the end: `publicUrl`, else what the request came to."""
    client_address: Callable[[web.Request], str]
    """The caller's address, behind a trusted proxy too."""
    ready: Callable[[], str | None]
    """None when the node takes work, else why not."""
    loopback: bool
    """HTTP is bound to loopback addresses only."""
    dev: bool = False
    """`--dev`: the development door is open on any binding."""
    allowed_hosts: frozenset[str] = frozenset()
    """Names (lower case) that the operator gave this server: the only ones for which `--dev` opens the door."""
    flush: Callable[[], Awaitable[None]] = _nothing
    """Waits until what the meeting plane told so far is in the store (`Recorder.flush`)."""
    key_limiter: RateLimiter = field(init=False)
    address_limiter: RateLimiter = field(init=False)
    sign_in_limiter: RateLimiter = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self.key_limiter = RateLimiter(limits.requests_per_second, limits.request_burst, self.now)
        self.address_limiter = RateLimiter(
            limits.address_requests_per_second, limits.address_request_burst, self.now
        )
        self.sign_in_limiter = RateLimiter(limits.sign_ins_per_minute / 60, int(limits.sign_ins_per_minute), self.now)
