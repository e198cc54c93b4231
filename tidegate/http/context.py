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
from tidegate.egress.requests import (
    BroadcastRequest,
    BroadcastTarget,
    CompositionPatch,
    MergeRequest,
    RecordingRequest,
)
from tidegate.events.bus import EventBus
from tidegate.events.log import EventLog
from tidegate.events.webhooks import Webhooks
from tidegate.http.ratelimit import RateLimiter
from tidegate.storage import Storage
from tidegate.storage.links import Links
from tidegate.store import Broadcast, Recording, Store, Transcoding


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


class Egress(Protocol):
    """Commands on what leaves a meeting. Whoever calls has found the row and checked the right to it.

    Each returns the row as it is in the store then. Refusals: PeerError or Problem, nothing begun and nothing half-made
    (409 such a one runs already, or it has ended; 404 no such participant in the room; 429 no room for another pipeline;
    503 the server shuts down; 507 the disk is full).
    """

    async def start_recording(self, request: RecordingRequest) -> Recording:
        """Its state is `starting`."""
        ...

    async def stop_recording(self, recording_id: str) -> Recording:
        """Begin its end: returns when that is written, not when the file is whole."""
        ...

    async def start_broadcast(self, request: BroadcastRequest) -> Broadcast: ...

    async def stop_broadcast(self, broadcast_id: str) -> Broadcast: ...

    async def add_output(self, broadcast_id: str, target: BroadcastTarget) -> Broadcast: ...

    async def remove_output(self, broadcast_id: str, output_id: str) -> Broadcast: ...

    async def update_composition(self, row_id: str, patch: CompositionPatch) -> Recording | Broadcast:
        """Change how a running recording or broadcast looks."""
        ...

    async def start_merge(self, request: MergeRequest) -> Transcoding: ...

    async def cancel_merge(self, transcoding_id: str) -> Transcoding: ...


async def _nothing() -> None:
    """Stands for the recorder where there is none."""


@dataclass(slots=True)
class HttpContext:
    """`wall` is Unix seconds, `now` monotonic seconds."""

    limits: LimitsConfig
    auth: AuthConfig
    store: Store
    meetings: Meetings
    egress: Egress
    storage: Storage
    links: Links
    bus: EventBus
    events: EventLog
    """Events of REST commands are written with their change."""
    webhooks: Webhooks
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
