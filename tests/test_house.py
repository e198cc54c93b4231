"""Rules of the house that a machine can check: imports point down, cores are listed, what a clone needs is there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.lengths import FILE_LINES, FUNCTION_LINES, long_parts

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {contract["name"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
CORE_CONTRACTS = ("Cores are sans-I/O", "Cores do not know their shells")
# What is no core in each plane. Inside a package that is none there are some.
COMPOSE_CORES = ("layout", "messages", "ports")
SHELLS = {"sfu": {"io", "compose"}, "rtmp": {"io"}, "hls": {"io", "encode"}}


def modules_of(plane: str) -> set[str]:
    """`sfu.rtp`, `sfu.session`...: the direct children of a plane."""
    out: set[str] = set()
    for path in (ROOT / plane).iterdir():
        if path.suffix == ".py" and path.stem != "__init__":
            out.add(f"{plane}.{path.stem}")
        elif (path / "__init__.py").exists():
            out.add(f"{plane}.{path.name}")
    return out


def cores() -> set[str]:
    out = {"media"}
    for plane, shells in SHELLS.items():
        out |= {name for name in modules_of(plane) if name.partition(".")[2] not in shells}
    return out | {f"sfu.compose.{name}" for name in COMPOSE_CORES}


@pytest.mark.parametrize("name", CORE_CONTRACTS)
def test_the_contracts_list_every_core_there_is(name):
    assert sorted(CONTRACTS[name]["source_modules"]) == sorted(cores())


def test_imports_keep_their_contracts():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_package_that_is_imported_is_in_the_wheel():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE", "docs/architecture.md"])
def test_what_people_look_for_first_is_there(name):
    assert (ROOT / name).stat().st_size > 200


def test_the_changelog_knows_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.escape(PYPROJECT["project"]["version"])
    assert re.search(rf"^## \[?({version}|Unreleased)\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["bin/serve", "bin/test", ".ci/run"])
def test_the_scripts_are_executable_shell(name):
    assert os.access(ROOT / name, os.X_OK)
    assert subprocess.run(["sh", "-n", ROOT / name]).returncode == 0


def test_tests_are_no_packages():
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_what_is_too_long_is_noticed():
    short = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)
    assert list(long_parts(short, "m.py")) == []
    assert list(long_parts(short + "    x = 1\n", "m.py")) == [f"m.py:1: f has {FUNCTION_LINES + 1} lines"]
    assert list(long_parts("\n" * (FILE_LINES + 1), "m.py")) == [f"m.py: {FILE_LINES + 1} lines"]
