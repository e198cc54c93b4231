"""Everything a node and a media worker say to each other: the families of `media/wire.py`, and the worker's own messages.

What pipelines say is in `sfu/compose/messages.py`; here is what every worker says, whatever it runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from media.wire import Family
from sfu.compose import messages

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Ready:
    """Libraries are loaded; the worker waits for its spec or has it already. `seconds` is what the loading took."""

    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Each second, from a thread of its own. `stalled`: seconds since the worker's loop last turned."""

    cpu_seconds: float
    rss_bytes: int
    stalled: float = 0.0


@dataclass(frozen=True, slots=True)
class Log:
    """A log record; `text` begins with the name of its logger and ends with the traceback, if there is one."""

    level: Level
    text: str


SPECS = Family(*messages.SPECS)
CONTROLS = Family(*messages.CONTROLS)
REPORTS = Family(Ready, Heartbeat, Log, *messages.REPORTS)
