"""A field of the configuration, with what the loader needs beside its type."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(
    default: Any,
    *,
    env: str | None = None,
    secret: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A field with what the loader needs beside its type.

    `env`: a second name of its variable after `TIDEGATE_`, the flag's; `secret`: never shown; bounds are inclusive.
    """
    return field(default=default, metadata={"env": env, "secret": secret, "minimum": minimum, "maximum": maximum})
