"""Lines over pipes: cut anywhere, too long, too many, with nobody at the other end."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.workers import until
from tidegate.workers import lines as module
from tidegate.workers.lines import LineReader, LineWriter


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


class Bare(LineReader):
    """Without a pipe: the cutting only."""

    def __init__(self, max_line: int) -> None:
        self.lines: list[bytes] = []
        self._on_line = self.lines.append
        self._max_line = max_line
        self._partial = bytearray()
        self._skipping = False

    def feed(self, pieces: list[bytes]) -> list[bytes]:
        for piece in pieces:
            self._take(piece)
        return self.lines


@given(st.lists(st.binary(max_size=6).map(lambda data: data.replace(b"\n", b"")), max_size=8), st.integers(1, 7), st.integers(1, 8))
def test_however_the_bytes_come_the_lines_are_the_same(lines, step, max_line):
    data = b"".join(line + b"\n" for line in lines)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    assert Bare(max_line).feed(pieces) == [line[:max_line] for line in lines]


async def test_what_is_left_in_the_pipe_is_read_at_close(pipe):
    heard = []
    reader = LineReader(pipe[0], heard.append, max_line=100)
    os.write(pipe[1], b"one\ntwo\nthree")
    reader.close()
    reader.close()
    assert heard == [b"one", b"two", b"three"]


async def test_a_flood_is_read_in_slices_with_pauses(pipe, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.0)
    heard = []
    reader = LineReader(pipe[0], heard.append, max_line=100)
    os.set_blocking(pipe[1], False)
    os.write(pipe[1], b"0123456\n" * 8000)
    reader._on_readable()
    assert len(heard) == module.READ // 8  # and no more in this turn
    await until(lambda: len(heard) == 8000)
    reader.close()


async def test_the_end_of_a_pipe_is_no_busy_loop(pipe):
    reader = LineReader(pipe[0], lambda line: None, max_line=100)
    os.close(pipe[1])
    loop = reader._loop
    await until(lambda: not loop.remove_reader(pipe[0]))  # True would mean: it was still there
    reader.close()


async def test_a_writer_keeps_what_the_pipe_does_not_take(pipe):
    writer = LineWriter(pipe[1])
    lines = [b"%06d\n" % number for number in range(20_000)]
    assert all(writer.write(line) for line in lines)
    heard = bytearray()
    os.set_blocking(pipe[0], False)

    def drain() -> bool:
        try:
            heard.extend(os.read(pipe[0], 5000))
        except BlockingIOError:
            pass
        return len(heard) == 140_000

    await until(drain)
    assert bytes(heard) == b"".join(lines)
    writer.close()


async def test_a_writer_has_a_bound(pipe, monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUED", 100_000)
    writer = LineWriter(pipe[1])
    taken = 0
    while writer.write(b"x" * 999 + b"\n"):
        taken += 1
    assert 100 <= taken <= 200
    writer.close()


async def test_a_writer_without_a_reader_swallows(pipe):
    writer = LineWriter(pipe[1])
    os.close(pipe[0])
    assert writer.write(b"x\n") and writer.write(b"y\n")
    writer.close()
