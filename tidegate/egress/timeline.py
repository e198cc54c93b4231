"""`timeline.json` beside a room recording: who came, went, was muted or spoke, and which layout was shown, in media time.

Written line by line while it runs, so that a killed node leaves what it knew; made one JSON document at the end. Blocking:
the callers run it in a thread.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

NAME = "timeline.json"
JOURNAL = "timeline.jsonl"
MAX_EVENTS = 200_000  # of one recording; later ones are left out, and the document says so


class Timeline:
    """Facts wait in memory until `flush`; `begin` says when media time zero was, and facts of before stand at zero."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / JOURNAL
        self._waiting: list[dict[str, Any]] = []
        self._count = 0
        self.start: float | None = None  # Unix seconds of media time zero

    def begin(self, at: float) -> None:
        """Media time zero; a second call (the recording went on in another file) changes nothing."""
        if self.start is None:
            self.start = at
            self._waiting.append({"start": at})

    def add(self, kind: str, at: float, **facts: Any) -> None:
        """`at` in Unix seconds. Bounded: what is too much is only counted."""
        self._count += 1
        if self._count <= MAX_EVENTS:
            self._waiting.append({"wall": at, "type": kind, **facts})

    def take(self) -> bytes:
        """Lines to append to the journal; emptied by the call."""
        lines, self._waiting = self._waiting, []
        return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)

    def append(self, lines: bytes) -> None:
        """Blocking."""
        if lines:
            with open(self._path, "ab") as file:
                file.write(lines)


def finish(directory: Path, about: dict[str, Any]) -> Path | None:
    """The journal made one document, `about` laid over it; None when there is neither. Blocking."""
    journal, path = directory / JOURNAL, directory / NAME
    if not journal.exists():
        return path if path.exists() else None
    start: float | None = None
    events: list[dict[str, Any]] = []
    with open(journal, "rb") as file:
        for line in file:
            try:
                fact = json.loads(line)
            except ValueError:
                continue  # the last line of a killed node
            if "start" in fact:
                start = fact["start"]
            else:
                events.append(fact)
    events.sort(key=lambda event: event["wall"])
    origin = start if start is not None else (events[0]["wall"] if events else 0.0)
    document = {
        **about,
        "start": origin,
        "events": [{"at": max(0.0, round(e.pop("wall") - origin, 3)), **e} for e in events],
        "complete": len(events) < MAX_EVENTS,
    }
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")
    os.replace(unfinished, path)
    journal.unlink()
    return path
