"""What a participant may do: one frozen `Grants`, made by whoever reads tokens, changeable while the call runs.

How a token's permissions become grants is `tidegate/auth.py`; the wire form is `Grants` of docs/signalling.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

from media.codecs import Kind
from media.errors import ParseError


class Source(Enum):
    """Where a track comes from; values as on the wire."""

    MIC = "mic"
    WEBCAM = "webcam"
    SCREEN = "screen"
    SCREEN_AUDIO = "screenAudio"

    @property
    def kind(self) -> Kind:
        return Kind.AUDIO if self in (Source.MIC, Source.SCREEN_AUDIO) else Kind.VIDEO


ALL_SOURCES = frozenset(Source)

# Never told or asked over the wire: the first two are a token's permissions, the last marks our own listeners.
INTERNAL = frozenset({"join", "ask", "recorder"})


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything is denied unless said."""

    join: bool = False  # enters at once
    ask: bool = False  # must be let in by somebody
    publish: frozenset[Source] = frozenset()
    subscribe: bool = False
    data: bool = False
    hidden: bool = False  # announced to nobody, publishes nothing; fixed at join
    recorder: bool = False  # a listener of ours: not counted as a participant, does not hold a room open
    record: bool = False
    broadcast: bool = False
    hls: bool = False
    stream: bool = False
    upload: bool = False
    moderate: bool = False
    end: bool = False

    @classmethod
    def full(cls) -> Grants:
        """All that a person can be given: neither hidden nor a recorder."""
        return cls(join=True, publish=ALL_SOURCES, subscribe=True, data=True, record=True, broadcast=True, hls=True,
                   stream=True, upload=True, moderate=True, end=True)  # fmt: skip

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], base: Grants | None = None) -> Grants:
        """`wire` laid over `base` (nothing granted when None), so a partial object changes only what it names.

        Raises ParseError whose text begins with the path of the wrong field.
        """
        if not isinstance(wire, Mapping):
            raise ParseError("grants: must be an object")
        changes: dict[str, Any] = {}
        for key, value in wire.items():
            if key not in WIRE_NAMES:
                raise ParseError(f"grants.{str(key)[:40]}: unknown grant")
            if key == "publish":
                changes[key] = _parse_sources(value)
            elif isinstance(value, bool):
                changes[key] = value
            else:
                raise ParseError(f"grants.{key}: must be true or false")
        return replace(base if base is not None else cls(), **changes)

    def to_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {name: getattr(self, name) for name in WIRE_NAMES}
        wire["publish"] = [source.value for source in Source if source in self.publish]
        return wire

    def is_subset_of(self, other: Grants) -> bool:
        """Whether `other` has everything this has; `hidden` counts as a power like the rest."""
        for name in FIELD_NAMES:
            mine, theirs = getattr(self, name), getattr(other, name)
            if not (mine <= theirs):  # frozenset: subset; bool: implies
                return False
        return True

    def added_since(self, before: Grants) -> Grants:
        """What this has and `before` had not."""
        changes = {name: getattr(self, name) and not getattr(before, name) for name in FIELD_NAMES if name != "publish"}
        return Grants(publish=self.publish - before.publish, **changes)


FIELD_NAMES = tuple(field.name for field in fields(Grants))
WIRE_NAMES = tuple(name for name in FIELD_NAMES if name not in INTERNAL)


def _parse_sources(value: Any) -> frozenset[Source]:
    """A list of sources; true and false stand for all and none, since the other grants are booleans."""
    if isinstance(value, bool):
        return ALL_SOURCES if value else frozenset()
    if not isinstance(value, list):
        raise ParseError("grants.publish: must be a list of sources")
    known = {source.value: source for source in Source}
    found = set()
    for index, name in enumerate(value):
        if not isinstance(name, str) or name not in known:
            raise ParseError(f"grants.publish[{index}]: must be one of {', '.join(known)}")
        found.add(known[name])
    return frozenset(found)
