"""The model as a flat list: every field's dotted path, type, default, bounds and environment names.

Loading, generating and showing walk this list, so a new field in a dataclass appears everywhere by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from media.errors import ConfigError
from tidegate.config.model import Config

ENV_PREFIX = "TIDEGATE_"
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of the model."""

    path: str
    type: Any
    default: Any
    owner: type
    env_names: tuple[str, ...]
    secret: bool
    minimum: float | None
    maximum: float | None

    @property
    def table(self) -> str:
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    def from_text(self, text: str) -> Any:
        """The value that an environment variable or a flag spells; ConfigError when it spells none."""
        if self.type is bool:
            word = text.strip().lower()
            if word in TRUE_WORDS or word in FALSE_WORDS:
                return word in TRUE_WORDS
            raise ConfigError(self.path, f"{self._shown(text)} is not true or false")
        if self.type in (int, float):
            try:
                return self.check(self.type(text))
            except ValueError:
                wanted = "a whole number" if self.type is int else "a number"
                raise ConfigError(self.path, f"{self._shown(text)} is not {wanted}") from None
        if self.type is Path:
            return Path(text)
        if get_origin(self.type) is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        return self.check(text)

    def from_toml(self, value: Any) -> Any:
        """The value that a TOML document gives; ConfigError when it is of another type."""
        if self.type is float and type(value) is int:
            value = float(value)
        if get_origin(self.type) is tuple:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise ConfigError(self.path, 'must be a list of texts: ["…", "…"]')
            return tuple(value)
        if self.type is Path and isinstance(value, str):
            return Path(value)
        wanted = str if get_origin(self.type) is Literal else self.type
        if type(value) is not wanted:
            raise ConfigError(self.path, f"must be {_kind(wanted)}, not {_kind(type(value))}")
        return self.check(value)

    def check(self, value: Any) -> Any:
        """`value` when it is within bounds, or one of the words allowed."""
        if get_origin(self.type) is Literal:
            words = get_args(self.type)
            if value not in words:
                raise ConfigError(self.path, f"{self._shown(value)} is not one of {', '.join(words)}")
        elif self.type in (int, float):
            if not math.isfinite(value):
                raise ConfigError(self.path, "must be a finite number")
            if self.minimum is None and value <= 0:  # the planes' dataclasses name no bounds; none of theirs may be 0
                raise ConfigError(self.path, f"{value} must be above 0")
            if self.minimum is not None and value < self.minimum:
                raise ConfigError(self.path, f"{value} is below {self.minimum:g}")
            if self.maximum is not None and value > self.maximum:
                raise ConfigError(self.path, f"{value} is above {self.maximum:g}")
        return value

    def _shown(self, text: str) -> str:
        return "the value" if self.secret else repr(text)


def _kind(kind: type) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}
    return names.get(kind, kind.__name__)


def _default(item: Field[Any]) -> Any:
    return item.default if item.default is not MISSING else item.default_factory()  # type: ignore[misc]


def _walk(owner: type, prefix: str) -> Iterator[Setting]:
    hints = get_type_hints(owner)
    for item in fields(owner):
        path = prefix + item.name
        kind = hints[item.name]
        if is_dataclass(kind):
            yield from _walk(kind, path + ".")
            continue
        names = [ENV_PREFIX + path.replace(".", "_").upper()]
        if item.metadata.get("env"):
            # The flag's name first: it is the one people see in --help.
            names.insert(0, ENV_PREFIX + item.metadata["env"])
        yield Setting(
            path=path,
            type=kind,
            default=_default(item),
            owner=owner,
            env_names=tuple(names),
            secret=item.metadata.get("secret", False),
            minimum=item.metadata.get("minimum"),
            maximum=item.metadata.get("maximum"),
        )


SETTINGS: dict[str, Setting] = {setting.path: setting for setting in _walk(Config, "")}
TABLES: dict[str, type] = {name: kind for name, kind in get_type_hints(Config).items() if is_dataclass(kind)}


def value_of(config: Config, path: str) -> Any:
    """The value that `config` has at a dotted path."""
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value
