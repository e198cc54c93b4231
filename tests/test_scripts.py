"""bin/serve and bin/test on a machine that lacks what they need: one line that names it."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("sh", "dirname", "cksum", "cat", "rm", "env", "sed", "id", "ls", "sort")


@pytest.fixture
def clone(tmp_path):
    """The scripts and pyproject.toml alone, and a PATH that holds nothing but a shell's own tools."""
    root, path = tmp_path / "clone", tmp_path / "path"
    shutil.copytree(ROOT / "bin", root / "bin")
    shutil.copy(ROOT / "pyproject.toml", root)
    path.mkdir()
    for tool in TOOLS:
        (path / tool).symlink_to(shutil.which(tool))
    return root, path


def add_tool(path: Path, name: str, script: str) -> None:
    file = path / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def run(clone, script: str, *args: str) -> subprocess.CompletedProcess:
    root, path = clone
    return subprocess.run(
        [root / "bin" / script, *args], env={"PATH": str(path)}, cwd="/", capture_output=True, text=True
    )


def test_serve_without_python_says_so_in_one_line(clone):
    got = run(clone, "serve")
    assert (got.returncode, got.stdout) == (2, "")
    assert got.stderr.count("\n") == 1 and "Python 3.11 or newer is missing" in got.stderr


def test_serve_without_venv_says_so_in_one_line(clone):
    add_tool(clone[1], "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    got = run(clone, "serve")
    assert got.returncode == 2
    assert got.stderr.count("\n") == 1 and "venv is missing" in got.stderr


PYTHON = """
case "$1 $2" in
"-c "*) exit 0 ;;
"-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; printf '#!/bin/sh\\necho started "$@"\\n' >"$3/bin/tidegate"; chmod +x "$3/bin/tidegate" ;;
"-m pip") echo "pip $*" ;;
esac
"""


def test_serve_installs_once_and_again_when_the_project_file_changed(clone):
    root, path = clone
    for tool in ("mkdir", "cp", "chmod"):
        (path / tool).symlink_to(shutil.which(tool))
    add_tool(path, "python3", PYTHON)
    first = run(clone, "serve", "--http-port", "0", "a b")
    assert first.returncode == 0, first.stderr
    assert first.stdout == "started serve --http-port 0 a b\n"
    assert "making the virtual environment" in first.stderr and "pip" in first.stderr
    assert run(clone, "serve").stderr == ""
    with open(root / "pyproject.toml", "a") as file:
        file.write("# changed\n")
    again = run(clone, "serve")
    assert "pip" in again.stderr and "making" not in again.stderr
    assert run(clone, "serve").stderr == ""


def test_serve_makes_the_environment_anew_where_a_clone_was_moved(clone, tmp_path):
    root, path = clone
    for tool in ("mkdir", "cp", "chmod"):
        (path / tool).symlink_to(shutil.which(tool))
    add_tool(path, "python3", PYTHON)
    assert run(clone, "serve").returncode == 0
    os.rename(root, tmp_path / "moved")
    assert "making the virtual environment" in run((tmp_path / "moved", path), "serve").stderr


def test_test_names_what_is_missing_and_cannot_be_installed(clone):
    got = run(clone, "test", "full")
    assert got.returncode == 2
    assert got.stderr.count("\n") == 1
    for name in ("chromium", "firefox-esr", "ffmpeg", "nodejs", "npm"):
        assert name in got.stderr
