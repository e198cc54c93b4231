"""Bodies and queries of rooms, sessions, events and the console as pydantic models; those of media are in `composition_models` and `media_models`.

What all of them share is in `fields`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from media.ids import ROOM_ID
from tidegate.http.composition_models import AutoStartConfig
from tidegate.http.fields import (
    Body,
    Identifier,
    Millis,
    Paged,
    WithIdentifiers,
    check_identifier,
    check_web_address,
    without_controls,
)

# Rooms


class Webhook(Body):
    """Checked for form now, resolved at each delivery."""

    end_point: Annotated[str, Field(max_length=512, description="An https address.")]
    events: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z*-]+$")]],
        Field(min_length=1, max_length=64, description='Names, or patterns such as "session*".'),
    ]

    _check = field_validator("end_point")(check_web_address)


class AutoCloseConfig(Body):
    """Ends a session that has lasted `duration` minutes."""

    type: Literal["session-ends", "session-end-and-deactivate"] = "session-ends"
    duration: Annotated[int, Field(ge=1, le=525_600, description="Minutes.")] = 480


class MultiComposition(Body):
    recording: bool = False
    hls: bool = False
    rtmp: bool = False


class CreateRoom(WithIdentifiers, Body):
    unsupported: ClassVar[dict[str, str]] = {
        "geoFence": "this server is in one place",
        "region": "this server is in one place",
    }
    custom_room_id: Identifier | None = None
    webhook: Webhook | None = None
    auto_close_config: AutoCloseConfig = AutoCloseConfig()
    auto_start_config: AutoStartConfig | None = None
    multi_composition: MultiComposition | None = None
    allowed_participant_ids: Annotated[list[Identifier], Field(min_length=1, max_length=1000)] | None = None

    @field_validator("custom_room_id")
    @classmethod
    def check_custom_room_id(cls, value: str | None) -> str | None:
        if value is not None and (ROOM_ID.match(value) or is_document_id(value)):
            raise ValueError("has the form of an id that the server gives")
        return value

    @field_validator("allowed_participant_ids")
    @classmethod
    def check_allowed(cls, value: list[str] | None) -> list[str] | None:
        return value if value is None else [check_identifier(item) for item in value]


def is_document_id(value: str) -> bool:
    return len(value) == 24 and all(c in "0123456789abcdef" for c in value)


class DeactivateRoom(WithIdentifiers, Body):
    room_id: Identifier


class UpdateRoom(Body):
    status: Literal["enabled", "disabled"]


class ListRooms(Paged):
    query: Annotated[Identifier | None, Field(description="An exact roomId or customRoomId.")] = None


# Sessions


class ListSessions(Paged):
    room_id: Identifier | None = None
    custom_room_id: Identifier | None = None
    query: Annotated[Identifier | None, Field(description="An exact roomId, customRoomId or session id.")] = None
    status: Literal["ongoing", "ended"] | None = None
    start_date: Annotated[Millis | None, Field(description="Began at or after; Unix milliseconds.")] = None
    end_date: Annotated[Millis | None, Field(description="Began at or before; Unix milliseconds.")] = None


class EndSession(WithIdentifiers, Body):
    room_id: Identifier
    session_id: Identifier | None = None
    ignore_closed: Annotated[bool, Field(description="A session that has ended already is no error.")] = False
    vsdk_force_kill: Annotated[bool, Field(description="Accepted: a session always ends at once here.")] = False


class OfParticipant(WithIdentifiers, Body):
    participant_id: Identifier
    room_id: Identifier | None = None
    session_id: Identifier | None = None

    @model_validator(mode="after")
    def check_where(self) -> OfParticipant:
        if (self.room_id is None) == (self.session_id is None):
            raise ValueError("give roomId or sessionId, and not both")
        return self


class ChangeGrants(OfParticipant):
    grants: Annotated[dict[str, Any], Field(description="The grants that change: see docs/tokens.md.")]


class ListHls(Paged):
    room_id: Identifier | None = None
    session_id: Identifier | None = None
    query: Identifier | None = None


# The console


class SignIn(Body):
    api_key: Annotated[str, Field(min_length=1, max_length=128)]
    secret: Annotated[str, Field(min_length=1, max_length=512)]


class Nothing(Body):
    """An empty object."""


class PageToken(WithIdentifiers, Body):
    room_id: Identifier | None = None
    participant_id: Identifier | None = None


class PageRoom(WithIdentifiers, Body):
    custom_room_id: Identifier | None = None

    _check = field_validator("custom_room_id")(CreateRoom.check_custom_room_id.__func__)  # type: ignore[attr-defined]


class Invite(WithIdentifiers, Body):
    room_id: Identifier
    participant_id: Annotated[Identifier | None, Field(description="Good for this participant only.")] = None
    name: Annotated[str | None, Field(max_length=128, description="Shown before they type one.")] = None
    moderator: bool = False
    expires_in: Annotated[int | None, Field(ge=60, description="Seconds.")] = None

    @field_validator("name")
    @classmethod
    def check_name(cls, value: str | None) -> str | None:
        return value if value is None else without_controls(value)
