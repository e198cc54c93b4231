"""The documented TOML, made from the model: `config/tidegate.toml` (a test holds it current) and `tidegate config`.

Run `python -m tidegate.config.generate > config/tidegate.toml` after a change of the model.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tidegate.config.model import Config
from tidegate.config.schema import SETTINGS, TABLES, Setting, value_of

HIDDEN = "(hidden)"
WIDTH = 118
HEAD = (
    "Tidegate: every key with its default, as `tidegate config --default` prints it. A line that is left out keeps its "
    "default, an unknown key is an error. Times are seconds unless the name says otherwise. Precedence: flags, then the "
    "variable named behind each key (lists comma-separated there, an empty one counts as not set), then this file."
)


@cache
def documentation(owner: type) -> dict[str, str]:
    """Field name to the text under it. Read from the source: Python keeps no docstrings of attributes."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    out: dict[str, str] = {}
    for statement, following in pairwise(body):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            out[statement.target.id] = inspect.cleandoc(str(following.value.value))
    return out


def toml_value(value: Any) -> str:
    """`value` as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)  # JSON's escapes are TOML's
    return repr(value)


def default_toml() -> str:
    """Every key with its default, its documentation and its variable."""
    lines = _comment(HEAD)
    for table in ("", *TABLES):
        lines.append("")
        if table:
            lines += [f"[{table}]", *_comment(inspect.getdoc(TABLES[table]) or "")]
        for setting in _of_table(table):
            lines += ["", *_comment(_explained(setting))]
            lines.append(f"{setting.name} = {toml_value(setting.default)}")
    return "\n".join(lines) + "\n"


def effective_toml(config: Config) -> str:
    """What `config` holds, secrets hidden, as TOML; what differs from the default is marked."""
    lines: list[str] = []
    for table in ("", *TABLES):
        if table:
            lines += ["", f"[{table}]"]
        for setting in _of_table(table):
            value = value_of(config, setting.path)
            shown = HIDDEN if setting.secret and value else value
            mark = "" if value == setting.default else "  # set"
            lines.append(f"{setting.name} = {toml_value(shown)}{mark}")
    return "\n".join(lines) + "\n"


def _of_table(table: str) -> list[Setting]:
    return [setting for setting in SETTINGS.values() if setting.table == table]


def _explained(setting: Setting) -> str:
    text = documentation(setting.owner).get(setting.name, "")
    if get_origin(setting.type) is Literal:
        text = f"{text} One of {', '.join(get_args(setting.type))}.".strip()
    return f"{text} [{setting.env_names[0]}]".strip()


def _comment(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += textwrap.wrap(paragraph, WIDTH) or [""]
    return [f"# {line}".rstrip() for line in lines]


if __name__ == "__main__":
    sys.stdout.write(default_toml())
