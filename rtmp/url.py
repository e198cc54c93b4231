"""Where to publish: an RTMP address and its stream key, taken apart as encoders do. Adobe RTMP 1.0 section 7.2.1.1 (tcUrl, app).

Here: parsing, and what may be shown of it. Not here: names to addresses (the shell's), the commands (`commands`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from media.errors import ParseError

DEFAULT_PORTS = {"rtmp": 1935, "rtmps": 443}
MAX_URL = 2048  # characters
MAX_KEY = 2048
REDACTED = "***"
MAX_SHOWN = 300  # characters of a server's words
MIN_SECRET = 6  # characters of a query's value; "1" is none, and would be struck out of every number

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class PublishTarget:
    """A server, an application on it and the key to publish under. Its repr shows neither key nor user nor password nor query."""

    scheme: str
    host: str
    port: int
    shown_url: str  # for people: scheme, host, port if it is not the usual one, path
    app: str = field(repr=False)  # may carry a query, which may be a secret
    tc_url: str = field(repr=False)
    stream_key: str = field(repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    query: str = field(default="", repr=False)  # ours, of this connection only: behind app and tc_url

    def with_query(self, query: str) -> PublishTarget:
        """The same with another query of ours behind application and address."""
        app, tc_url = (
            text.removesuffix(self.query).rstrip("?&") if self.query else text for text in (self.app, self.tc_url)
        )
        glue = "&" if "?" in app else "?"
        return replace(self, app=app + glue + query, tc_url=tc_url + glue + query, query=query)

    def redact(self, text: str) -> str:
        """What somebody else said, fit to be shown: no secret of ours, no control characters, not too long."""
        query = self.app.partition("?")[2]
        name, _, arguments = self.stream_key.partition("?")
        secrets = {self.stream_key, name, arguments, query, self.user, self.password}
        values = [part.partition("=")[2] for part in f"{arguments}&{query}".split("&")]
        secrets.update(value for value in values if len(value) >= MIN_SECRET)
        for secret in sorted(secrets - {""}, key=len, reverse=True):
            text = text.replace(secret, REDACTED).replace(unquote(secret), REDACTED)
        return _CONTROL.sub(" ", text)[:MAX_SHOWN]


def parse_target(url: str, stream_key: str = "") -> PublishTarget:
    """`rtmp://host[:port]/app[/instance]` and a key; without a key the address's last part is it. ParseError in words, without secrets."""
    if len(url) > MAX_URL or len(stream_key) > MAX_KEY:
        raise ParseError(f"the address or the stream key is longer than {MAX_URL} characters")
    if _UNPRINTABLE.search(url):
        raise ParseError("the address must not contain spaces or control characters")
    if _UNPRINTABLE.search(stream_key):
        raise ParseError("the stream key must not contain spaces or control characters")
    scheme, host, port, user, password, path, query = _split(url)
    if not stream_key:
        path, _, stream_key = path.rpartition("/")
        stream_key, query = _with_query(stream_key, query), ""
        if not path or not stream_key:
            raise ParseError("the stream key is missing: give it, or an address of the form rtmp://host/app/key")
    netloc = f"[{host}]" if ":" in host else host
    if port != DEFAULT_PORTS[scheme]:
        netloc += f":{port}"
    app = _with_query(path, query)
    return PublishTarget(
        scheme=scheme,
        host=host,
        port=port,
        shown_url=f"{scheme}://{netloc}/{path}",
        app=app,
        tc_url=f"{scheme}://{netloc}/{app}",
        stream_key=stream_key,
        user=user,
        password=password,
    )


def _split(url: str) -> tuple[str, str, int, str, str, str, str]:
    try:
        parts = urlsplit(url, allow_fragments=False)
        host, port = parts.hostname, parts.port
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:  # its words would quote the address
        raise ParseError("the address is malformed: it must be like rtmp://host:port/app") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ParseError("the address must begin with rtmp:// or rtmps://")
    if not host:
        raise ParseError("the address has no host: it must be like rtmp://host/app")
    if port == 0:
        raise ParseError("the port must be between 1 and 65535")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ParseError("the host's name is not a valid one") from None
    path = parts.path.strip("/")
    if not path:
        raise ParseError("the address has no application: it must be like rtmp://host/app")
    return parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], user, password, path, parts.query


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
