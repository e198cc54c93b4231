"""`tidegate events`: reads a server's events (`/v2/events`, server-sent events) and prints one JSON object a line."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
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
    """Events of a stream given line by line; one without its closing empty line is dropped, as the standard says.

    An id alone comes as an event without data: it moves the place to go on from.
    """
    kind, data, last_id, has_id = "", [], "", False
    for line in lines:
        line = line.rstrip("\r\n")
        if not line:
            if data or has_id:
                yield ServerSentEvent(kind or "message", "\n".join(data), last_id)
            kind, data, has_id = "", [], False
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id" and "\0" not in value:
            last_id, has_id = value, True


def events(
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens, until Ctrl-C.")] = False,
    after: Annotated[
        int | None, typer.Option(metavar="ID", min=0, help="Begin after this event. [default: all that is kept; from now on with --follow]", show_default=False)
    ] = None,
    room: Annotated[str | None, typer.Option(metavar="ROOM", help="Of this room only.", show_default=False)] = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="TIDEGATE_URL", metavar="URL", help="The server. [default: this machine's, by the configuration]", show_default=False),
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print a server's events, a line each.

    A line is one JSON object. After a lost connection it goes on where it was, nothing is left out:
    tidegate events --follow | jq .

    The token is TIDEGATE_TOKEN, else one signed with the first project's key.
    """
    effective = load_config(config, data_dir=data_dir)
    base = (url or local_url(effective.http.host, effective.http.port, tls=effective.http.is_tls)).rstrip("/")
    fields: dict[str, str | int] = {"roomId": room} if room else {}
    try:
        if follow:
            fields |= {} if after is None else {"after": after}
            _follow(f"{base}/v2/events{_query(fields)}", _token(effective))
        else:
            _print_kept(f"{base}/v2/events", fields, after or 0, _token(effective))
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


def _query(fields: Mapping[str, str | int]) -> str:
    return f"?{urlencode(fields)}" if fields else ""


def _print_kept(url: str, fields: Mapping[str, str | int], after: int | str, token: str) -> None:
    """The list, page after page."""
    while True:
        query = _query({**fields, "after": after})
        request = Request(url + query, headers={"Authorization": token, "Accept": "application/json"})
        try:
            with urlopen(request, timeout=READ_TIMEOUT) as answer:
                page = json.load(answer)
        except HTTPError as error:
            raise ConfigError(url, f"answers {error.code}: {_problem(error)}") from None
        except (URLError, http.client.HTTPException, OSError, ValueError) as error:
            raise ConfigError(url, str(getattr(error, "reason", error))) from None
        for event in page["data"]:
            print(as_line(ServerSentEvent(event["webhookType"], json.dumps(event), event["id"])), flush=True)
        if not page["hasMore"]:
            return
        after = page["next"]


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
                    if event.data:
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
