"""The arrows of the flows that Tidegate exists for: the one that does not hold is the first word of a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def arrow(name: str) -> Iterator[None]:
    """`with arrow("C5 joins"): ...`; whatever goes wrong inside is an AssertionError that begins with the name."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{name}: {str(error) or type(error).__name__}") from error
