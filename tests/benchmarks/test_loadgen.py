"""The load generator against our own server: what it counts is what happened."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from benchmarks.loadgen.offer import Refused, read_answer
from benchmarks.loadgen.peers import asks_keyframe
from benchmarks.loadgen.run import Latency
from benchmarks.loadgen.stream import VideoStream, read_stamp
from sfu.rtp.compound import serialize_compound
from sfu.rtp.feedback import Nack, Pli
from sfu.rtp.packet import parse
from sfu.rtp.payload import vp8


@pytest.fixture
async def server():
    command = [sys.executable, "-m", "benchmarks.server"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    yield process.pid, int(await process.stdout.readline())
    process.terminate()
    await process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["burst", "steady"])
async def test_every_packet_published_reaches_every_receiver_unaltered(server, mode):
    pid, port = server
    url = f"http://127.0.0.1:{port}/v2/"
    command = [
        sys.executable, "-m", "benchmarks.loadgen", "--json", "--mode", mode, "--seconds", "1", "--receivers", "3",
        "--whip", f"{url}whip?roomId=r&participantId=a", "--whep", f"{url}whep?roomId=r&remotePeerId=a",
        "--server-pid", str(pid), "--sample-every", "5",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    result = json.loads(output)
    assert process.returncode == 0
    assert result["published"] >= 200
    assert (result["forwarded"], result["lost"], result["altered"]) == (3 * result["published"], 0, 0)
    assert result["profile"] == "SRTP_AEAD_AES_128_GCM"
    assert result["latency"]["samples"] == pytest.approx(result["forwarded"] / 5, abs=3)
    assert 0 < result["latency"]["p50"] <= result["latency"]["p99"]
    assert result["cpu_seconds_per_million"] > 0
    assert result["bare_relay"]["samples"] > 100


def test_a_frame_is_a_vp8_frame_with_the_time_of_sending_in_each_packet():
    stream = VideoStream(packets_per_frame=3, packet_bytes=600)
    stream.begin_frame()
    packets = [parse(stream.packet(index, wall_ns=1000 + index)) for index in range(3)]
    assert [len(packet.data) for packet in packets] == [584] * 3
    assert [packet.marker for packet in packets] == [False, False, True]
    assert [vp8.is_keyframe(packet.payload) for packet in packets] == [True, False, False]
    assert vp8.frame_height(packets[0].payload) == 720
    assert [read_stamp(packet.data) for packet in packets] == [1000, 1001, 1002]
    stream.begin_frame()
    assert not vp8.is_keyframe(parse(stream.packet(0, wall_ns=1)).payload)
    stream.request_keyframe()
    stream.begin_frame()
    assert vp8.is_keyframe(parse(stream.packet(0, wall_ns=1)).payload)


def test_a_changed_payload_has_no_stamp():
    stream = VideoStream()
    stream.begin_frame()
    packet = bytearray(stream.packet(0, wall_ns=7))
    packet[stream._payload_offset + 14] ^= 1
    assert read_stamp(bytes(packet)) is None
    assert read_stamp(bytes(packet[:20])) is None


def test_keyframe_requests_are_found_in_compounds():
    assert asks_keyframe(serialize_compound([Nack(1, 2, [3]), Pli(1, 2)]))
    assert not asks_keyframe(serialize_compound([Nack(1, 2, [3])]))
    assert not asks_keyframe(os.urandom(3))


def test_percentiles_are_of_the_sorted_values():
    latency = Latency.of(range(1_000_000, 0, -1000))
    assert (latency.samples, latency.p50, latency.p99, latency.max) == (1000, 0.501, 0.991, 1.0)
    assert Latency.of([]) == Latency()


ANSWER = (
    "a=ice-ufrag:u\na=ice-pwd:p\na=fingerprint:sha-256 AA:BB\na=setup:passive\n"
    "a=candidate:1 1 udp 1 10.0.0.1 5 typ host\na=candidate:1 1 UDP 1 127.0.0.1 6 typ host\n"
)


def test_an_answer_names_the_address_nearest_to_us():
    answer = read_answer(ANSWER, "r")
    assert (answer.ufrag, answer.pwd, answer.fingerprint, answer.address) == ("u", "p", "AA:BB", ("127.0.0.1", 6))


@pytest.mark.parametrize("broken", [ANSWER.replace("passive", "active"), ANSWER.replace("host", "relay"), "v=0"])
def test_an_answer_of_no_use_is_refused(broken):
    with pytest.raises(Refused):
        read_answer(broken, "r")
