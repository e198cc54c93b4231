"""Bodies and queries as pydantic models: they validate, and `/openapi.json` is made from them.

Bodies are strict: "1" is no number, an unknown field is an error with its path. A null is the same as an absent field. Answers
are described here too, but not validated on their way out.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from media.ids import ROOM_ID
from tidegate.auth import MAX_ID_CHARS, is_identifier
from tidegate.http.problem import UNSUPPORTED


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=True)


class Body(Model):
    """`unsupported`: fields of the reference that we do not have, and what to say about each."""

    unsupported: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def refuse_unsupported(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, why in cls.unsupported.items():
                if data.get(name) is not None:
                    raise PydanticCustomError(UNSUPPORTED, "{field} is not supported: {why}", {"field": name, "why": why})
            return {key: value for key, value in data.items() if value is not None and key not in cls.unsupported}
        return data


class Query(Model):
    """Parameters come as text, so numbers are read from it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", strict=False)


def _identifier(value: str) -> str:
    if not is_identifier(value):
        raise ValueError(f"1 to {MAX_ID_CHARS} visible characters, no spaces")
    return value


def _no_controls(value: str) -> str:
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return value


Identifier = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)]
PageNumber = Annotated[int, Field(ge=1, le=1_000_000)]
PageSize = Annotated[int, Field(ge=1, le=100)]
Millis = Annotated[int, Field(ge=0, le=253_402_300_799_000)]  # the year 9999


class WithIdentifiers(Model):
    """Checks the form of every field that names something."""

    @field_validator("room_id", "custom_room_id", "participant_id", "session_id", "query", check_fields=False)
    @classmethod
    def check_identifier(cls, value: Any) -> Any:
        return value if value is None else _identifier(value)


# Rooms


class Webhook(Body):
    """Checked for form now, resolved at each delivery."""

    end_point: Annotated[str, Field(max_length=512, description="An https address.")]
    events: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z*-]+$")]],
        Field(min_length=1, max_length=64, description='Names, or patterns such as "session*".'),
    ]

    @field_validator("end_point")
    @classmethod
    def check_end_point(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or not value.isprintable() or " " in value:
            raise ValueError("must be an address of the form https://host/path")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not contain a user or password")
        return value


class AutoCloseConfig(Body):
    """Ends a session that has lasted `duration` minutes."""

    type: Literal["session-ends", "session-end-and-deactivate"] = "session-ends"
    duration: Annotated[int, Field(ge=1, le=525_600, description="Minutes.")] = 480


class Layout(Body):
    type: Literal["GRID", "SPOTLIGHT", "SIDEBAR"] = "GRID"
    priority: Literal["SPEAKER", "PIN"] = "SPEAKER"
    grid_size: Annotated[int, Field(ge=0, le=25)] = 25


class CompositionConfig(Body):
    """How a composition looks; reference section 2.3."""

    layout: Layout | None = None
    theme: Literal["DARK", "LIGHT", "DEFAULT"] = "DEFAULT"
    mode: Literal["video-and-audio", "audio"] = "video-and-audio"
    quality: Literal["low", "med", "high"] = "med"
    orientation: Literal["landscape", "portrait"] = "landscape"


NO_TEMPLATES = "compositions are laid out by the server, not by a page"
NO_TRANSCRIPTION = "there is no transcription"
NO_STORAGE = "where recordings are kept is set for the server"


class AutoStart(Body):
    unsupported: ClassVar[dict[str, str]] = {
        "templateUrl": NO_TEMPLATES,
        "transcription": NO_TRANSCRIPTION,
        "awsDirPath": NO_STORAGE,
        "bucketDirPath": NO_STORAGE,
        "preSignedUrl": NO_STORAGE,
    }
    config: CompositionConfig | None = None


class AutoStartConfig(Body):
    """Kept with the room, for when compositions come."""

    unsupported: ClassVar[dict[str, str]] = {"composite": "composite recordings do not start by themselves"}
    recording: AutoStart | None = None
    hls: AutoStart | None = None


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
        return value if value is None else [_identifier(item) for item in value]


def is_document_id(value: str) -> bool:
    return len(value) == 24 and all(c in "0123456789abcdef" for c in value)


class DeactivateRoom(WithIdentifiers, Body):
    room_id: Identifier


class UpdateRoom(Body):
    status: Literal["enabled", "disabled"]


class Paged(WithIdentifiers, Query):
    page: PageNumber = 1
    per_page: PageSize = 20


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


# Lists that are still empty


class ListRecordings(Paged):
    room_id: Identifier | None = None
    session_id: Identifier | None = None
    participant_id: Identifier | None = None
    query: Identifier | None = None
    with_transcription: bool | None = None


class ListComposed(Paged):
    room_id: Identifier | None = None
    session_id: Identifier | None = None
    query: Identifier | None = None


# Events


class ReadEvents(WithIdentifiers, Query):
    room_id: Annotated[Identifier | None, Field(description="A roomId or customRoomId.")] = None
    type: Annotated[
        str | None,
        Field(max_length=512, pattern=r"^[a-z*-]+(,[a-z*-]+){0,31}$", description="Names or patterns, comma-separated: session*,participant-left"),
    ] = None
    after: Annotated[str | None, Field(max_length=64, description="Not supported yet.")] = None


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
        return value if value is None else _no_controls(value)
