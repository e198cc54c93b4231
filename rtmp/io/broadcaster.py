"""One FLV stream to several RTMP targets.

Here: splitting the stream once and handing the same tags to every target. Not here: one target's attempts (`target`), one
connection (`publisher`), what is in the stream (`rtmp.flv`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

Resolve = Callable[[str, int, str], Awaitable[Sequence[str]]]


class TargetPhase(Enum):
    CONNECTING = "connecting"
    LIVE = "live"
    RETRYING = "retrying"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TargetState:
    """What people are shown of one target. `url` carries no key, user, password or query; `error` is words that say what to do."""

    id: str
    url: str
    state: TargetPhase
    error: str
    bitrate_bps: int
    bytes_sent: int
    frames_dropped: int
    attempts: int
    since: float  # Unix seconds
