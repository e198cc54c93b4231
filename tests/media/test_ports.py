from __future__ import annotations

import ast
import sys
from pathlib import Path

import media
from media import ports

FOLDER = Path(media.__file__).parent


def test_the_seams_stay_one_small_file():
    assert len((FOLDER / "ports.py").read_text().splitlines()) < 80
    protocols = [
        name for name, value in vars(ports).items() if getattr(value, "_is_protocol", False) and name != "Protocol"
    ]
    assert protocols == ["PacketSink", "PacketSource", "FrameSink"]


def test_the_vocabulary_needs_the_standard_library_only():
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                assert name.partition(".")[0] in {"media", *sys.stdlib_module_names}, f"{file.name} imports {name}"
