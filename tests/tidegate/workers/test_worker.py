"""What the child does with its inputs that no supervisor can show, and the pipelines it knows."""

import ast
import errno
import inspect
import os
import re
from pathlib import Path
from typing import get_args

import pytest

from sfu.compose import messages
from tidegate.workers import worker as module
from tidegate.workers.messages import CONTROLS, REPORTS, SPECS, Heartbeat, Level, Log, Ready
from tidegate.workers.worker import Inbox, words_for


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def test_lines_come_whole_however_they_are_written(pipe):
    inbox = Inbox(pipe[0])
    assert inbox.next_line() is None
    for byte in b"one\ntwo\nthr":
        os.write(pipe[1], bytes([byte]))
    assert [inbox.next_line(), inbox.next_line(), inbox.next_line()] == [b"one\n", b"two\n", None]
    os.write(pipe[1], b"ee\n")
    os.close(pipe[1])
    assert inbox.next_line() == b"three\n" and not inbox.is_ended
    assert inbox.next_line() is None and inbox.is_ended


def test_a_line_without_an_end_is_the_end(pipe, monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE", 100)
    inbox = Inbox(pipe[0])
    for _ in range(3):
        os.write(pipe[1], b"x" * 80)
        assert inbox.next_line() is None
    assert inbox.is_ended


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Quota"), "the disk is full"),
        (OSError(errno.EACCES, "denied", "/srv/secret"), "the folder of the files cannot be written"),
        (MemoryError(), "the server has no memory left"),
        (KeyError("streamkey"), "an error of the media worker ended it; the server's log says which"),
    ],
)
def test_people_are_told_in_words_without_details(error, words):
    assert words_for(error) == words


def test_every_spec_has_its_pipeline():
    tree = ast.parse(inspect.getsource(module.make_pipeline))
    cases = {ast.unparse(case.pattern) for node in ast.walk(tree) if isinstance(node, ast.Match) for case in node.cases}
    assert cases == {f"messages.{spec.__name__}()" for spec in messages.SPECS}


def test_every_message_has_its_direction():
    for family, kinds in ((SPECS, messages.SPECS), (CONTROLS, messages.CONTROLS), (REPORTS, messages.REPORTS)):
        assert set(kinds) <= set(family._by_name.values())
    for message in (Ready(1, 0.5), Heartbeat(1.0, 2, 3.0), *(Log(level, "ä\n") for level in get_args(Level))):
        assert REPORTS.parse(REPORTS.serialize(message)) == message


def test_the_node_does_not_import_the_workers_entry():
    """It may import sfu.compose, which the node must not: who imports it imports codecs."""
    pattern = re.compile(r"^\s*(from|import) .*\bworkers(\.| import .*\b)worker\b", re.MULTILINE)
    assert pattern.search("from tidegate.workers.worker import run") and pattern.search("from tidegate.workers import worker")
    for path in Path(module.__file__).parents[1].rglob("*.py"):
        assert not pattern.search(path.read_text(encoding="utf-8")), path
