"""Control facts that a session reports. None for media."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rtmp.url import PublishTarget


class EndReason(Enum):
    REFUSED = "refused"  # the server said no to the application or the key
    CLOSED_AT_PUBLISH = "closed at publish"  # it hung up on the key without a word: how several servers refuse one
    CLOSED_BY_PEER = "closed by peer"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"  # what it sent is no RTMP
    CLOSED = "closed"  # by us


@dataclass(frozen=True, slots=True)
class PublishStarted:
    """Tags may be sent."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event. `description` is words for people, without secrets."""

    reason: EndReason
    description: str
    again: PublishTarget | None = None  # the same server wants to be connected to in this way


Event = PublishStarted | SessionEnded
