"""Admission, spares, the node's end: nothing is left behind."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from media.errors import PeerError
from tests.support.workers import DEADLINE, make_supervisor, start, until
from tidegate.workers import supervisor as module
from tidegate.workers.supervisor import available_cores

ROOT = Path(__file__).parents[3]


def children() -> set[int]:
    """Ours, zombies included."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


async def test_a_pipeline_too_many_is_refused():
    async with make_supervisor(max_pipelines=1) as supervisor:
        run = await start(supervisor)
        with pytest.raises(PeerError, match="all 1 places") as refusal:
            await start(supervisor)
        assert (refusal.value.code, refusal.value.name) == (4098, "SERVER_BUSY")
        assert supervisor.refused == 1
        run.worker.kill()
        await run.exit()
        await start(supervisor)


async def test_the_cpu_budget_is_the_configured_one_else_the_machines():
    async with make_supervisor(cpu_budget=1.0, cores=64) as supervisor:
        await start(supervisor, cost=0.7)
        with pytest.raises(PeerError, match=r"needs about 0\.4 of a processor core, and 0\.7 of 1\.0 are in use"):
            await start(supervisor, cost=0.4)
        await start(supervisor, cost=0.3)
        assert supervisor.cores_in_use == pytest.approx(1.0)
    assert make_supervisor(cores=4.0).budget.cores == 3.5
    assert make_supervisor(cores=None).budget.cores == max(0.5, available_cores() - 0.5)


async def test_what_a_pipeline_really_takes_counts_when_it_is_more_than_estimated():
    async with make_supervisor(cpu_budget=1.0) as supervisor:
        run = await start(supervisor, cost=0.1)
        run.worker.stats.cpu_share = 0.9
        with pytest.raises(PeerError, match="too busy"):
            await start(supervisor, cost=0.2)
        run.worker.cost = 0.95
        run.worker.stats.cpu_share = 0.0
        assert supervisor.cores_in_use == 0.95


async def test_a_process_that_cannot_be_started_is_a_refusal():
    async with make_supervisor(command=("/nonexistent/python",)) as supervisor:
        before = descriptors()
        with pytest.raises(PeerError, match="cannot start another process"):
            await start(supervisor)
        assert descriptors() == before
        assert supervisor.workers == ()


async def test_the_spare_is_used_and_replaced(monkeypatch):
    monkeypatch.setattr(module, "SPARE_DELAY", 0.0)
    async with make_supervisor(spare=1) as supervisor:
        await until(lambda: supervisor.spares and supervisor.spares[0].is_ready)
        spare = supervisor.spares[0]
        run = await start(supervisor)
        assert run.worker is spare
        await until(lambda: supervisor.spares)
        assert supervisor.spares[0].pid != spare.pid
        assert supervisor.workers == (spare,)
        await until(lambda: run.reports)


async def test_a_spare_that_is_not_ready_yet_takes_its_pipeline_all_the_same():
    async with make_supervisor(spare=1) as supervisor:
        await until(lambda: supervisor.spares)
        run = await start(supervisor)
        run.command("count_packets")
        await run.heard("packets 0")


async def test_a_spare_that_dies_is_replaced_after_a_pause(monkeypatch, caplog):
    monkeypatch.setattr(module, "SPARE_RETRY", 0.0)
    async with make_supervisor(spare=1) as supervisor:
        await until(lambda: supervisor.spares)
        pid = supervisor.spares[0].pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: supervisor.spares and supervisor.spares[0].pid != pid)
    assert caplog.text.count("a spare media worker died (exit code -9)") == 1


async def test_a_spare_that_hangs_is_killed(monkeypatch):
    monkeypatch.setattr(module, "SPARE_RETRY", 0.0)
    async with make_supervisor(spare=1, heartbeat_timeout=2.0) as supervisor:
        await until(lambda: supervisor.spares)
        pid = supervisor.spares[0].pid
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: supervisor.spares and supervisor.spares[0].pid != pid)


