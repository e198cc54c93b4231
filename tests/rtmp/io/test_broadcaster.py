"""What well-behaved servers receive over real sockets of loopback; secrets; what is left behind."""

import asyncio
import gc
import logging
import os

import pytest
import uvloop

from media.errors import ParseError, UsageError
from rtmp.io.broadcaster import TargetPhase
from rtmp.messages import Command
from tests.support import rtmp_server
from tests.support.broadcast import KEY, encoder, eventually, staged
from tests.support.flv_source import make_flv
from tests.support.rtmp_server import BAD_NAME, RtmpServer, serve, status

LIVE, RETRYING, FAILED, STOPPED = TargetPhase.LIVE, TargetPhase.RETRYING, TargetPhase.FAILED, TargetPhase.STOPPED


def fds_of_this_process() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_everything_arrives_in_order_and_leave_is_taken():
    server, flv = RtmpServer(), make_flv(3.0)
    async with serve(server) as port, staged() as stage:
        stage.add(port)
        await stage.until(LIVE)
        for start in range(0, len(flv), 777):
            stage.broadcaster.receive_flv(flv[start : start + 777])
        await stage.broadcaster.stop(10.0)
        recorded = await server.connection()
        await recorded.ended.wait()
    assert recorded.clean
    assert recorded.commands == [
        *("connect", "releaseStream", "FCPublish", "createStream", "publish"),
        *("FCUnpublish", "deleteStream"),
    ]
    assert isinstance(recorded.said[-1], Command) and isinstance(recorded.said[-2], Command)  # behind the last frame
    media = recorded.media
    assert [message.type_id for message in media[:3]] == [18, 9, 8]
    assert media[0].payload.startswith(b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData")
    assert media[3].payload[:2] == b"\x17\x01" and media[3].timestamp == 0
    assert len([message for message in media if message.type_id == 9]) >= 60
    assert recorded.control(5)  # the bandwidth it set was answered with a window
    assert stage.state().bytes_sent > len(flv) * 0.9


@pytest.mark.slow
def test_it_is_the_same_on_uvloop():
    uvloop.run(test_everything_arrives_in_order_and_leave_is_taken())


async def test_a_target_that_comes_late_begins_at_a_keyframe_from_time_zero():
    server = RtmpServer()
    async with serve(server) as port, staged() as stage, encoder(stage.broadcaster, speed=4):
        stage.add(port, "a")
        await (await server.connection(0)).until(lambda recorded: len(recorded.media) > 70)
        stage.add(port, "b")
        late = await server.connection(1, count=2)
        await late.until(lambda recorded: len(recorded.media) > 10)
        assert (await stage.broadcaster.remove_target("b")).state is STOPPED
        await late.ended.wait()
        assert [state.id for state in stage.broadcaster.states()] == ["a"]
        sent = stage.state("a").bytes_sent
        await eventually(lambda: stage.state("a").bytes_sent > sent)
    assert late.commands[-2:] == ["FCUnpublish", "deleteStream"]
    assert [(message.type_id, message.timestamp) for message in late.media[:3]] == [(18, 0), (9, 0), (8, 0)]
    assert late.media[3].payload[:2] == b"\x17\x01" and late.media[3].timestamp == 0
    times = [message.timestamp for message in late.media]
    assert 0 < times[-1] < 60_000 and len(stage.of("a")) == 2


async def test_another_encoder_goes_on_in_the_same_connection():
    server, flv = RtmpServer(), make_flv(1.0)
    async with serve(server) as port, staged() as stage:
        stage.add(port)
        await stage.until(LIVE)
        stage.broadcaster.receive_flv(flv[: len(flv) - 100])
        stage.broadcaster.restart_flv()
        stage.broadcaster.receive_flv(flv)
        await stage.broadcaster.stop(10.0)
    [recorded] = server.connections
    times = [message.timestamp for message in recorded.media if message.type_id == 9]
    assert times == sorted(times) and times[-1] > 1900
    configurations = [message for message in recorded.media if message.payload[:2] == b"\x17\x00"]
    assert len(configurations) == 2


async def test_sound_alone_is_sent_without_waiting_for_a_picture():
    server = RtmpServer()
    async with serve(server) as port, staged() as stage:
        stage.add(port)
        await stage.until(LIVE)
        stage.broadcaster.receive_flv(make_flv(1.0, video=False))
        await stage.broadcaster.stop(10.0)
        [recorded] = server.connections
        await recorded.ended.wait()
    assert {message.type_id for message in recorded.media} == {8, 18}
    assert len(recorded.media) > 40


@pytest.mark.slow
async def test_the_bit_rate_is_what_is_sent():
    expected = 8 * len(make_flv(4.0, noise=True)) / 4
    async with serve(RtmpServer()) as port, staged() as stage, encoder(stage.broadcaster, noise=True):
        stage.add(port)
        await stage.until(LIVE)
        assert stage.state().bitrate_bps == 0
        await eventually(lambda: 0.7 * expected < stage.state().bitrate_bps < 1.4 * expected)


async def test_what_the_caller_may_not_do():
    async with staged(max_targets=1) as stage:
        with pytest.raises(ParseError, match="must begin with"):
            stage.broadcaster.add_target("t", "http://a.example/live", KEY)
        stage.add(1, "a")
        for wrong, words in (("a", "there already"), ("b", "1 targets are all")):
            with pytest.raises(UsageError, match=words):
                stage.add(1, wrong)
        with pytest.raises(KeyError):
            await stage.broadcaster.remove_target("b")
        await stage.broadcaster.stop()
        with pytest.raises(UsageError, match="stopped"):
            stage.add(1, "c")
    with pytest.raises(ParseError):
        stage.broadcaster.receive_flv(b"nothing of the kind")


async def test_no_secret_is_in_any_log_state_or_repr(caplog, tmp_path):
    """Good and bad ends with everything that logs at its loudest."""
    caplog.set_level(logging.NOTSET)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    secrets = ("s3cretkey", "s3cretarg", "s3cretuser", "s3cretpass", "s3crettoken")
    url = "rtmp://s3cretuser:s3cretpass@localhost:{}/live?token=s3crettoken"
    key = "s3cretkey?auth=s3cretarg"
    said = "you sent s3cretkey, s3cretarg, s3cretuser, s3cretpass and s3crettoken"
    refusing = RtmpServer({"publish": status(BAD_NAME | {"description": said})})
    ending = RtmpServer()

    async def end(recorded, writer):
        if recorded.media:
            rtmp_server.reset(writer)

    ending.after = end
    async with (
        serve(RtmpServer()) as good,
        serve(refusing) as refuses,
        serve(ending) as ends,
        serve(rtmp_server.garbage) as bad,
    ):
        async with staged() as stage, encoder(stage.broadcaster):
            for target_id, port in (("good", good), ("refuses", refuses), ("ends", ends), ("bad", bad), ("none", 1)):
                stage.broadcaster.add_target(target_id, url.format(port), key)
            await stage.until(LIVE, "good")
            await stage.until(FAILED, "refuses", words="BadName")
            for target_id in ("ends", "bad", "none"):
                await stage.until(RETRYING, target_id)
            shown = repr(stage.reported) + repr(vars(stage.broadcaster)) + repr(asyncio.all_tasks())
            for target in stage.broadcaster._targets.values():
                shown += repr(vars(target)) + repr(vars(target._publisher)) if target._publisher else repr(vars(target))
    loop.set_debug(False)
    assert "localhost" in caplog.text and "rtmp://localhost" in shown
    for secret in secrets:
        assert secret not in caplog.text and secret not in shown


async def test_nothing_is_left_behind():
    async with serve(RtmpServer()) as port:
        before = fds_of_this_process()
        async with staged() as stage, encoder(stage.broadcaster):
            for n in range(4):
                stage.add(port, str(n))
                stage.add(1, f"none{n}")
            for n in range(4):
                await stage.until(LIVE, str(n))
                await stage.until(RETRYING, f"none{n}")
            assert fds_of_this_process() > before
        gc.collect()
        await eventually(lambda: fds_of_this_process() <= before)
