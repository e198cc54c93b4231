"""The pages' and the SDK's pure modules, tested by node's own runner: one pytest test for each `*.test.mjs`."""

import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is missing: bin/test full installs it")


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_node(name):
    # Only the page modules that touch the server by absolute path ("/sdk/…") are out of node's reach; these are not.
    run = subprocess.run([NODE, "--test", str(HERE / name)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_there_are_node_tests():
    assert len(list(HERE.glob("*.test.mjs"))) >= 5


@pytest.mark.parametrize("path", sorted((HERE.parents[1] / "web").rglob("*.js")), ids=lambda path: path.name)
def test_every_module_is_valid_and_short(path):
    source = path.read_text()
    check = subprocess.run([NODE, "--check", "--input-type=module"], input=source, capture_output=True, text=True)
    assert check.returncode == 0, check.stderr
    assert len(source.splitlines()) < 400
