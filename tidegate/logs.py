"""Logging: one handler on standard error, as text for people or JSON for machines, and no secret through either.

Whatever reaches a formatter is scrubbed last: tokens, credentials in URLs and headers by their form, and the secrets
that this process knows by value (`hide`). Callers still must not log them; this is the net under them.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import IO, Any

from tidegate.config.model import LogConfig

REMOVED = "[removed]"
MIN_SECRET = 8  # shorter values would blank out ordinary words
_PATTERNS = (
    (re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]*"), REMOVED),  # JSON Web Token, RFC 7519
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {REMOVED}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/@:]*):[^\s/@]+@"), rf"\1:{REMOVED}@"),
    (re.compile(r"""(?i)\b((?:api_?)?secret|password|token|stream_?key)(["']?\s*[=:]\s*["']?)[^\s"'&,;})\]]+"""), rf"\1\2{REMOVED}"),
    (re.compile(r"(?i)(\brtmps?://[^\s/]+/[^\s/]+)/[^\s\"']+"), rf"\1/{REMOVED}"),  # the last part is the stream key
)
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Never show this value in a log line from now on."""
    if len(secret) >= MIN_SECRET:
        _secrets.add(secret)


def scrub(text: str) -> str:
    """`text` without anything that looks like, or is known to be, a secret."""
    for secret in _secrets:
        text = text.replace(secret, REMOVED)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class TextFormatter(logging.Formatter):
    """`12:30:01.123 info    sfu.io.udp: words key=value`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        for name, value in _extra(record).items():
            line += f" {name}={value}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return scrub(line)


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339), level, logger, message, what was given as `extra`, and exception."""

    def format(self, record: logging.LogRecord) -> str:
        out: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": scrub(record.getMessage()),
        }
        out |= {name: scrub(str(value)) if not _is_plain(value) else value for name, value in _extra(record).items()}
        if record.exc_info:
            out["exception"] = scrub(self.formatException(record.exc_info))
        return json.dumps(out, ensure_ascii=False)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float)


def configure(config: LogConfig, stream: IO[str] | None = None) -> None:
    """Make the root logger what `config` says. May be called again when the configuration was read again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if config.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    # Every request and every SCTP or ICE step of the libraries: noise unless somebody looks for exactly that.
    quiet = logging.DEBUG if config.level == "debug" else logging.WARNING
    for name in ("aiohttp.access", "aioice", "aiortc", "alembic", "asyncio"):
        logging.getLogger(name).setLevel(quiet)
    # They log rows as they are, secrets of keys among them: never.
    for name in ("aiosqlite", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
