"""The commands of a publisher, and what servers answer. Adobe RTMP 1.0 section 7.2.

releaseStream, FCPublish and FCUnpublish are in no specification: encoders send them and several platforms wait for them.
Not here: in which order, and what an answer changes (`session`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtmp import amf0
from rtmp.messages import Command
from rtmp.url import PublishTarget

FLASH_VERSION = "FMLE/3.0 (compatible; Tidegate)"  # servers take what begins with FMLE for an encoder

CONNECT_ID = 1  # section 7.2.1.1: "Always set to 1"
RELEASE_STREAM_ID = 2
FC_PUBLISH_ID = 3
CREATE_STREAM_ID = 4
PUBLISH_ID = 5
FC_UNPUBLISH_ID = 6
DELETE_STREAM_ID = 7

PUBLISH_START = "NetStream.Publish.Start"


@dataclass(frozen=True, slots=True)
class Status:
    """The information object of `_error` and `onStatus`; empty strings where the server left something out."""

    level: str
    code: str
    description: str


def connect(target: PublishTarget) -> Command:
    properties = {
        "app": target.app,
        "type": "nonprivate",
        "flashVer": FLASH_VERSION,
        "swfUrl": target.tc_url,
        "tcUrl": target.tc_url,
    }
    return Command("connect", CONNECT_ID, (properties,))


def release_stream(key: str) -> Command:
    return Command("releaseStream", RELEASE_STREAM_ID, (None, key))


def fc_publish(key: str) -> Command:
    return Command("FCPublish", FC_PUBLISH_ID, (None, key))


def create_stream() -> Command:
    return Command("createStream", CREATE_STREAM_ID, (None,))


def publish(key: str, stream_id: int) -> Command:
    return Command("publish", PUBLISH_ID, (None, key, "live"), stream_id)


def fc_unpublish(key: str) -> Command:
    return Command("FCUnpublish", FC_UNPUBLISH_ID, (None, key))


def delete_stream(stream_id: int) -> Command:
    return Command("deleteStream", DELETE_STREAM_ID, (None, stream_id))


def created_stream(command: Command) -> int | None:
    """The stream id of createStream's `_result`: the first number behind the command object. Section 7.2.1.3."""
    for value in command.values[1:]:
        stream_id = amf0.as_int(value)
        if stream_id is not None and 0 < stream_id <= 0xFFFFFFFF:
            return stream_id
    return None


def status_of(command: Command) -> Status:
    """The first object that says something of the kind; its place differs from server to server."""
    for value in command.values:
        if isinstance(value, dict) and not value.keys().isdisjoint(("level", "code", "description")):
            return Status(_text(value.get("level")), _text(value.get("code")), _text(value.get("description")))
    return Status("", "", "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
