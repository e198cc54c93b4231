"""Targets that misbehave: what is said of them, what is tried again, and that the others notice nothing."""

import asyncio
import itertools
import socket
import ssl

import pytest
import uvloop

from rtmp.io.broadcaster import TargetPhase
from rtmp.messages import Command
from tests.support import rtmp_server
from tests.support.broadcast import KEY, encoder, eventually, staged
from tests.support.certificates import write_certificate
from tests.support.flv_source import make_flv
from tests.support.rtmp_server import BAD_NAME, RtmpServer, serve, status

LIVE, RETRYING, FAILED, STOPPED = TargetPhase.LIVE, TargetPhase.RETRYING, TargetPhase.FAILED, TargetPhase.STOPPED


def server_tls(certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (rtmp_server.silent, "does not answer the RTMP handshake"),
        (rtmp_server.slow_drip, "does not answer the RTMP handshake"),
        (rtmp_server.garbage, "does not speak RTMP"),
        (rtmp_server.garbage_after_handshake, "does not speak RTMP"),
    ],
)
async def test_what_never_answers_or_is_no_rtmp_is_said_and_tried_again(handler, words):
    async with serve(handler) as port, staged(connect_timeout=0.3) as stage:
        stage.add(port)
        await stage.until(RETRYING, words=words, times=2)
        assert stage.state().attempts >= 2


@pytest.mark.parametrize("command", ["connect", "createStream", "publish"])
async def test_a_server_that_falls_silent_amid_the_conversation(command):
    async with serve(RtmpServer({command: []})) as port, staged(connect_timeout=0.3) as stage:
        stage.add(port)
        await stage.until(RETRYING, words="does not answer")


@pytest.mark.parametrize(
    "answers",
    [
        {"connect": [Command("_error", 1, (None, {"level": "error", "description": f"no {KEY} here"}))]},
        {"createStream": [Command("_error", 4, (None, None))]},
        {"publish": [Command("_error", 5, (None, {"level": "error", "code": "NetStream.Publish.Denied"}))]},
        {"publish": status(BAD_NAME | {"description": f"{KEY} is bad"})},
    ],
)
async def test_a_refused_key_fails_at_once(answers):
    server = RtmpServer(answers)
    async with serve(server) as port, staged() as stage:
        stage.add(port)
        failed = await stage.until(FAILED, words="the server refused")
    assert failed.attempts == 1 and len(server.connections) == 1
    assert KEY not in repr(stage.reported)


async def test_who_hangs_up_on_the_key_refuses_it_if_it_does_so_again():
    async def hang_up(recorded, writer):
        if "publish" in recorded.commands:
            writer.close()

    server = RtmpServer({"publish": []})
    server.after = hang_up
    async with serve(server) as port, staged() as stage:
        stage.add(port)
        failed = await stage.until(FAILED, words="check the stream key")
    assert failed.attempts == 3


@pytest.mark.slow
async def test_a_key_once_taken_is_not_given_up_for_being_in_use():
    server = RtmpServer()

    async def end(recorded, writer):
        server.answers = {"publish": status(BAD_NAME)} if len(server.connections) == 2 else {}
        if "publish" in recorded.commands and len(server.connections) == 1 and recorded.media:
            rtmp_server.reset(writer)

    server.after = end
    async with serve(server) as port, staged() as stage, encoder(stage.broadcaster):
        stage.add(port)
        await stage.until(RETRYING, words="Already publishing")
        await stage.until(LIVE, times=2)


async def test_a_reset_midway_costs_a_new_connection():
    server = RtmpServer()

    async def end(recorded, writer):
        if len(server.connections) == 1 and len(recorded.media) > 10:
            rtmp_server.reset(writer)

    server.after = end
    async with serve(server) as port, staged() as stage, encoder(stage.broadcaster, speed=4):
        stage.add(port)
        retrying = await stage.until(RETRYING)
        assert "closed the connection" in retrying.error or "reset the connection" in retrying.error
        await stage.until(LIVE, times=2)
        again = await server.connection(1, count=2)
        await again.until(lambda recorded: len(recorded.media) > 10)
    assert again.media[3].payload[:2] == b"\x17\x01" and again.media[3].timestamp == 0


