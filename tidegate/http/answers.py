"""What answers look like, for `/openapi.json`: a test holds the real ones to these models."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Item = TypeVar("Item")
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class PageInfo(Answer):
    current_page: int
    per_page: int
    last_page: int
    total: int


class Page(Answer, Generic[Item]):
    page_info: PageInfo
    data: list[Item]


class Room(Answer):
    id: str
    room_id: str
    custom_room_id: str | None
    user_id: str
    disabled: bool
    webhook: dict[str, Any] | None
    auto_close_config: dict[str, Any]
    auto_start_config: dict[str, Any] | None
    multi_composition: dict[str, Any] | None
    allowed_participant_ids: list[str] | None
    created_at: Time
    updated_at: Time
    links: dict[str, str]


class DeactivatedRoom(Room):
    meeting_id: str
    user_meeting_id: str | None


class Span(Answer):
    start: Time
    end: Time | None


class ParticipantEvents(Answer):
    mic: list[Span]
    webcam: list[Span]
    screen_share: list[Span]
    screen_share_audio: list[Span]


class Participant(Answer):
    participant_id: str
    name: str
    timelog: list[Span]
    events: ParticipantEvents
    init_time: Time
    mode: str
    meta_data: Any
    device_info: dict[str, Any]


class Session(Answer):
    id: str
    room_id: str
    custom_room_id: str | None
    user_id: str
    api_key: str
    start: Time
    end: Time | None
    status: Literal["ongoing", "ended"]
    participants: list[Participant]
    participant_count: int
    hls_log: list[Any]
    links: dict[str, str]


class OneSession(Session):
    active_duration: Annotated[float, Field(description="Seconds.")]
    chat_link: str | None


class SessionPage(Answer):
    page_info: PageInfo
    data: OneSession


class ActivePage(Answer):
    page_info: PageInfo
    data: list[OneSession]


class Grants(Answer):
    publish: list[Literal["mic", "webcam", "screen", "screenAudio"]]
    subscribe: bool
    data: bool
    hidden: bool
    record: bool
    broadcast: bool
    hls: bool
    stream: bool
    upload: bool
    moderate: bool
    end: bool


class ChangedGrants(Answer):
    participant_id: str
    grants: Grants


class Status(Answer):
    status: str


class ConsoleSession(Answer):
    mode: Literal["dev", "signed-in", "signed-out"]
    """dev: the development door is open to whoever sits at this machine."""
    api_key: str | None
    expires: Time | None


class Token(Answer):
    token: str
    expires: Time
    room_id: str | None


class InviteLink(Answer):
    url: str
    expires: Time


class FieldError(Answer):
    path: str
    message: str


class Problem(Answer):
    type: str
    title: str
    status: int
    code: int
    name: str
    message: str
    request_id: str
    errors: list[FieldError] = []
