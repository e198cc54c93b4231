"""Which files a job has made, noted in its folder before they leave it: a node that is killed among several files goes on with
all of them, although some are in the storage already. Blocking: the callers run it in a thread."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from sfu.compose.messages import FileInfo
from tidegate.egress.run import MadeFile

NAME = "files.json"


def save(folder: Path, files: tuple[MadeFile, ...]) -> None:
    """OSError when the disk takes no more."""
    entries = [{"path": str(made.path.relative_to(folder)), "info": asdict(made.info)} for made in files]
    unfinished = folder / f"{NAME}.tmp"
    with open(unfinished, "w", encoding="utf-8") as file:
        json.dump(entries, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, folder / NAME)


def load(folder: Path) -> tuple[MadeFile, ...] | None:
    """None where nothing was noted: the files are to be looked for."""
    try:
        entries = json.loads((folder / NAME).read_bytes())
        return tuple(MadeFile(folder / entry["path"], FileInfo(**entry["info"])) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError):
        return None
