"""Errors by whose fault they are. Everything else that is raised is a bug of ours."""

from __future__ import annotations


class ParseError(ValueError):
    """Bytes or text from the network do not have the form their document asks for. Raised by `parse` functions only."""


class PeerError(Exception):
    """The peer asked for something it cannot have; carries the answer for the wire.

    `code` is a number of docs/signalling.md (reference section 4.8), `name` its symbol, `reason` words for people.
    """

    def __init__(self, code: int, name: str, reason: str) -> None:
        super().__init__(f"{code} {name}: {reason}")
        self.code = code
        self.name = name
        self.reason = reason


class UsageError(Exception):
    """Our own caller used an object in a way its state does not allow."""


class ConfigError(Exception):
    """A configuration value is wrong; `path` is dotted (`rtc.port`), `reason` says what to do."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason
