"""What a worker says upward when the node reads, reads late, or is dead."""

import logging
import os

import pytest

from sfu.compose import messages
from tidegate.workers import output as module
from tidegate.workers.messages import REPORTS, Heartbeat, Log
from tidegate.workers.output import LogToNode, Output


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def read_all(fd: int) -> list[object]:
    data = b""
    try:
        while chunk := os.read(fd, 1 << 20):
            data += chunk
    except BlockingIOError:
        pass
    return [REPORTS.parse(line) for line in data.splitlines()]


def test_reports_come_whole_and_in_order(pipe):
    output = Output(pipe[1])
    said = [messages.Warned("ä" * number) for number in range(100)]
    for message in said:
        output.say(message)
    assert read_all(pipe[0]) == said and not output.is_waiting


def test_a_node_that_reads_late_misses_heartbeats_but_no_report(pipe):
    output = Output(pipe[1])
    for number in range(20_000):
        output.say(Heartbeat(float(number), 0))
    output.say(messages.Done())
    assert output.is_waiting
    heard = []
    while output.is_waiting:
        heard.append(os.read(pipe[0], 1 << 20))
        output.flush()
    heard.append(os.read(pipe[0], 1 << 20))
    said = [REPORTS.parse(line) for line in b"".join(heard).splitlines()]
    assert said.pop() == messages.Done()
    assert 1000 < len(said) < 20_000
    assert [beat.cpu_seconds for beat in said] == [float(number) for number in range(len(said))]


def test_a_dead_node_is_noticed(pipe):
    output = Output(pipe[1])
    os.close(pipe[0])
    output.say(messages.Done())
    assert output.is_broken and not output.is_waiting
    output.say(messages.Done())
    output.finish(10)


def test_finishing_waits_for_the_reader_only_so_long(pipe):
    output = Output(pipe[1])
    while not output.is_waiting:
        output.say(messages.Warned("x" * 1000))
    output.finish(0.05)
    assert output.is_waiting


@pytest.fixture
def logger(pipe):
    handler = LogToNode(Output(pipe[1]))
    logger = logging.Logger("sfu.compose.test")
    logger.addHandler(handler)
    return logger


def test_records_go_up_with_level_logger_and_traceback_and_without_secrets(logger, pipe):
    logger.info("opened %s", "rtmp://host/app/streamkey")
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        logger.exception("bad")
    first, second = read_all(pipe[0])
    assert first == Log("info", "sfu.compose.test: opened rtmp://host/app/[removed]")
    assert second.level == "error" and "Traceback" in second.text and "ValueError" in second.text and "hunter2" not in second.text


def test_every_level_has_a_name(logger, pipe):
    for level in (5, 10, 20, 30, 40, 50):
        logger.log(level, "x")
    assert [record.level for record in read_all(pipe[0])] == ["debug", "debug", "info", "warning", "error", "error"]


def test_a_flood_is_cut_and_said_so(logger, pipe, monkeypatch):
    now = 100.0
    monkeypatch.setattr(logger.handlers[0]._limit, "_now", lambda: now)
    for number in range(500):
        logger.warning("record %d", number)
    assert len(read_all(pipe[0])) == module.LOG_BURST
    now += 10
    logger.warning("again")
    (record,) = read_all(pipe[0])
    assert record.text == "sfu.compose.test: again (450 records before this one were left out)"


def test_a_long_record_keeps_its_ends(logger, pipe):
    logger.error("begin %s end", "x" * 100_000)
    (record,) = read_all(pipe[0])
    assert len(record.text) < module.MAX_LOG + 100 and "begin" in record.text and record.text.endswith("end")


def test_a_record_that_cannot_be_made_costs_itself_only(logger, pipe, capsys):
    logger.error("%d", "no number")
    logger.error("next")
    assert [record.text for record in read_all(pipe[0])] == ["sfu.compose.test: next"]