@pytest.mark.slow
async def test_one_that_reads_too_slowly_stays_live_with_gaps_and_is_told():
    server, healthy = RtmpServer(), RtmpServer()

    async def dawdle(recorded, writer):
        if recorded.media:
            writer.transport.pause_reading()
            await asyncio.sleep(0.2)
            writer.transport.resume_reading()

    server.after = dawdle
    async with serve(server) as slow, serve(healthy) as good:
        async with staged(max_queue_bytes=1_000_000, stall_timeout=20.0) as stage:
            stage.add(slow, "slow")
            stage.add(good, "good")
            await stage.until(LIVE, "slow")
            await stage.until(LIVE, "good")
            async with encoder(stage.broadcaster, noise=True, speed=3):
                told = await stage.until(LIVE, "slow", words="takes less than is sent")
                recorded = await server.connection()
                seen = len(recorded.media)
                await recorded.until(lambda recorded: len(recorded.media) > seen + 20)
            state = stage.state("slow")
            assert (state.state, state.attempts, state.since) == (LIVE, 1, told.since)
            assert state.frames_dropped > 0 and stage.state("good").frames_dropped == 0
    video = [message for message in recorded.media if message.type_id == 9]
    times = [message.timestamp for message in video]
    assert times == sorted(times)
    for before, after in itertools.pairwise(video[1:]):
        assert after.timestamp - before.timestamp <= 51 or after.payload[:2] == b"\x17\x01"  # a gap ends at a keyframe


def deaf_server() -> RtmpServer:
    """Stops reading when media come."""

    async def stop_reading(recorded, writer):
        if recorded.media:
            writer.transport.pause_reading()
            await asyncio.Event().wait()

    server = RtmpServer()
    server.after = stop_reading
    return server


@pytest.mark.slow
async def test_one_that_stops_reading_is_cut_and_the_other_gets_everything():
    healthy, stuck = RtmpServer(), deaf_server()
    async with serve(healthy) as good, serve(stuck) as bad:
        async with staged(max_queue_bytes=1_000_000) as stage, encoder(stage.broadcaster, noise=True, speed=4):
            stage.add(bad, "stuck")
            stage.add(good, "healthy")
            await stage.until(LIVE, "healthy")
            retrying = await stage.until(RETRYING, "stuck", words="stopped reading")
            assert retrying.frames_dropped > 0
            await stage.until(LIVE, "stuck", times=2)
        await healthy.connections[0].ended.wait()
    assert [state.state for state in stage.of("healthy")] == [LIVE, STOPPED]
    assert stage.of("healthy")[-1].frames_dropped == 0
    video = [message for message in healthy.connections[0].media if message.type_id == 9]
    times = [message.timestamp for message in video]
    assert len(times) > 20 and max(after - before for before, after in itertools.pairwise(times[1:])) <= 51


@pytest.mark.slow
async def test_stopping_is_bounded_by_the_slowest():
    healthy, stuck = RtmpServer(), deaf_server()
    async with serve(healthy) as good, serve(stuck) as bad, serve(rtmp_server.silent) as mute:
        async with staged(stall_timeout=60.0, connect_timeout=60.0) as stage:
            async with encoder(stage.broadcaster, noise=True, speed=4):
                for port, name in ((bad, "stuck"), (good, "healthy"), (mute, "mute")):
                    stage.add(port, name)
                await stage.until(LIVE, "healthy")
                await stage.until(LIVE, "stuck")
                await eventually(lambda: stage.state("stuck").frames_dropped > 0)
            began = asyncio.get_running_loop().time()
            await stage.broadcaster.stop(0.5)
            took = asyncio.get_running_loop().time() - began
            states = {state.id: state for state in stage.broadcaster.states()}
            await healthy.connections[0].ended.wait()
    assert {state.state for state in states.values()} == {STOPPED}
    assert "did not take the last frames" in states["stuck"].error and states["healthy"].error == ""
    assert healthy.connections[0].commands[-2:] == ["FCUnpublish", "deleteStream"]
    assert took < 20  # not the stall's or the connection's minute
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("rtmp target")]


async def test_nobody_listens_and_then_somebody_does():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    async with staged() as stage:
        stage.add(port)
        await stage.until(RETRYING, words="connection refused", times=2)
        async with serve(RtmpServer(), port=port):
            await stage.until(LIVE)


