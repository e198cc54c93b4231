"""What a check has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`fail` keeps the server from working, `note` is worth knowing: a part will not work, or not as people expect."""

    status: Status
    subject: str
    words: str
    advice: str = ""
