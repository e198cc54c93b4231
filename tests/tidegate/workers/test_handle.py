"""A worker as its user sees it, with real processes: controls, reports, packets, logs, and every way to end."""

import asyncio
import logging
import os
import signal
from pathlib import Path

import pytest

from sfu.compose import messages
from tests.support.workers import make_supervisor, start, until
from tidegate.workers import link
from tidegate.workers.handle import State
from tidegate.workers.link import MAX_WAITING
from tidegate.workers.messages import Heartbeat


@pytest.fixture
async def supervisor():
    async with make_supervisor(stop_timeout=1.0) as supervisor:
        yield supervisor


@pytest.fixture
async def strict():
    """One that does not wait long for a sign of life."""
    async with make_supervisor(heartbeat_timeout=2.0) as supervisor:
        yield supervisor


async def running(supervisor):
    run = await start(supervisor)
    await until(lambda: run.worker.state is State.RUNNING)
    return run


@pytest.fixture
async def run(supervisor):
    return await running(supervisor)


async def test_a_pipeline_runs_from_its_spec_to_done(supervisor, tmp_path):
    run = await start(supervisor, directory=str(tmp_path))
    assert run.worker.id == "RC_1" and run.worker.state is State.STARTING
    await until(lambda: run.reports)
    assert isinstance(run.reports[0], messages.Started) and run.worker.state is State.RUNNING
    run.worker.stop()
    assert run.worker.state is State.STOPPING
    exit = await run.exit()
    assert (exit.reason, exit.returncode, exit.text) == ("done", 0, "")
    assert run.exits == [exit] and run.worker.state is State.ENDED
    assert isinstance(run.reports[-1], messages.Done) and run.reports[-1].files[0].name == "recording.mp4"
    assert (tmp_path / "closed").exists()
    assert supervisor.workers == ()


async def test_controls_arrive_in_order_and_before_packets_sent_after_them(run):
    controls = [messages.PersonJoined(f"PA_{number}", "Ä" * (number % 40)) for number in range(2000)]
    for control in controls:
        run.worker.send(control)
    run.command("count_packets")
    run.worker.link.send_rtp(b"\x80" * 50)
    await until(lambda: run.rtcp and len(run.texts()) == len(controls) + 2)
    assert run.texts()[:-2] == [repr(control) for control in controls]
    assert "packets 0" in run.texts()


async def test_packets_go_both_ways_whole_and_in_order(run):
    sent = [bytes([0x80, number % 256]) + bytes(number % 1400) for number in range(3000)]
    for data in sent:
        run.worker.link.send_rtp(data)
    await until(lambda: len(run.rtcp) == len(sent))
    assert run.rtcp == sent
    stats = run.worker.link.stats
    assert (stats.packets, stats.bytes, stats.rtcp_in) == (3000, sum(map(len, sent)), 3000)


async def test_the_flv_stream_comes_whole_also_when_the_worker_dies_after_it(run):
    run.command("stream")
    run.command("leave")
    await run.exit()
    assert bytes(run.flv) == b"FLV" * 100_000


async def test_without_a_reader_the_worker_has_no_flv_stream(supervisor):
    run = await start(supervisor, flv=False)
    run.command("stream")  # its assertion fails
    assert (await run.exit()).reason == "failed"


@pytest.mark.parametrize(
    ("command", "reason", "words"),
    [
        ("abort", "crashed", "the media worker crashed (SIGABRT)"),
        ("crash", "crashed", "the media worker crashed (SIGSEGV)"),
        ("leave", "crashed", "the media worker ended unexpectedly (exit code 7)"),
        ("raise_disk_full", "failed", "the disk is full"),
        ("fail", "failed", "no room for rtmp://host/live/[removed]"),
    ],
)
async def test_what_ends_a_pipeline_is_said_without_secrets(run, command, reason, words):
    run.command(command)
    exit = await run.exit()
    assert (exit.reason, exit.text) == (reason, words)


async def test_where_native_code_crashed_is_in_the_log_with_the_pipelines_id(run, caplog):
    run.command("crash")
    await run.exit()
    (stack,) = [record for record in caplog.records if " in crash" in record.getMessage()]
    assert "fake_worker.py" in stack.getMessage() and stack.pipeline == "RC_1"


async def test_a_traceback_is_in_the_log(run, caplog):
    run.command("raise_disk_full")
    await run.exit()
    (record,) = [record for record in caplog.records if "Traceback" in record.getMessage()]
    assert record.levelno == logging.ERROR and "OSError: [Errno 28]" in record.getMessage() and record.pipeline == "RC_1"


async def test_logs_and_prints_come_up_with_the_pipelines_id(supervisor, caplog):
    caplog.set_level(logging.INFO)
    run = await start(supervisor)
    run.command("print_something")
    await until(lambda: "printed by a library" in caplog.text)
    assert "fake: pipeline made in process" in caplog.text
    assert {record.pipeline for record in caplog.records if "fake" in record.getMessage()} == {"RC_1"}


async def test_a_flood_of_logs_is_cut_and_holds_up_nothing(run, caplog):
    run.command("log_much")
    run.command("flood_stderr")
    run.command("count_packets")
    await run.heard("packets")
    run.worker.stop()
    assert (await run.exit()).reason == "done"
    logged = [record for record in caplog.records if "hunter" in record.getMessage() or "native words" in record.getMessage()]
    assert 1 < len([record for record in caplog.records if "password" in record.getMessage()]) < 200
    assert "hunter2" not in caplog.text and len(logged) < 200
    assert run.worker.stats.log_lines_dropped > 1000


async def test_garbage_instead_of_reports_is_counted_and_the_rest_is_heard(run, caplog):
    run.command("garbage")
    run.command("count_packets")
    await run.heard("packets")
    assert run.worker.stats.garbage_lines >= 5  # heartbeats in between are garbage too
    assert "not a report" in caplog.text


async def test_a_worker_that_hangs_is_killed(strict):
    run = await running(strict)
    run.command("hang")
    exit = await run.exit()
    assert (exit.reason, exit.text) == ("heartbeat", "the pipeline has not moved for 2 s")


async def test_a_worker_without_a_sign_of_life_is_killed(strict):
    run = await running(strict)
    os.kill(run.worker.pid, signal.SIGSTOP)
    exit = await run.exit()
    assert (exit.reason, exit.returncode) == ("heartbeat", -signal.SIGKILL)
    assert exit.text == "the media worker gave no sign of life for 2 s"


@pytest.mark.slow
async def test_a_merge_may_work_in_one_piece_for_longer_than_the_heartbeat_timeout(strict):
    reports = []
    worker = await strict.start(
        messages.MergeSpec("RC_2", "/", "concat", ()), kind="merge", cost=0.1, on_report=reports.append, on_exit=lambda exit: None
    )
    worker.send(messages.PersonJoined("PA_1", "work_long"))
    await until(lambda: any("work_long" in getattr(report, "text", "") for report in reports))
    assert worker.exit is None


@pytest.mark.slow
async def test_a_stop_that_is_not_obeyed_escalates(run, caplog):
    run.command("be_stubborn")
    run.worker.stop()
    run.worker.stop()
    exit = await run.exit()
    assert (exit.reason, exit.returncode) == ("killed", -signal.SIGKILL)
    assert exit.text == "it did not finish within 6 s of being asked to stop"
    assert "sending SIGTERM" in caplog.text


async def test_sigterm_is_a_stop(run):
    os.kill(run.worker.pid, signal.SIGTERM)
    assert (await run.exit()).reason == "done"


async def test_kill_is_at_once(run):
    run.worker.kill()
    exit = await run.exit()
    assert (exit.reason, exit.returncode) == ("killed", -signal.SIGKILL)
    run.worker.kill()
    run.worker.stop()
    run.worker.send(messages.SourceRemoved("TR_1"))
    run.worker.link.send_rtp(b"\x80" * 20)
    assert run.exits == [exit] and run.worker.link.stats.dropped_dead == 1


async def test_a_worker_that_does_not_read_what_it_is_told_is_given_up(run):
    os.kill(run.worker.pid, signal.SIGSTOP)
    for number in range(100):
        run.worker.send(messages.PersonJoined(f"PA_{number}", "x" * 100_000))
    exit = await run.exit()
    assert (exit.reason, exit.text) == ("heartbeat", "the media worker does not read what it is told")


async def test_after_standing_still_a_worker_reads_all_that_waited_before_it_goes_on(supervisor, monkeypatch):
    """What Linux gives a socket by default, 208 KiB, holds half a second of a participant."""
    monkeypatch.setattr(link, "SOCKET_BUFFER", 1 << 15)
    run = await running(supervisor)
    run.command("stand_still")
    for _ in range(1000):
        run.worker.link.send_rtp(bytes(1000))
    await until(lambda: len(_told_ticks(run)) == 2)
    assert _told_ticks(run)[1] == "a tick after 1000 packets"
    assert run.worker.link.stats.delayed > 500


