"""Files and functions that grew long: a sign, not an error. `python -m tests.support.lengths` prints them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("media", "sfu", "rtmp", "hls", "tidegate")
FILE_LINES = 400
FUNCTION_LINES = 60


def long_parts(text: str, name: str) -> Iterator[str]:
    """What of one module is too long, in words."""
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{name}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines"


def main() -> None:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for words in long_parts(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))):
                print(words)


if __name__ == "__main__":
    main()
