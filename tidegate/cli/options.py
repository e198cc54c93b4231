"""What the commands share: options, loading the configuration, the exit code of an error."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tidegate.config.model import Config

USAGE_ERROR = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="TOML file; `tidegate config --default` prints one.", show_default=False),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Store, first key, media. [default: ./tidegate-data]", show_default=False),
]


def load_config(file: Path | None = None, **flags: Any) -> Config:
    """The effective configuration. `flags`: dotted paths with `__` for the dot (`http__port=8080`); None: not given."""
    from tidegate.config.load import load

    return load(file=file, environ=os.environ, flags={name.replace("__", "."): value for name, value in flags.items()})
