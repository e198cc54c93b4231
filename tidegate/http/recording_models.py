"""Bodies and queries of recordings, broadcasts and transcodings: reference sections 2.4 to 2.6.

Where the reference spells a field in several ways, each is taken: `awsDirPath`, `bucketDirPath` and `dirPath` are one.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from media.errors import ParseError
from rtmp.url import MAX_KEY, MAX_URL, parse_target
from tidegate.http.composition_models import (
    NO_TEMPLATES,
    NO_TRANSCRIPTION,
    NO_URLS,
    BroadcastConfig,
    CompositionConfig,
    Image,
)
from tidegate.http.fields import (
    Body,
    DirPath,
    Identifier,
    Paged,
    WebAddress,
    WithIdentifiers,
    check_identifier,
    check_web_address,
    unsupported,
    without_controls,
    wrong,
)

MAX_OUTPUTS = 50  # in one body; the server's own limit is broadcast.max_targets
MAX_PARTS = 100  # of one merge
NO_POOL = "pipelines are not reserved beforehand"
NO_HLS = "HLS is no file to record into"
NO_FAILURE_ACTION = "a recording that fails ends by itself, and the meeting goes on"

TrackKind = Literal["audio", "video", "screen_audio", "screen_video"]
UploadUrl = Annotated[
    str,
    Field(max_length=4096, description="The finished file is PUT there, once, and nothing of it kept here."),
    AfterValidator(check_web_address),
]


class Destination(Body):
    """Where files go, and who is told."""

    webhook_url: WebAddress | None = None
    aws_dir_path: DirPath | None = None
    bucket_dir_path: DirPath | None = None
    dir_path: DirPath | None = None
    pre_signed_url: UploadUrl | None = None
    pre_signed_url_: Annotated[UploadUrl | None, Field(alias="preSignedURL")] = None

    @model_validator(mode="after")
    def check_spellings(self) -> Destination:
        for names in (("awsDirPath", "bucketDirPath", "dirPath"), ("preSignedUrl", "preSignedURL")):
            given = [name for name in names if name in self.model_dump(by_alias=True, exclude_none=True)]
            if len(given) > 1:
                raise wrong(given[1], f"is the same as {given[0]}: give one of them")
        return self

    @property
    def directory(self) -> str:
        return self.aws_dir_path or self.bucket_dir_path or self.dir_path or ""

    @property
    def upload_url(self) -> str | None:
        return self.pre_signed_url or self.pre_signed_url_


# Recordings of rooms


class StartRecording(WithIdentifiers, Destination):
    unsupported: ClassVar[dict[str, str]] = {
        "templateUrl": NO_TEMPLATES,
        "transcription": NO_TRANSCRIPTION,
        "onFailure": NO_FAILURE_ACTION,
        "resourceId": NO_POOL,
    }
    unsupported_values: ClassVar[dict[str, dict[str, str]]] = {"fileFormat": {"m3u8": NO_HLS}}
    room_id: Identifier
    config: CompositionConfig | None = None
    file_format: Literal["mp4", "webm"] = "mp4"


class OfRoom(WithIdentifiers, Body):
    """What is to end. Without an id: the only one that runs in the room."""

    room_id: Identifier
    id: Identifier | None = None


# Recordings of participants and tracks


class StartParticipantRecording(WithIdentifiers, Destination):
    unsupported_values: ClassVar[dict[str, dict[str, str]]] = {"fileFormat": {"m3u8": NO_HLS}}
    room_id: Identifier
    participant_id: Identifier
    file_format: Literal["webm", "mp4"] = "webm"
    metadata: Annotated[Any, Field(description="Kept, and given back in answers; at most 4 KB of JSON.")] = None

    @field_validator("metadata")
    @classmethod
    def check_metadata(cls, value: Any) -> Any:
        if len(repr(value)) > 4096:
            raise ValueError("must not be longer than 4096 characters")
        return value


class StopParticipantRecording(WithIdentifiers, Body):
    room_id: Identifier
    participant_id: Identifier


class StartTrackRecording(WithIdentifiers, Destination):
    unsupported_values: ClassVar[dict[str, dict[str, str]]] = {"fileFormat": {"m3u8": NO_HLS}}
    room_id: Identifier
    participant_id: Identifier
    kind: TrackKind
    file_format: Literal["webm", "mp4", "mp3"] = "webm"

    @model_validator(mode="after")
    def check_format(self) -> StartTrackRecording:
        if self.file_format == "mp3" and self.kind not in ("audio", "screen_audio"):
            raise wrong("fileFormat", "mp3 holds no picture")
        return self


class StopTrackRecording(StopParticipantRecording):
    kind: TrackKind


# Composite recordings


class ChosenParticipant(WithIdentifiers, Body):
    participant_id: Identifier
    kind: list[TrackKind] = Field(default_factory=list, max_length=4, description="Absent: everything they publish.")


class CompositeWatermark(Body):
    unsupported: ClassVar[dict[str, str]] = {
        "imageUrl": NO_URLS,
        "topic": "a watermark does not change by messages: PATCH the recording",
        "timezone": "a watermark has no clock",
    }
    unsupported_values: ClassVar[dict[str, dict[str, str]]] = {"type": {"pubsub": "PATCH the recording to change it"}}
    type: Literal["custom"] = "custom"
    text: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(without_controls)] | None = None
    image_base64: Image | None = None


class StartComposite(WithIdentifiers, Destination):
    """`participants` absent: everybody, at most 3 at a time, as in the reference."""

    unsupported: ClassVar[dict[str, str]] = {"templateUrl": NO_TEMPLATES, "resourceId": NO_POOL}
    unsupported_values: ClassVar[dict[str, dict[str, str]]] = {"fileFormat": {"m3u8": NO_HLS}}
    room_id: Identifier
    participants: list[ChosenParticipant] = Field(default_factory=list, max_length=25)
    watermarks: list[CompositeWatermark] = Field(default_factory=list, max_length=3)
    config: CompositionConfig | None = None
    file_format: Literal["mp4", "webm"] = "mp4"

    @model_validator(mode="after")
    def check_lists(self) -> StartComposite:
        if len(self.watermarks) > 1:
            raise unsupported("watermarks", "one text or picture; more of them are boxes of a layout")
        if self.watermarks and self.config is not None and self.config.watermark is not None:
            raise wrong("watermarks", "is the same as config.watermark: give one of them")
        names = [chosen.participant_id for chosen in self.participants]
        if len(set(names)) < len(names):
            raise wrong("participants", "names somebody twice")
        return self


class StopComposite(WithIdentifiers, Body):
    room_id: Identifier
    recording_id: Identifier


# Lists


class ListComposed(Paged):
    room_id: Identifier | None = None
    session_id: Identifier | None = None
    query: Annotated[Identifier | None, Field(description="An id, roomId, customRoomId or sessionId.")] = None


class ListComposedRecordings(ListComposed):
    with_transcription: Annotated[bool | None, Field(description="Accepted: none has a transcription.")] = None


class ListRecordings(ListComposedRecordings):
    """Of participants and tracks."""

    participant_id: Identifier | None = None


# Broadcasts


class Target(Body):
    """Where a broadcast goes. Neither is ever shown again but the address without its query."""

    url: Annotated[str, Field(max_length=MAX_URL, description="rtmp://host[:port]/app or rtmps://")]
    stream_key: Annotated[str, Field(max_length=MAX_KEY)] = ""

    @model_validator(mode="after")
    def check_target(self) -> Target:
        try:
            parse_target(self.url, self.stream_key)
        except ParseError as error:
            raise wrong("streamKey" if "key" in str(error) else "url", str(error)) from None
        return self


class StartBroadcast(WithIdentifiers, Body):
    unsupported: ClassVar[dict[str, str]] = {
        "templateUrl": NO_TEMPLATES,
        "transcription": NO_TRANSCRIPTION,
        "resourceId": NO_POOL,
    }
    room_id: Identifier
    outputs: Annotated[list[Target], Field(min_length=1, max_length=MAX_OUTPUTS)]
    config: BroadcastConfig | None = None
    webhook_url: WebAddress | None = None

    @field_validator("outputs")
    @classmethod
    def check_outputs(cls, value: list[Target]) -> list[Target]:
        seen: set[tuple[str, str]] = set()
        for index, target in enumerate(value):
            parsed = parse_target(target.url, target.stream_key)
            if (parsed.tc_url, parsed.stream_key) in seen:
                raise wrong(f"[{index}]", "is there twice: the second would push out the first")
            seen.add((parsed.tc_url, parsed.stream_key))
        return value


# Transcodings


class MergeSource(WithIdentifiers, Body):
    """A side of a stereo merge: a recording of a participant in the session; without its id the latest one."""

    participant_id: Identifier
    recording_id: Identifier | None = None
    type: Literal["participant", "track"] = "participant"


class StartStereoMerge(WithIdentifiers, Destination):
    session_id: Identifier
    channel1: Annotated[list[MergeSource], Field(min_length=1, max_length=MAX_PARTS)]
    channel2: Annotated[list[MergeSource], Field(min_length=1, max_length=MAX_PARTS)]
    type: Annotated[Literal["audio"], Field(description="Sound is all there is.")] = "audio"


def _check_ids(value: list[Any]) -> list[str]:
    """Ids as they are, or as objects; a presignedUrl would be a file that is not ours."""
    ids: list[str] = []
    for index, item in enumerate(value):
        path = f"[{index}]"
        if isinstance(item, dict) and item.get("presignedUrl") is not None:
            raise unsupported(f"{path}.presignedUrl", "only recordings of this server are merged")
        name = item.get("id") if isinstance(item, dict) and set(item) <= {"id", "presignedUrl"} else item
        if not isinstance(name, str):
            raise wrong(path, "must be the id of a recording, or {id}")
        try:
            ids.append(check_identifier(name))
        except ValueError as error:
            raise wrong(path, str(error)) from None
    return ids


RecordingIds = Annotated[
    list[Any],
    Field(min_length=1, max_length=MAX_PARTS, description="Ids of finished recordings, in order; {id} does too."),
    AfterValidator(_check_ids),
]


class StartCompositeMerge(Destination):
    unsupported: ClassVar[dict[str, str]] = {"watermark": "a merge draws nothing into the picture"}
    recording_ids: RecordingIds
    task: Literal["composite-merge"] = "composite-merge"


class StartMeetingMerge(Body):
    recording_ids: RecordingIds
    webhook_url: WebAddress | None = None
    presigned_output_url: UploadUrl | None = None


class ListMerges(Paged):
    room_id: Identifier | None = None
    session_id: Identifier | None = None


class ListTranscodings(ListMerges):
    hls_id: Annotated[Identifier | None, Field(description="Nothing is made of HLS: nothing is found.")] = None
    status: Literal["pending", "processing", "completed", "failed", "cancelled"] | None = None


class Download(Body):
    """The query of a signed link."""

    expires: Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]
    signature: Annotated[str, Field(max_length=256)]
    download: Annotated[Literal["0", "1"], Field(description="1: to be saved, not played.")] = "0"
