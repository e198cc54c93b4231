"""`tidegate config` and `tidegate openapi`: what this installation is set to, and what it speaks."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tidegate.cli.options import ConfigOption, DataDirOption, load_config


def config(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    default: Annotated[bool, typer.Option("--default", help="The documented defaults instead: a file to start from.")] = False,
) -> None:
    """Print the effective configuration.

    It is TOML: defaults, file and environment together, secrets hidden. To start a file of your own:
    tidegate config --default > tidegate.toml
    """
    from tidegate.config.generate import default_toml, effective_toml

    print(default_toml() if default else effective_toml(load_config(config, data_dir=data_dir)), end="")


def openapi() -> None:
    """Print the REST API's OpenAPI description.

    The same as /openapi.json of a running server.
    """
    from tidegate.http.openapi import document

    print(json.dumps(document(), indent=2, ensure_ascii=False))
