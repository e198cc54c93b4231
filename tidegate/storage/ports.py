"""The seam between those who make files and where the files are kept. Paths in a storage are relative, with slashes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote

from media.errors import PeerError
from sfu.meeting.refusals import Refusal


class StorageError(Exception):
    """Storing, signing or deleting did not work; trying again later may. The words hold no secret."""


class DiskFull(PeerError):
    """Nothing more is written to this disk: HTTP 507, START_RECORDING_FAILED on the signalling socket."""

    def __init__(self, reason: str) -> None:
        refusal = Refusal.START_RECORDING_FAILED
        super().__init__(refusal.value, refusal.name, reason)


class UploadRefused(StorageError):
    """The caller's own address does not take the file, and will not the next time either."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is whole and safe in the storage."""

    path: str
    size: int


def disposition(how: str, name: str) -> str:
    """A Content-Disposition header (RFC 6266): `how` is inline or attachment."""
    if name.isascii() and name.isprintable() and '"' not in name and "\\" not in name:
        return f'{how}; filename="{name}"'
    return f"{how}; filename*=UTF-8''{quote(name, safe='')}"


class Storage(Protocol):
    """Never blocks the loop. Raises StorageError, and FileNotFoundError for a local file that is not there."""

    root: Path | None
    """The folder on this machine's disk that files fill; None when they are elsewhere."""

    async def put_file(self, local: Path, path: str) -> Stored:
        """Keep a finished file; it leaves `local` once it is safe here, never before. Overwrites what has that path.

        Again for a file that was kept already (the node was killed before it could say so): what is kept.
        """
        ...

    async def find(self, path: str) -> Stored | None:
        """What is kept under a path."""
        ...

    async def fetch(self, path: str, local: Path) -> None:
        """A copy of a kept file, for a worker to read: `local` is made."""
        ...

    async def delete(self, path: str) -> None:
        """Forget a file; one that is not there is no error."""
        ...

    async def url(self, path: str, expires: float, *, method: Literal["GET", "HEAD"] = "GET") -> str | None:
        """An address that anybody can read the file from for so many seconds; None where only this node has it.

        It is good for one method, GET or HEAD: the method is signed too.
        """
        ...

    def local_path(self, path: str) -> Path | None:
        """Where the file is on this machine's disk; None when it is elsewhere."""
        ...
