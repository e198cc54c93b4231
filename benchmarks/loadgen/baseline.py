"""The same stream over a bare relay to one receiver: the latency that is the kernel's and the machine's, not the server's."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

from benchmarks.loadgen import batch
from benchmarks.loadgen.run import SPACING, Latency, Options
from benchmarks.loadgen.stream import VideoStream, read_stamp


def measure_relay(options: Options, *, seconds: float) -> Latency:
    """Starts `benchmarks.relay` and ends it. Every packet is looked at."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    receiver.bind(("127.0.0.1", 0))
    batch.prepare(receiver)
    host, port = receiver.getsockname()
    command = [sys.executable, "-m", "benchmarks.relay", host, str(port)]
    relay = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert relay.stdout is not None
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sender.connect(("127.0.0.1", int(relay.stdout.readline())))
        values = _run(options, sender, receiver, seconds)
        sender.close()
        return Latency.of(values)
    finally:
        relay.terminate()
        relay.communicate()
        receiver.close()


def _run(options: Options, sender: socket.socket, receiver: socket.socket, seconds: float) -> list[int]:
    stream = VideoStream(fps=options.fps, packets_per_frame=options.packets_per_frame, packet_bytes=options.packet_bytes)
    spacing = SPACING[options.mode] / (options.fps * options.packets_per_frame)
    values: list[int] = []
    start = time.monotonic()
    for frame in range(int(seconds * options.fps)):
        stream.begin_frame()
        for index in range(options.packets_per_frame):
            delay = start + frame / options.fps + index * spacing - time.monotonic()
            if delay > 0:
                time.sleep(delay)
            sender.send(stream.packet(index, wall_ns=time.time_ns()))
            _collect(receiver, values)
    time.sleep(0.1)
    _collect(receiver, values)
    return values


def _collect(receiver: socket.socket, values: list[int]) -> None:
    while (count := batch.receive(receiver.fileno())) > 0:
        for slot in range(count):
            sent = read_stamp(batch.datagram(slot))
            if sent is not None:
                values.append(batch.arrival_ns(slot) - sent)
