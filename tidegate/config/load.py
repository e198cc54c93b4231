"""From TOML, the environment and flags to one `Config`: flags before environment before file before defaults.

Whatever is not known is an error that names the nearest known key: a misspelt limit must not be a missing limit.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from media.errors import ConfigError
from tidegate.config.model import Config
from tidegate.config.schema import ENV_PREFIX, SETTINGS, TABLES, Setting

CONFIG_FILE_VARIABLE = "TIDEGATE_CONFIG"
# Variables with our prefix that are no configuration of the node: the scripts', the client commands', the tests', and
# what Kubernetes and Docker links set in every container beside a service named "tidegate".
OTHER_VARIABLES = re.compile(
    r"TIDEGATE_(CONFIG|PYTHON|URL|TOKEN|TEST_\w+|SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)"
)


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """The effective configuration; ConfigError (with the dotted path and the source) for anything wrong.

    `flags` maps dotted paths to typed values; None means the flag was not given.
    """
    environ = environ or {}
    if file is None and environ.get(CONFIG_FILE_VARIABLE):
        file = Path(environ[CONFIG_FILE_VARIABLE])
    values: dict[str, Any] = {}
    if file is not None:
        values |= _from_file(file)
    values |= _from_environ(environ)
    for path, value in (flags or {}).items():
        if value is not None:
            values[path] = SETTINGS[path].check(value)
    config = _build(values)
    config.validate()
    return config


def _from_file(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), f"is not TOML: {error}") from None
    try:
        return dict(_flatten(document, ""))
    except ConfigError as error:
        raise ConfigError(error.path, f"{error.reason} (in {file})") from None


def _flatten(document: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in document.items():
        path = prefix + name
        if path in SETTINGS:
            yield path, SETTINGS[path].from_toml(value)
        elif path in TABLES:
            if not isinstance(value, Mapping):
                raise ConfigError(path, f"is a table: write [{path}] and its keys under it")
            yield from _flatten(value, path + ".")
        else:
            raise ConfigError(path, "unknown key" + _nearest(path, [*SETTINGS, *TABLES]))


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    by_name: dict[str, Setting] = {name: item for item in SETTINGS.values() for name in item.env_names}
    values: dict[str, Any] = {}
    source: dict[str, str] = {}
    for name, text in environ.items():
        if not name.startswith(ENV_PREFIX) or OTHER_VARIABLES.fullmatch(name):
            continue
        item = by_name.get(name)
        if item is None:
            raise ConfigError(name, "unknown variable" + _nearest(name, list(by_name)))
        if not text:  # what compose files pass on for a variable that is not set
            continue
        if item.path in source:
            raise ConfigError(item.path, f"{source[item.path]} and {name} both set it; keep one")
        try:
            values[item.path] = item.from_text(text)
        except ConfigError as error:
            raise ConfigError(error.path, f"{error.reason} (from {name})") from None
        source[item.path] = name
    return values


def _nearest(name: str, known: list[str]) -> str:
    """`; did you mean …?` by spelling, or by the last part where somebody left out or mistook the table."""
    found = get_close_matches(name, known, n=1, cutoff=0.6)
    if not found:
        leaf = name.rpartition(".")[2]
        by_leaf = {path.rpartition(".")[2]: path for path in known}
        found = [by_leaf[match] for match in get_close_matches(leaf, list(by_leaf), n=1, cutoff=0.6)]
    return f"; did you mean {found[0]}?" if found else ""


def _build(values: Mapping[str, Any]) -> Config:
    top: dict[str, Any] = {path: value for path, value in values.items() if "." not in path}
    for name, kind in TABLES.items():
        prefix = name + "."
        top[name] = kind(**{path.removeprefix(prefix): value for path, value in values.items() if path.startswith(prefix)})
    return Config(**top)
