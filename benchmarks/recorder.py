"""What a participant's recording without transcoding costs: 720p at 30 frames a second and Opus, in percent of a core.

`python -m benchmarks.recorder [seconds]`. Packets are made beforehand and read from a socket pair in slices of 10 ms, as a media
worker does, in real time with a sleep between (caches grow cold in it); only the reader's CPU is counted. In one run beside it: the same media decoded, for what transcoding would begin with.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from media.clock import WallClock, wall_to_ntp
from media.codecs import Codec, Kind
from sfu.compose.decode import AudioDecoder, VideoDecoder
from sfu.compose.messages import SourceAdded, SourceMuted, Stop, TrackFileSpec
from sfu.compose.recorder import TrackFiles
from sfu.compose.source import SourceTable
from sfu.rtp import packet
from sfu.rtp.compound import serialize_compound
from sfu.rtp.reports import SenderReport

WALL = 1_750_000_000.0
WIDTH, HEIGHT, FPS = 1280, 720, 30
VIDEO_BPS = 1_800_000
SLICE = 0.01
MAX_PAYLOAD = 1150
VP8 = Codec("VP8", Kind.VIDEO, 90_000, 96)
OPUS = Codec("opus", Kind.AUDIO, 48_000, 111, channels=2)
VIDEO = SourceAdded("TR_v", "PA_1", "webcam", Kind.VIDEO, 10, (VP8,))
AUDIO = SourceAdded("TR_a", "PA_1", "mic", Kind.AUDIO, 20, (OPUS,))


def encode_video(seconds: int) -> list[bytes]:
    """Noise on grey: near the bit rate of a camera."""
    context = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.framerate, context.bit_rate, context.gop_size = FPS, VIDEO_BPS, 10_000
    context.options = {"deadline": "realtime", "cpu-used": "12", "lag-in-frames": "0"}
    rng = np.random.default_rng(1)
    units = []
    for index in range(seconds * FPS):
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        planes[: HEIGHT // 2, : WIDTH // 2] = rng.integers(110, 146, (HEIGHT // 2, WIDTH // 2), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts = index
        units.append(b"".join(bytes(part) for part in context.encode(frame)))
    return units


def encode_audio(seconds: int) -> list[bytes]:
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format, context.bit_rate = 48_000, "stereo", "flt", 48_000
    rng, units = np.random.default_rng(2), []
    for index in range(seconds * 50):
        samples = (rng.standard_normal(1920) * 0.05).astype(np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "flt", "stereo")
        frame.sample_rate, frame.pts = 48_000, index * 960
        units.append(b"".join(bytes(part) for part in context.encode(frame)))
    return units


def packets(seconds: int) -> list[list[bytes]]:
    """Datagrams by the slice in which they come."""
    slices: list[list[bytes]] = [[] for _ in range(round(seconds / SLICE) + 2)]
    number = 0
    for index, unit in enumerate(encode_video(seconds)):
        at = index / FPS
        for start in range(0, len(unit), MAX_PAYLOAD):
            last = start + MAX_PAYLOAD >= len(unit)
            head = bytes((0x10 if start == 0 else 0,))
            slices[int(at / SLICE) + 1].append(
                _rtp(VIDEO, number, round(at * 90_000), head + unit[start : start + MAX_PAYLOAD], last)
            )
            number += 1
    for index, unit in enumerate(encode_audio(seconds)):
        at = index / 50
        slices[int(at / SLICE) + 1].append(_rtp(AUDIO, index, index * 960, unit, False))
        if index % 50 == 0:
            for info, rate in ((VIDEO, 90_000), (AUDIO, 48_000)):
                report = SenderReport(info.ssrc, wall_to_ntp(WALL + at), round(at * rate), 0, 0)
                slices[int(at / SLICE) + 1].append(serialize_compound([report]))
    return slices


def _rtp(info: SourceAdded, number: int, timestamp: int, payload: bytes, marker: bool) -> bytes:
    return packet.serialize(
        payload_type=info.codecs[0].payload_type,
        sequence_number=number & 0xFFFF,
        timestamp=timestamp & 0xFFFFFFFF,
        ssrc=info.ssrc,
        payload=payload,
        marker=marker,
    )


def measure(slices: list[list[bytes]], turn: Callable[[list[bytes], float], None]) -> float:
    """CPU seconds of `turn` over all slices, reading from the socket pair counted."""
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end, option in ((theirs, socket.SO_SNDBUF), (ours, socket.SO_RCVBUF)):
        end.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
    ours.setblocking(False)
    cpu, begun = 0.0, time.monotonic()
    for index, batch in enumerate(slices):
        time.sleep(max(0.0, begun + index * SLICE - time.monotonic()))
        for data in batch:
            theirs.send(data)
        started = time.process_time()
        received = []
        while True:
            try:
                received.append(ours.recv(2048))
            except BlockingIOError:
                break
        turn(received, index * SLICE)
        cpu += time.process_time() - started
    theirs.close()
    ours.close()
    return cpu


def record(slices: list[list[bytes]], *, muted: bool = False) -> tuple[float, float, int]:
    """CPU seconds while recording and for finalising, and bytes of the file."""
    with tempfile.TemporaryDirectory() as directory:
        pipeline = TrackFiles(TrackFileSpec("REC_1", directory), wall=lambda: WALL, now=0.0)
        for info in (VIDEO, AUDIO):
            pipeline.receive_control(info, now=0.0)
            if muted:
                pipeline.receive_control(SourceMuted(info.track_id, True), now=0.0)
        due = 0.0

        def turn(received: list[bytes], now: float) -> None:
            nonlocal due
            for data in received:
                pipeline.receive_datagram(data, now=now)
            if now >= due:
                due = pipeline.tick(now=now)
            while pipeline.next_report() is not None:
                pass
            pipeline.datagrams_to_send()

        cpu = measure(slices, turn)
        now = len(slices) * SLICE
        pipeline.receive_control(Stop(), now=now)
        started = time.process_time()
        while not pipeline.is_done:
            now += SLICE
            pipeline.tick(now=now)
        finalising = time.process_time() - started
        pipeline.close()
        return cpu, finalising, sum(path.stat().st_size for path in Path(directory).iterdir())


def take_in(slices: list[list[bytes]], *, decode: bool) -> float:
    """CPU seconds of the access units alone; of decoding them too."""
    table = SourceTable(1.0, WallClock(wall=WALL, now=0.0), hold=False)
    sources = [(table.add(VIDEO, now=0.0), VideoDecoder()), (table.add(AUDIO, now=0.0), AudioDecoder())]

    def turn(received: list[bytes], now: float) -> None:
        for data in received:
            table.receive_datagram(data, now=now)
        for source, decoder in sources:
            while (unit := source.next_unit(now=now)) is not None:
                if decode:
                    decoder.decode(unit)

    return measure(slices, turn)


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    slices = packets(seconds)
    datagrams = [data for batch in slices for data in batch]
    rate = sum(map(len, datagrams)) * 8 / seconds / 1e6
    print(
        f"{seconds} s of 720p at {FPS} fps (VP8) and Opus: {len(datagrams) / seconds:.0f} packets/s, {rate:.2f} Mbit/s"
    )
    recording, finalising, size = record(slices)
    for name, cpu in (
        ("recording", recording),
        ("  of which packets into access units", take_in(slices, decode=False)),
        ("recording while muted (black and silence)", record([[] for _ in slices], muted=True)[0]),
        ("decoding instead, nothing else", take_in(slices, decode=True)),
    ):
        print(f"{name:45} {cpu / seconds * 100:6.2f} % of a core")
    print(f"finalising at the end: {finalising * 1000 * 60 / seconds:.0f} ms for each minute, file {size / 1e6:.1f} MB")
    print(f"aim: 3 % of a core; ratio {recording / seconds / 0.03:.2f}")


if __name__ == "__main__":
    main()
