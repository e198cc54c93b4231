"""Signalling messages as docs/signalling.md says: requests parsed and checked, answers and events written.

Knows JSON and nothing of sockets or rooms' rules. What people send is strict: an unknown field is an error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from pydantic.alias_generators import to_camel

from media.codecs import Kind
from media.errors import PeerError
from sfu.meeting.participant import CloseReason, Mode, ParticipantInfo, Quality, Track
from sfu.meeting.permissions import Source
from sfu.meeting.refusals import Refusal

MAX_DEPTH = 32  # of nested values; what we parse must also be written again by every reader
MAX_ID = 2**53 - 1  # what a JavaScript number holds
MAX_SDP = 65536  # characters; SfuConfig.max_sdp_bytes decides, this bounds the error
MAX_ERRORS = 3  # named in one answer

Dimension = Field(default=None, ge=1, le=16384)  # pixels of a side


class Params(BaseModel):
    """Base of all `params`."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, frozen=True)


class NoParams(Params):
    pass


class Sdk(BaseModel):
    """Who made the client, for the log; further fields are no business of ours."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: str = Field(default="", max_length=64)
    version: str = Field(default="", max_length=64)


class JoinParams(Params):
    token: str = Field(max_length=16384, repr=False)
    room_id: str = Field(max_length=128)
    participant_id: str | None = Field(default=None, max_length=128)
    display_name: str | None = None
    meta_data: Any = None
    attributes: dict[str, str] | None = None
    mode: Literal["SEND_AND_RECV", "RECV_ONLY", "SIGNALLING_ONLY"] = "SEND_AND_RECV"
    resume_token: str | None = Field(default=None, max_length=128, repr=False)
    auto_subscribe: bool = True
    sdk: Sdk | None = None


class AnnounceParams(Params):
    source: Literal["mic", "webcam", "screen", "screenAudio"]
    kind: Literal["audio", "video"]
    name: str | None = None
    muted: bool = False
    width: int | None = Dimension
    height: int | None = Dimension
    simulcast: bool = False


class Binding(Params):
    mid: str = Field(min_length=1, max_length=32)
    track_id: str = Field(max_length=64)


class PublishParams(Params):
    sdp: str = Field(max_length=MAX_SDP)
    tracks: list[Binding] = Field(max_length=128)


class TrackParams(Params):
    track_id: str = Field(max_length=64)


class MuteParams(TrackParams):
    muted: bool


class SubscribeAnswerParams(Params):
    sdp: str = Field(max_length=MAX_SDP)
    serial: int = Field(ge=0, le=MAX_ID)


class SubscribeParams(TrackParams):
    enabled: bool
    quality: Literal["low", "med", "high"] | None = None
    width: int | None = Dimension
    height: int | None = Dimension
    priority: int | None = Field(default=None, ge=-100, le=100)


class CandidateParams(Params):
    connection: Literal["publish", "subscribe"]
    candidate: str = Field(max_length=1024)
    sdp_mid: str | None = Field(default=None, max_length=32)
    sdp_m_line_index: int | None = Field(default=None, ge=0, le=1024, alias="sdpMLineIndex")


class UpdateParams(Params):
    display_name: str | None = None
    meta_data: Any = None
    attributes: dict[str, str | None] | None = None
    if_version: int | None = Field(default=None, ge=0, le=MAX_ID)


class ParticipantParams(Params):
    participant_id: str = Field(max_length=128)


class ModerateParams(ParticipantParams):
    source: Literal["mic", "webcam", "screen", "screenAudio"]
    enabled: bool


class SetGrantsParams(ParticipantParams):
    grants: dict[str, Any]


class PinParams(ParticipantParams):
    type: Literal["SHARE_AND_CAM", "CAM", "SHARE"] = "SHARE_AND_CAM"


class OpenParams(RootModel[dict[str, Any]]):
    """Any object: whoever carries the request out looks into it."""


METHODS: Mapping[str, type[BaseModel]] = {
    "join": JoinParams,
    "leave": NoParams,
    "end": NoParams,
    "announce": AnnounceParams,
    "publish": PublishParams,
    "unpublish": TrackParams,
    "mute": MuteParams,
    "subscribe-answer": SubscribeAnswerParams,
    "subscribe": SubscribeParams,
    "candidate": CandidateParams,
    "restart-subscribe": NoParams,
    "update": UpdateParams,
    "remove": ParticipantParams,
    "moderate": ModerateParams,
    "set-grants": SetGrantsParams,
    "pin": PinParams,
    "unpin": PinParams,
    "start-recording": OpenParams,
    "stop-recording": OpenParams,
    "start-livestream": OpenParams,
    "stop-livestream": OpenParams,
    "update-composition": OpenParams,
    "ping": NoParams,
}

QUALITIES = {"low": Quality.LOW, "med": Quality.MED, "high": Quality.HIGH}
SOURCES = {source.value: source for source in Source}
KINDS = {kind.value: kind for kind in Kind}
MODES = {mode.value: mode for mode in Mode}


@dataclass(frozen=True, slots=True)
class Request:
    """`params` is the model of METHODS[method]."""

    id: int
    method: str
    params: BaseModel


class InvalidMessage(Exception):
    """A message that is not a request of ours; `id` is that of the answer, None where none could be read."""

    def __init__(self, id: int | None, reason: str) -> None:
        super().__init__(reason)
        self.id = id
        self.error = Refusal.INVALID_MESSAGE(reason)


def parse_request(text: str) -> Request:
    """Raises InvalidMessage, nothing else, whatever the text."""
    try:
        message = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidMessage(None, "not JSON") from None
    if not isinstance(message, dict):
        raise InvalidMessage(None, "a message is an object with id, method and params")
    request_id = message.get("id")
    if not isinstance(request_id, int) or isinstance(request_id, bool) or not 0 <= request_id <= MAX_ID:
        raise InvalidMessage(None, "id: must be an integer from 0 to 2^53-1")
    try:
        _check_values(message)
    except _Unwritable as error:
        raise InvalidMessage(request_id, str(error)) from None
    unknown = next((key for key in message if key not in ("id", "method", "params")), None)
    if unknown is not None:
        raise InvalidMessage(request_id, f"{unknown[:40]}: unknown field")
    method = message.get("method")
    model = METHODS.get(method) if isinstance(method, str) else None
    if model is None:
        raise InvalidMessage(request_id, "method: no such method")
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise InvalidMessage(request_id, "params: must be an object")
    try:
        return Request(request_id, method, model.model_validate(params))
    except ValidationError as error:
        raise InvalidMessage(request_id, _describe(error)) from None


class _Unwritable(ValueError):
    """JSON by its grammar, but not all readers and stores could take it."""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")  # RFC 8259 section 6: Infinity and NaN are not permitted


def _check_values(root: Any) -> None:
    """No deep nesting, no NUL, no lone surrogates, no infinities: what others parse and PostgreSQL stores."""
    level: list[Any] = [root]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                if "\0" in value or not _is_unicode(value):
                    raise _Unwritable("text with NUL or a lone surrogate")
            elif isinstance(value, float) and not math.isfinite(value):
                raise _Unwritable("a number too large")
        if not below:
            return
        level = below
    raise _Unwritable(f"nested deeper than {MAX_DEPTH}")


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _describe(error: ValidationError) -> str:
    """`params.tracks[0].mid: Field required`; what was sent is not repeated: it may be a token."""
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]:
        path = "params"
        for part in one["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part[:40]}"
        found.append(f"{path}: {one['msg']}")
    return "; ".join(found)


# What we write


def to_text(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def answer(request_id: int, result: Mapping[str, Any]) -> bytes:
    return to_text({"id": request_id, "result": result})


def error_answer(request_id: int | None, error: PeerError) -> bytes:
    return to_text({"id": request_id, "error": {"code": error.code, "name": error.name, "message": error.reason}})


def event(name: str, data: Mapping[str, Any]) -> bytes:
    return to_text({"event": name, "data": data})


def reason_to_wire(reason: CloseReason) -> dict[str, Any]:
    return {"code": reason.code, "name": reason.name}


def track_to_wire(track: Track) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "trackId": track.track_id,
        "source": track.source.value,
        "kind": track.kind.value,
        "name": track.name,
        "muted": track.muted,
        "simulcast": track.simulcast,
    }
    for key, value in (("width", track.width), ("height", track.height), ("codec", track.codec)):
        if value is not None:
            wire[key] = value
    return wire


def participant_to_wire(info: ParticipantInfo) -> dict[str, Any]:
    return {
        "participantId": info.participant_id,
        "displayName": info.display_name,
        "mode": info.mode.value,
        "joinedAt": time_to_wire(info.joined_at),
        "metaData": info.meta_data,
        "attributes": info.attributes,
        "version": info.version,
        "tracks": [track_to_wire(track) for track in info.tracks],
    }


def pin_to_wire(participant_id: str, *, cam: bool, share: bool, by: str | None) -> dict[str, Any]:
    return {"participantId": participant_id, "state": {"cam": cam, "share": share}, "pinnedBy": by}


def time_to_wire(wall: float) -> str:
    """Unix seconds to ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
