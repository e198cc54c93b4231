"""`tidegate events`: reads a server's events (`/v2/events`, server-sent events) and prints one JSON object a line."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import typer

from media.errors import ConfigError
from tidegate.cli.options import ConfigOption, DataDirOption, load_config

if TYPE_CHECKING:
    from tidegate.config.model import Config

READ_TIMEOUT = 60.0  # the server sends a comment every 15 s; silence means that the connection is dead
RETRY_MIN, RETRY_MAX = 1.0, 30.0
TOKEN_LIFETIME = 86400


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """HTML Living Standard, section 9.2: `id` is the last one seen, as a reconnection sends it."""

    type: str
    data: str
    id: str


def parse_events(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """Events of a stream given line by line; an event without its closing empty line is dropped, as the standard says."""
    kind, data, last_id = "", [], ""
    for line in lines:
        line = line.rstrip("\r\n")
        if not line:
            if data:
                yield ServerSentEvent(kind or "message", "\n".join(data), last_id)
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            last_id = value


def events(
    follow: Annotated[bool, typer.Option("--follow", help="Print events as they happen, until Ctrl-C.")] = False,
    room: Annotated[str | None, typer.Option(metavar="ROOM", help="Of this room only.", show_default=False)] = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="TIDEGATE_URL", metavar="URL", help="The server. [default: this machine's, by the configuration]", show_default=False),
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print a server's events, a line each.

    A line is one JSON object. A lost connection is made again; what happened in between is not told yet:
    tidegate events --follow | jq .

    The token is TIDEGATE_TOKEN, else one signed with the first project's key.
    """
    if not follow:
        raise ConfigError("events", "give --follow: events are not kept yet, there is only what happens from now on")
    effective = load_config(config, data_dir=data_dir)
    base = (url or local_url(effective.http.host, effective.http.port, tls=effective.http.is_tls)).rstrip("/")
    query = f"?{urlencode({'roomId': room})}" if room else ""
    try:
        _follow(f"{base}/v2/events{query}", _token(effective))
    except (KeyboardInterrupt, BrokenPipeError):
        # Ctrl-C is how one ends it, and so is a closed pipe.
        sys.stderr.close()


def local_url(host: str, port: int, *, tls: bool) -> str:
    """Where a server bound to `host` is reached from its own machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if tls else 'http'}://{name}:{port}"


def _token(config: Config) -> str:
    given = os.environ.get("TIDEGATE_TOKEN")
    if given:
        return given
    import jwt

    from tidegate import keysfile
    from tidegate.cli.token import make_claims

    credentials = keysfile.find(config)
    if credentials is None:
        raise ConfigError("TIDEGATE_TOKEN", f"set it: there is no key in {config.keys_path} to sign a token with")
    claims = make_claims(
        api_key=credentials.api_key,
        room=None,
        participant=None,
        permissions=["allow_join"],
        roles=["crawler"],
        grants=None,
        now=int(time.time()),
        lifetime=TOKEN_LIFETIME,
    )
    return jwt.encode(claims, credentials.secret, algorithm="HS256")


def _follow(url: str, token: str) -> None:
    last_id, retry = "", RETRY_MIN
    while True:
        headers = {"Authorization": token, "Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        try:
            with urlopen(Request(url, headers=headers), timeout=READ_TIMEOUT) as answer:
                retry = RETRY_MIN
                for event in parse_events(line.decode("utf-8", "replace") for line in answer):
                    last_id = event.id or last_id
                    print(as_line(event), flush=True)
            reason = "the server closed the stream"
        except HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise ConfigError(url, f"answers {error.code}: {_problem(error)}") from None
            reason = f"{error.code}"
        except (URLError, OSError, http.client.HTTPException) as error:
            if isinstance(error, BrokenPipeError):
                raise
            reason = str(getattr(error, "reason", error))
        print(f"tidegate: {url}: {reason}; trying again in {retry:.0f} s", file=sys.stderr)
        time.sleep(retry)
        retry = min(retry * 2, RETRY_MAX)


def as_line(event: ServerSentEvent) -> str:
    """`{"id"?, "event", "data"}` on one line; data that is not JSON stays a text."""
    try:
        data = json.loads(event.data)
    except ValueError:
        data = event.data
    fields = {"event": event.type, "data": data}
    return json.dumps({"id": event.id, **fields} if event.id else fields, ensure_ascii=False)


def _problem(error: HTTPError) -> str:
    try:
        body = json.loads(error.read(65536))
        return str(body.get("message") or body.get("title") or error.reason)
    except (ValueError, AttributeError, OSError):
        return str(error.reason)
