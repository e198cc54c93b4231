"""What the signalling adapter needs of the media server, and what it asks of the application. Seams only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from media.codecs import Kind
from sfu.meeting.participant import CloseReason, JoinRequest, Participant, Quality, Track
from sfu.meeting.permissions import Grants, Source
from sfu.meeting.room import Room


@dataclass(frozen=True, slots=True)
class Admission:
    """What a token lets its bearer do in one room, as the application decided."""

    room_id: str
    grants: Grants
    participant_id: str | None = None  # None: the room makes one
    project_id: str | None = None
    session_id: str | None = None  # the id of the session that begins if the room is not live
    max_participants: int | None = None
    allowed_origins: tuple[str, ...] = ()  # of the key; empty: any


Authorize = Callable[[str, str, str | None], Awaitable[Admission]]
"""`await authorize(token, room_id, participant_id)`: PeerError when it is refused. `room_id` may be a custom room id."""


class Egress(Protocol):
    """What the application does at a participant's request: recordings, broadcasts, compositions."""

    async def command(self, participant: Participant, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of `method` (a key of `signalling_egress.GRANTS`), or PeerError.

        Whether the grants allow it has been looked at, `params` is any JSON object of bounded size. The participant may leave
        meanwhile: the command goes on and its answer is not sent. Bounds its own time. Cancelled when the server closes.
        """
        ...


class ConferencePort(Protocol):
    """Conference as signalling sees it. Refusals are PeerError. Each command of a room is Room's, carried out at once."""

    rooms: Mapping[str, Room]

    def join(self, request: JoinRequest, *, now: float) -> Participant: ...

    def resume(self, participant: Participant, *, now: float) -> None:
        """Signalling is back. An open subscribe offer is told again: the first may be lost."""
        ...

    def detach(self, participant: Participant, *, now: float) -> None: ...

    def leave(self, participant: Participant, reason: CloseReason, *, now: float) -> None: ...

    def end_for_all(self, by: Participant, *, now: float) -> None: ...

    def end_room(self, room_id: str, reason: CloseReason, *, now: float) -> bool: ...

    def announce(
        self,
        participant: Participant,
        *,
        source: Source,
        kind: Kind | None,
        name: str,
        muted: bool,
        width: int | None,
        height: int | None,
        simulcast: bool,
        now: float,
    ) -> Track: ...

    def publish(self, participant: Participant, sdp: str, bindings: Sequence[tuple[str, str]], *, now: float) -> str:
        """`bindings` are (mid, track_id). Returns the answer."""
        ...

    def unpublish(self, participant: Participant, track_id: str, *, now: float) -> None: ...

    def mute(self, participant: Participant, track_id: str, muted: bool, *, now: float) -> None: ...

    def subscribe_answer(self, participant: Participant, sdp: str, serial: int, *, now: float) -> bool:
        """False: the answer is to an older offer."""
        ...

    def restart_subscribe(self, participant: Participant, *, now: float) -> None: ...

    def want(
        self,
        participant: Participant,
        track_id: str,
        *,
        enabled: bool,
        quality: Quality | None,
        width: int | None,
        height: int | None,
        priority: int | None,
        now: float,
    ) -> None: ...

    def update(
        self,
        participant: Participant,
        *,
        display_name: str | None,
        meta_data: Any,
        attributes: dict[str, str | None] | None,
        if_version: int | None,
        now: float,
    ) -> int: ...

    def remove_by(self, by: Participant, participant_id: str, *, now: float) -> None: ...

    def moderate(
        self, by: Participant, participant_id: str, source: Source, enabled: bool, *, now: float
    ) -> None: ...

    def set_grants(self, by: Participant, participant_id: str, grants: Grants, *, now: float) -> None: ...

    def pin(
        self, by: Participant, participant_id: str, *, cam: bool | None, share: bool | None, now: float
    ) -> None: ...


class MediaServerPort(Protocol):
    """The shell that owns the Conference: after every command it is pumped."""

    @property
    def conference(self) -> ConferencePort: ...

    def now(self) -> float: ...

    def pump(self) -> None: ...

    def add_listener(self, listener: Callable[[Any], None]) -> None: ...

    def remove_listener(self, listener: Callable[[Any], None]) -> None: ...