def _told_ticks(run):
    return [text for text in run.texts() if text.startswith("a tick after")]


async def test_packets_for_a_worker_that_stands_still_wait_bounded_and_the_rest_is_counted(run):
    os.kill(run.worker.pid, signal.SIGSTOP)
    link = run.worker.link
    for _ in range(20_000):
        link.send_rtp(bytes(1200))
    stats = link.stats
    assert stats.delayed == MAX_WAITING // 1200
    assert stats.packets + stats.delayed + stats.dropped_full == 20_000 and stats.dropped_full > 0
    delayed, dropped = stats.delayed, stats.dropped_full
    os.kill(run.worker.pid, signal.SIGCONT)
    await until(lambda: stats.packets == 20_000 - dropped)  # what waited arrives
    assert (stats.delayed, stats.dropped_full) == (delayed, dropped)


def proc(pid: int) -> Path:
    return Path(f"/proc/{pid}")


def read(path: Path) -> str:
    return path.read_text()


def open_files(pid: int) -> set[str]:
    out = set()
    for path in (proc(pid) / "fd").iterdir():
        try:
            out.add(os.readlink(path))
        except FileNotFoundError:  # the listing's own
            pass
    return out


async def test_stats_come_from_heartbeats(run):
    await until(lambda: run.worker.stats.rss_bytes)
    pages = int(read(proc(run.worker.pid) / "statm").split()[1])
    assert run.worker.stats.rss_bytes == pytest.approx(pages * os.sysconf("SC_PAGE_SIZE"), rel=0.3)
    assert 0 < run.worker.stats.cpu_seconds < 10


async def test_the_share_of_a_core_is_what_was_taken_between_heartbeats(run):
    stats, worker = run.worker.stats, run.worker
    worker._heard_at = worker._beat_at + 0.1
    worker._take_heartbeat(Heartbeat(5.0, 1))
    assert stats.cpu_share == 0.0  # too soon to say
    for seconds, cpu, share in ((1.0, 5.5, 0.5), (2.0, 6.5, 0.5), (1.0, 6.5, 0.0), (1.0, 1.0, 0.0)):
        worker._heard_at = worker._beat_at + seconds
        worker._take_heartbeat(Heartbeat(cpu, 1))
        assert stats.cpu_share == pytest.approx(share)


async def test_secrets_are_neither_in_the_arguments_nor_in_the_environment(supervisor, monkeypatch):
    monkeypatch.setenv("TIDEGATE_API_SECRET", "very-secret-value")
    run = await start(supervisor, id="secret-name-of-a-spec")
    await until(lambda: run.reports)
    seen = read(proc(run.worker.pid) / "cmdline") + read(proc(run.worker.pid) / "environ")
    assert "PYTHONPATH" in seen and "--packets-fd" in seen
    assert "secret" not in seen


async def test_a_worker_is_nicer_than_the_node_and_inherits_nothing_else(run):
    assert os.getpriority(os.PRIO_PROCESS, run.worker.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    # Autogroups of Linux make sessions equal, whatever their niceness; a group of its own keeps Ctrl-C away.
    assert os.getsid(run.worker.pid) == os.getsid(0) and os.getpgid(run.worker.pid) == run.worker.pid
    # Both ends of a pipe have one name, those of a socket have not: one of ours there would hide our death from the worker.
    shared = open_files(os.getpid()) & open_files(run.worker.pid)
    assert len([name for name in shared if name.startswith("pipe:")]) == 3
    assert {name for name in shared if not name.startswith("pipe:")} <= {"/dev/null", "anon_inode:[eventpoll]", "anon_inode:[pidfd]"}


async def test_what_a_callback_raises_is_logged_and_the_rest_goes_on(supervisor, caplog):
    def fail(_):
        raise RuntimeError("of the test")

    worker = await supervisor.start(
        messages.CompositionSpec("RC_9", "/", 640, 360), kind="composition", cost=0.1, on_report=fail, on_exit=fail, on_rtcp=fail
    )
    worker.link.send_rtp(b"\x80" * 20)
    await until(lambda: worker.link.stats.rtcp_in)
    worker.stop()
    assert (await asyncio.wait_for(worker.wait(), 30)).reason == "done"
    assert caplog.text.count("RuntimeError: of the test") >= 3