@pytest.mark.parametrize("spare", [0, 1])
async def test_nothing_is_left_behind(spare, tmp_path):
    before, mine = descriptors(), children()
    async with make_supervisor(spare=spare) as supervisor:
        runs = [await start(supervisor, directory=str(tmp_path), flv=bool(number % 2)) for number in range(3)]
        crashed = await start(supervisor)
        crashed.command("abort")
        await crashed.exit()
        await until(lambda: all(run.reports for run in runs))
        assert len(children() - mine) >= 3
    assert [run.worker.exit.reason for run in runs] == ["done"] * 3
    assert children() == mine
    assert descriptors() == before
    assert supervisor.exits == {("composition", "done"): 3, ("composition", "crashed"): 1}


async def test_closing_takes_no_longer_than_it_may(tmp_path):
    async with make_supervisor() as supervisor:
        good = await start(supervisor, directory=str(tmp_path))
        stubborn = await start(supervisor)
        stubborn.command("be_stubborn")
        await stubborn.heard("be_stubborn")
        await supervisor.close(timeout=0.5)
        assert (good.exits[0].reason, stubborn.exits[0].reason) == ("done", "killed")
        assert stubborn.exits[0].text == "the server had no more time for it to finish"
        with pytest.raises(PeerError, match="the server shuts down"):
            await start(supervisor)


async def test_the_node_being_away_is_no_fault_of_the_workers():
    async with make_supervisor(heartbeat_timeout=2.0) as supervisor:
        run = await start(supervisor)
        await until(lambda: run.worker.stats.rss_bytes)
        run.worker.check(run.worker._heard_at + 100, forgive=True)
        assert run.worker.exit is None and run.worker._forced is None
        run.worker.check(run.worker._heard_at + 3)
        assert (await run.exit()).reason == "heartbeat"


def kill_node(directory: Path, command: str) -> None:
    """Start a node with a worker that did this, kill the node, wait for the worker's end."""
    arguments = [sys.executable, "-m", "tests.support.fake_node", str(directory), command]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as node:
        pid = int(node.stdout.readline())
        worker = os.pidfd_open(pid)
        try:
            node.kill()
            readable, _, _ = select.select([worker], [], [], DEADLINE)
            assert readable, "the worker outlived its node"
        finally:
            os.close(worker)


@pytest.mark.parametrize("command", ["count_packets", "stream"])
def test_a_worker_ends_well_by_itself_when_the_node_is_killed(command, tmp_path):
    kill_node(tmp_path, command)
    assert (tmp_path / "closed").read_text() == "5"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["hang", "be_stubborn"])
def test_a_worker_that_cannot_end_well_ends_all_the_same_when_the_node_is_killed(command, tmp_path):
    kill_node(tmp_path, command)
    assert not (tmp_path / "closed").exists()


async def test_a_start_that_is_cancelled_leaves_nothing():
    before, mine = descriptors(), children()
    async with make_supervisor() as supervisor:
        task = asyncio.ensure_future(start(supervisor))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (descriptors(), children()) == (before, mine)


def test_it_is_the_same_on_uvloop(tmp_path):
    uvloop.run(asyncio.sleep(0))  # it keeps a descriptor or two of its own for the process
    before, mine = descriptors(), children()

    async def main() -> None:
        async with make_supervisor(spare=1) as supervisor:
            for _ in range(3):  # descriptors are used again
                run = await start(supervisor, directory=str(tmp_path))
                for _ in range(5000):
                    run.worker.link.send_rtp(bytes(1200))
                run.command("stream")
                stats = run.worker.link.stats
                await until(lambda run=run, stats=stats: stats.rtcp_in + stats.dropped_full >= 5000 and len(run.flv) == 300_000)
                run.worker.stop()
                assert (await run.exit()).reason == "done"

    uvloop.run(main())
    assert (descriptors(), children()) == (before, mine)
