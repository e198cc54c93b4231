"""`tidegate serve` as a process, spoken to as tests speak to a node of their own process (support/node.py), and killed."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.api import read_json
from tests.support.app_server import API_KEY, API_SECRET, start_tidegate
from tests.support.broadcast import eventually
from tests.support.serving import RunningServer
from tidegate.auth import sign_token

PATIENCE = 40.0  # seconds for what a busy machine may take


@dataclass
class ServedNode:
    server: RunningServer
    http: aiohttp.ClientSession
    data_dir: Path

    @property
    def url(self) -> str:
        return self.server.url

    def token(self) -> str:
        claims = {"permissions": ["allow_join", "allow_mod"]}
        return sign_token(API_KEY, API_SECRET, claims, now_wall=time.time(), seconds=600)

    async def call(self, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
        headers = {"Authorization": self.token()}
        async with self.http.request(method, f"{self.url}{path}", headers=headers, **more) as response:
            body = await read_json(response)
            assert response.status == status, (response.status, body)
            return body

    async def room(self, custom_room_id: str = "standup") -> str:
        return (await self.call("POST", "/v2/rooms", json={"customRoomId": custom_room_id}))["roomId"]

    async def is_published(self, room_id: str, name: str) -> bool:
        """Whether microphone and camera of that participant are there."""
        sessions = (await self.call("GET", f"/v2/sessions?roomId={room_id}"))["data"]
        people = [p for session in sessions for p in session["participants"] if p["participantId"] == name]
        return any(person["events"]["mic"] and person["events"]["webcam"] for person in people)

    async def recorded(self, job_id: str, size: int) -> None:
        """Until a running job has so many bytes on the disk."""
        await eventually(lambda: _bytes_in(self.data_dir / "egress" / job_id) >= size, PATIENCE)

    async def kill(self) -> list[int]:
        """SIGKILL. Its workers, once they have ended by themselves."""
        workers = children(self.server.process.pid)
        self.server.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self.server.process.wait)
        await eventually(lambda: not any(is_alive(pid) for pid in workers), PATIENCE)
        return workers


@asynccontextmanager
async def served_node(data_dir: Path, **environment: str) -> AsyncIterator[ServedNode]:
    """`environment`: settings as TIDEGATE_... variables. Killed at the end, if it has not ended before."""
    with start_tidegate(data_dir.parent, "--data-dir", str(data_dir), environment=environment) as server:
        async with aiohttp.ClientSession() as http:
            yield ServedNode(server, http, data_dir)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def is_alive(pid: int) -> bool:
    """A zombie is not: whoever inherits it reaps it when it likes."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.mp4")) if folder.is_dir() else 0
