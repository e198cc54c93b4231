"""A server that asks for user and password with `authmod=adobe`, written from what ffmpeg's client answers to."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs

from rtmp.messages import Command
from tests.support.rtmp_server import RtmpServer, usual_answer

USER, PASSWORD, SALT, CHALLENGE, OPAQUE = "s3user", "s3pass", "cZ+8", "aB+d/w", "pQ+/Zm=="
REJECT = "[ AccessManager.Reject ] : [ "


def _md5(text: str) -> str:
    return base64.b64encode(hashlib.md5(text.encode()).digest()).decode()


class AskingServer(RtmpServer):
    """`opaque`: with or without the token that some servers add."""

    def __init__(self, *, opaque: bool = True) -> None:
        super().__init__()
        self.opaque = opaque
        self.apps: list[str] = []

    def answer(self, command: Command) -> list[Command]:
        if command.name != "connect":
            return usual_answer(command)
        app = command.values[0]["app"]
        assert command.values[0]["tcUrl"].endswith(app)
        self.apps.append(app)
        asked = {name: values[0] for name, values in parse_qs(app.partition("?")[2].replace("+", "%2B")).items()}
        if "user" not in asked:
            return self._refuse(f"{REJECT}code=403 need auth; authmod=adobe ] : ")
        if "response" not in asked:
            token = f"&opaque={OPAQUE}" if self.opaque else ""
            query = f"?reason=needauth&user={USER}&salt={SALT}&challenge={CHALLENGE}{token}"
            return self._refuse(f"{REJECT}authmod=adobe ] : {query}")
        secret = _md5(USER + SALT + PASSWORD)
        expected = _md5(secret + (OPAQUE if self.opaque else CHALLENGE) + asked["challenge"])
        if (
            asked["user"] == USER
            and asked["response"] == expected
            and asked.get("opaque") == (OPAQUE if self.opaque else None)
        ):
            return usual_answer(command)
        return self._refuse(f"{REJECT}authmod=adobe ] : ?reason=authfailed&opaque=x")

    def _refuse(self, description: str) -> list[Command]:
        info = {"level": "error", "code": "NetConnection.Connect.Rejected", "description": description}
        return [Command("_error", 1, (None, info))]
