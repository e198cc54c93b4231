"""Dataclasses as JSON lines: what a node and its media workers say to each other. Standard library only.

A family of message types is a tuple of frozen dataclasses; `type` on the wire is the class's name in kebab case.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from media.errors import ParseError

MAX_LINE = 1 << 20  # characters; a scene of 200 people with names takes a tenth


def type_name(cls: type) -> str:
    """`SourceAdded` is `source-added`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class Family:
    """Messages of one direction: `serialize` writes a line, `parse` reads one. Both sides build it from the same tuple."""

    def __init__(self, *messages: type) -> None:
        self._by_name = {type_name(cls): cls for cls in messages}

    def serialize(self, message: Any) -> bytes:
        """One line with its end. UsageError is not needed: a foreign type is a bug and a KeyError."""
        name = type_name(type(message))
        assert self._by_name[name] is type(message)
        return json.dumps({"type": name} | asdict(message), default=_plain, separators=(",", ":")).encode() + b"\n"

    def parse(self, line: bytes | str) -> Any:
        """The message of one line. ParseError when it is none of this family."""
        if len(line) > MAX_LINE:
            raise ParseError("message is too long")
        try:
            wire = json.loads(line)
        except (ValueError, RecursionError) as error:  # a nesting of thousands is the second
            raise ParseError(f"not JSON: {error}") from None
        if not isinstance(wire, dict) or not isinstance(wire.get("type"), str) or wire["type"] not in self._by_name:
            raise ParseError("not a message of this family")
        return build(self._by_name[wire.pop("type")], wire)


def build(kind: Any, wire: Any, path: str = "") -> Any:
    """`wire` (parsed JSON) as a value of the annotated type. ParseError that begins with the path of what is wrong."""
    if kind is Any:
        return wire
    if is_dataclass(kind):
        return _build_dataclass(kind, wire, path)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _build_union(args, wire, path)
    if origin is tuple:
        if not isinstance(wire, list):
            raise ParseError(f"{path}: must be a list")
        return tuple(build(args[0], item, f"{path}[{index}]") for index, item in enumerate(wire))
    if origin in (dict, Mapping):
        if not isinstance(wire, dict):
            raise ParseError(f"{path}: must be an object")
        return {key: build(args[1], value, f"{path}.{key}") for key, value in wire.items()}
    if origin is Literal:
        if wire not in args:
            raise ParseError(f"{path}: must be one of {', '.join(map(str, args))}")
        return wire
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(wire)
        except ValueError:
            raise ParseError(f"{path}: must be one of {', '.join(str(member.value) for member in kind)}") from None
    if kind is float:
        return _build_float(wire, path)
    if not isinstance(wire, kind) or (isinstance(wire, bool) and kind is not bool):
        raise ParseError(f"{path}: must be {kind.__name__}")
    return wire


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Evaluated once: 60 us for a message of six fields."""
    return get_type_hints(kind)


def _build_dataclass(kind: type, wire: Any, path: str) -> Any:
    if not isinstance(wire, dict):
        raise ParseError(f"{path}: must be an object")
    hints = _hints(kind)
    known = {item.name: item for item in fields(kind)}
    prefix = f"{path}." if path else ""
    for name in wire:
        if name not in known:
            raise ParseError(f"{prefix}{str(name)[:40]}: unknown field")
    for name, item in known.items():
        if name not in wire and item.default is MISSING and item.default_factory is MISSING:
            raise ParseError(f"{prefix}{name}: is missing")
    return kind(**{name: build(hints[name], value, f"{prefix}{name}") for name, value in wire.items()})


def _build_float(wire: Any, path: str) -> float:
    """Finite: Python's JSON also reads NaN, Infinity and 1e999, which no caller expects in its arithmetic."""
    try:
        if not isinstance(wire, bool) and isinstance(wire, int | float) and isfinite(wire):
            return float(wire)
    except OverflowError:  # an int beyond any float
        pass
    raise ParseError(f"{path}: must be a finite number")


def _build_union(args: tuple[Any, ...], wire: Any, path: str) -> Any:
    """None or the first alternative that fits."""
    if wire is None and type(None) in args:
        return None
    error = ParseError(f"{path}: must not be null")
    for alternative in args:
        if alternative is type(None):
            continue
        try:
            return build(alternative, wire, path)
        except ParseError as failure:
            error = failure
    raise error


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