async def test_it_is_given_up_after_a_time():
    async with staged(give_up_after=0.2) as stage:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            stage.add(sock.getsockname()[1])
            failed = await stage.until(FAILED, words="given up after")
    assert failed.attempts > 1 and "connection refused" in failed.error


class Forbidden(Exception):
    pass


@pytest.mark.parametrize(
    ("failure", "phase", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), RETRYING, "the name nowhere.example is not known"),
        (UnicodeError("label too long"), RETRYING, "is not known"),
        (OSError("no way there"), RETRYING, "no way there"),
        (Forbidden("nowhere.example is a private address"), FAILED, "is a private address"),
        (RuntimeError("a bug"), FAILED, "internal error"),
    ],
)
async def test_a_name_that_leads_nowhere(failure, phase, words):
    async def resolve(host, port, scheme):
        assert (host, port, scheme) == ("nowhere.example", 1935, "rtmp")
        raise failure

    async with staged(resolve, forbidden=(Forbidden,)) as stage:
        stage.add(1935, host="nowhere.example")
        await stage.until(phase, words=words)


async def test_a_resolver_that_never_answers():
    async def resolve(host, port, scheme):
        await asyncio.Event().wait()

    async with staged(resolve, connect_timeout=0.1) as stage:
        stage.add(1935)
        await stage.until(RETRYING, words="check the DNS")


async def test_the_next_address_is_tried_and_names_are_resolved_at_each_attempt():
    asked = []

    async def resolve(host, port, scheme):
        asked.append(host)
        return ["127.0.0.2", "127.0.0.1"] if len(asked) > 1 else []

    async with serve(RtmpServer()) as port, staged(resolve) as stage:
        stage.add(port)
        await stage.until(RETRYING, words="has no address")
        await stage.until(LIVE)
    assert asked == ["localhost", "localhost"]


async def test_rtmps_with_a_certificate_that_is_right(tmp_path):
    server, certificate, flv = RtmpServer(), write_certificate(tmp_path), make_flv(2.0)
    trust = ssl.create_default_context(cafile=certificate[0])
    async with serve(server, tls=server_tls(certificate)) as port, staged(ssl_context=trust) as stage:
        stage.add(port, scheme="rtmps")
        await stage.until(LIVE)
        stage.broadcaster.receive_flv(flv)
        await stage.broadcaster.stop(10.0)
        [recorded] = server.connections
        await recorded.ended.wait()
    assert recorded.commands[-2:] == ["FCUnpublish", "deleteStream"]
    assert len([message for message in recorded.media if message.type_id == 9]) >= 40
    assert stage.state().error == ""


@pytest.mark.parametrize(
    ("name", "days", "trusted", "words"),
    [
        ("other.example", 30, True, "for another name"),
        ("localhost", -2, True, "expired"),
        ("localhost", 30, False, "nobody this system trusts"),
    ],
)
async def test_rtmps_with_a_certificate_that_is_wrong(tmp_path, name, days, trusted, words):
    server, certificate = RtmpServer(), write_certificate(tmp_path, name=name, days=days)
    trust = ssl.create_default_context(cafile=certificate[0]) if trusted else None
    async with serve(server, tls=server_tls(certificate)) as port, staged(ssl_context=trust) as stage:
        stage.add(port, scheme="rtmps")
        await stage.until(RETRYING, words=words)
    assert server.connections == []  # it heard nothing, the key least of all


async def test_rtmps_to_a_server_without_tls():
    async with serve(rtmp_server.garbage) as port, staged() as stage:
        stage.add(port, scheme="rtmps")
        await stage.until(RETRYING, words="rtmp:// or rtmps://")


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario",
    [
        test_one_that_stops_reading_is_cut_and_the_other_gets_everything,
        test_stopping_is_bounded_by_the_slowest,
        test_a_reset_midway_costs_a_new_connection,
        test_nobody_listens_and_then_somebody_does,
    ],
)
def test_it_is_the_same_on_uvloop(scenario):
    uvloop.run(scenario())


@pytest.mark.slow
def test_tls_is_the_same_on_uvloop(tmp_path):
    uvloop.run(test_rtmps_with_a_certificate_that_is_right(tmp_path))
