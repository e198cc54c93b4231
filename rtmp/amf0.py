"""AMF0 values as Python's: what RTMP commands and metadata are written in. Adobe AMF0 specification (amf0-file-format).

| AMF0 | Python |
| --- | --- |
| number, boolean, string and long string, null | float, bool, str, None |
| object, ECMA array, strict array | dict, EcmaArray, list |
| undefined and unsupported, date, XML document, typed object | UNDEFINED, Date, XmlDocument, TypedObject |

A reference is read as the value it points to; none is written. AMF3 behind the avmplus marker is refused.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from media.errors import ParseError, UsageError

NUMBER = 0x00  # section 2.1
BOOLEAN = 0x01
STRING = 0x02
OBJECT = 0x03
NULL = 0x05
UNDEFINED_MARKER = 0x06
REFERENCE = 0x07
ECMA_ARRAY = 0x08
OBJECT_END = 0x09
STRICT_ARRAY = 0x0A
DATE = 0x0B
LONG_STRING = 0x0C
UNSUPPORTED = 0x0D
XML_DOCUMENT = 0x0F
TYPED_OBJECT = 0x10

MAX_DEPTH = 16  # real commands nest three deep; bounds recursion
MAX_VALUES = 4096  # of one message; bounds what a small message can make of itself as objects
MAX_SHORT = 0xFFFF  # section 1.3.1: UTF-8 with a 16-bit length

_DOUBLE = struct.Struct(">d")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class _Undefined:
    """There is one."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = _Undefined()


class EcmaArray(dict[str, Any]):
    """An associative array; an object in all but its marker."""


class XmlDocument(str):
    """Its text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Date:
    milliseconds: float  # since 1970, UTC
    zone: int = 0  # section 2.13: "reserved, not supported, SHOULD be set to 0x0000"


@dataclass(frozen=True, slots=True)
class TypedObject:
    class_name: str
    values: dict[str, Any]


def parse(data: bytes) -> list[Any]:
    """Every value of `data`. ParseError when it is no AMF0, or more than the limits above allow."""
    return _Reader(data).read_all()


def serialize(*values: Any) -> bytes:
    """The values one after the other. UsageError for what AMF0 cannot say."""
    out = bytearray()
    for value in values:
        _write(out, value, 0)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._count = 0
        self._complex: list[Any] = []  # section 2.9: what references count; None while one is being read

    def read_all(self) -> list[Any]:
        values = []
        while self._position < len(self._data):
            values.append(self._value(0))
        return values

    def _take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise ParseError("AMF0: the value is cut short")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def _u16(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def _u32(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _text(self, length: int) -> str:
        # Some servers write Latin-1: a status text that cannot be shown exactly is no reason to lose the status.
        return self._take(length).decode("utf-8", "replace")

    def _value(self, depth: int) -> Any:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_VALUES:
            raise ParseError("AMF0: too deep or too many values")
        marker = self._take(1)[0]
        if marker == NUMBER:
            return _DOUBLE.unpack(self._take(8))[0]
        if marker == BOOLEAN:
            return self._take(1) != b"\x00"
        if marker == STRING:
            return self._text(self._u16())
        if marker == LONG_STRING:
            return self._text(self._u32())
        if marker == XML_DOCUMENT:
            return XmlDocument(self._text(self._u32()))
        if marker == NULL:
            return None
        if marker in (UNDEFINED_MARKER, UNSUPPORTED):
            return UNDEFINED
        if marker == DATE:
            return Date(_DOUBLE.unpack(self._take(8))[0], int.from_bytes(self._take(2), "big", signed=True))
        if marker == REFERENCE:
            return self._referenced(self._u16())
        if marker in (OBJECT, ECMA_ARRAY, STRICT_ARRAY, TYPED_OBJECT):
            return self._complex_value(marker, depth)
        raise ParseError(f"AMF0: marker {marker:#04x}")

    def _complex_value(self, marker: int, depth: int) -> Any:
        index = len(self._complex)
        self._complex.append(None)
        value: Any
        if marker == OBJECT:
            value = self._members({}, depth)
        elif marker == ECMA_ARRAY:
            self._u32()  # section 2.10: a count that writers fill in as they like; the end marker ends it
            value = self._members(EcmaArray(), depth)
        elif marker == TYPED_OBJECT:
            value = TypedObject(self._text(self._u16()), self._members({}, depth))
        else:
            value = [self._value(depth + 1) for _ in range(self._u32())]
        self._complex[index] = value
        return value

    def _members(self, members: dict[str, Any], depth: int) -> dict[str, Any]:
        while True:
            name = self._text(self._u16())
            if not name and self._data[self._position : self._position + 1] == bytes((OBJECT_END,)):
                self._position += 1
                return members
            members[name] = self._value(depth + 1)

    def _referenced(self, index: int) -> Any:
        # A reference to what encloses it would make a value without an end.
        if index >= len(self._complex) or self._complex[index] is None:
            raise ParseError("AMF0: a reference to nothing")
        return self._complex[index]


def _write(out: bytearray, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UsageError("AMF0: too deep")
    if value is None:
        out.append(NULL)
    elif value is UNDEFINED:
        out.append(UNDEFINED_MARKER)
    elif isinstance(value, bool):
        out += bytes((BOOLEAN, value))
    elif isinstance(value, (int, float)):
        out.append(NUMBER)
        out += _DOUBLE.pack(value)
    elif isinstance(value, XmlDocument):
        _write_long(out, XML_DOCUMENT, value)
    elif isinstance(value, str):
        _write_string(out, value)
    elif isinstance(value, EcmaArray):
        out.append(ECMA_ARRAY)
        out += _U32.pack(len(value))
        _write_members(out, value, depth)
    elif isinstance(value, dict):
        out.append(OBJECT)
        _write_members(out, value, depth)
    elif isinstance(value, (list, tuple)):
        out.append(STRICT_ARRAY)
        out += _U32.pack(len(value))
        for item in value:
            _write(out, item, depth + 1)
    elif isinstance(value, Date):
        out.append(DATE)
        out += _DOUBLE.pack(value.milliseconds) + value.zone.to_bytes(2, "big", signed=True)
    elif isinstance(value, TypedObject):
        out.append(TYPED_OBJECT)
        _write_name(out, value.class_name)
        _write_members(out, value.values, depth)
    else:
        raise UsageError(f"AMF0 has no {type(value).__name__}")


def _write_string(out: bytearray, value: str) -> None:
    encoded = value.encode()
    if len(encoded) > MAX_SHORT:
        _write_long(out, LONG_STRING, value)
        return
    out.append(STRING)
    out += _U16.pack(len(encoded)) + encoded


def _write_long(out: bytearray, marker: int, value: str) -> None:
    encoded = value.encode()
    out.append(marker)
    out += _U32.pack(len(encoded)) + encoded


def _write_name(out: bytearray, name: str) -> None:
    encoded = name.encode()
    if len(encoded) > MAX_SHORT:
        raise UsageError("AMF0: a name is too long")
    out += _U16.pack(len(encoded)) + encoded


def _write_members(out: bytearray, members: dict[str, Any], depth: int) -> None:
    for name, value in members.items():
        _write_name(out, name)
        _write(out, value, depth + 1)
    out += bytes((0, 0, OBJECT_END))


def as_int(value: Any) -> int | None:
    """A number that stands for an integer (transaction and stream ids); None for anything else, NaN and infinity included."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return None
