"""Containers: one packet into many, whole at each fragment, and what breaks breaks alone."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from sfu.compose.boxes import outline
from sfu.compose.encoder import Encoded, Encoders
from sfu.compose.messages import EncoderSpec
from sfu.compose.outputs import FLV_BUFFER_MIN, FileOutput, FlvOutput, Output
from sfu.compose.probe import probe
from tests.support.rtp_media import picture

FPS = 30
ROOT = Path(__file__).parents[3]


class Media:
    """Pictures that change, and a tone, encoded once."""

    def __init__(self, family: str = "h264", bps: int = 0) -> None:
        self.encoders = Encoders(EncoderSpec(video_bps=bps), family, (320, 180), FPS)
        self._rng = np.random.default_rng(3)
        self.frame = self.position = 0

    def second(self) -> list[Encoded]:
        out: list[Encoded] = []
        for _ in range(FPS):
            pixels = self._rng.integers(16, 235, (270, 320), np.uint8)
            out += self.encoders.encode_video(av.VideoFrame.from_ndarray(pixels, format="yuv420p"), self.frame)
            self.frame += 1
            block = self.encoders.block_samples
            while self.position + block <= self.frame * 48_000 // FPS:
                samples = 0.3 * np.sin(2 * np.pi * 440 * (self.position + np.arange(block)) / 48_000)
                both = np.repeat(samples.astype(np.float32)[:, None], 2, axis=1)
                out += self.encoders.encode_audio(both, self.position)
                self.position += block
        return out


def put(media: Media, seconds: int, *outputs: Output) -> None:
    for _ in range(seconds):
        for packet in media.second():
            for output in outputs:
                output.write(packet)


def counted(source: Path | io.BytesIO) -> tuple[int, int]:
    """Pictures and seconds of sound that can be decoded."""
    with av.open(source if isinstance(source, io.BytesIO) else str(source)) as container:
        frames = list(container.decode(container.streams.video[0], container.streams.audio[0]))
    return (
        sum(isinstance(frame, av.VideoFrame) for frame in frames),
        round(sum(frame.samples for frame in frames if isinstance(frame, av.AudioFrame)) / 48_000),
    )


@pytest.mark.parametrize(("family", "name"), [("h264", "a.mp4"), ("webm", "a.webm")])
def test_a_file_holds_every_picture_and_all_sound(tmp_path: Path, family: str, name: str) -> None:
    media = Media(family)
    output = FileOutput(tmp_path / name, media.encoders)
    put(media, 4, output)
    output.close()
    assert output.error is None and output.bytes_written == (tmp_path / name).stat().st_size
    assert counted(tmp_path / name) == (120, 4)


def test_the_head_is_on_disk_at_once_and_media_within_a_second(tmp_path: Path) -> None:
    media = Media()
    output = FileOutput(tmp_path / "a.mp4", media.encoders)
    assert outline(tmp_path / "a.mp4").names == ("ftyp", "moov")
    put(media, 1, output)
    assert "mdat" in outline(tmp_path / "a.mp4").names
    output.close()


def test_an_open_file_plays_to_its_last_fragment(tmp_path: Path) -> None:
    """Read while it is written: nothing of it is in memory only."""
    media = Media()
    output = FileOutput(tmp_path / "a.mp4", media.encoders)
    put(media, 4, output)
    pictures, _ = counted(tmp_path / "a.mp4")
    assert pictures >= 105  # 3.5 s
    output.close()


def test_one_encode_serves_file_and_stream(tmp_path: Path) -> None:
    media, (reader, writer) = Media(bps=300_000), os.pipe()
    outputs = [FileOutput(tmp_path / "a.mp4", media.encoders), FlvOutput(writer, media.encoders)]
    data = b""
    for _ in range(3):
        put(media, 1, *outputs)
        data += _taken(reader)
    assert all(output.finish() for output in outputs)
    for output in outputs:
        output.close()
    data += _taken(reader)
    os.close(reader)
    assert data[:3] == b"FLV"
    assert counted(io.BytesIO(data)) == counted(tmp_path / "a.mp4") == (90, 3)


def _taken(fd: int) -> bytes:
    os.set_blocking(fd, False)
    out = b""
    try:
        while data := os.read(fd, 1 << 16):
            out += data
    except BlockingIOError:
        pass
    return out


def test_a_stream_that_nobody_takes_is_bounded_and_goes_on_from_a_keyframe(tmp_path: Path) -> None:
    media, (reader, writer) = Media(bps=4_000_000), os.pipe()
    stream, file = FlvOutput(writer, media.encoders), FileOutput(tmp_path / "a.mp4", media.encoders)
    put(media, 8, stream, file)  # 4 MB, of which the pipe takes 64 KiB
    assert stream.packets_dropped > 50 and stream._pipe.pending < 2 * FLV_BUFFER_MIN + (1 << 19)
    data = b""
    for _ in range(8):
        for _ in range(200):
            data += _taken(reader)
            stream._pipe.drain()
        put(media, 1, stream, file)
    for _ in range(1000):
        data += _taken(reader)
        if stream.finish():
            break
    stream.close()
    file.close()
    data += _taken(reader)
    os.close(reader)
    assert counted(tmp_path / "a.mp4")[0] == 16 * FPS  # the file has lost nothing
    with av.open(io.BytesIO(data)) as container:
        packets = [p for p in container.demux(video=0) if p.dts is not None]
    times = [round(float(p.pts * p.time_base), 2) for p in packets]
    gap = next(index for index in range(1, len(times)) if times[index] - times[index - 1] > 0.5)
    assert packets[gap].is_keyframe and times[-1] > 15.8


def test_a_stream_whose_reader_is_gone_ends_alone(tmp_path: Path) -> None:
    media, (reader, writer) = Media(), os.pipe()
    stream, file = FlvOutput(writer, media.encoders), FileOutput(tmp_path / "a.mp4", media.encoders)
    put(media, 1, stream, file)
    os.close(reader)
    put(media, 2, stream, file)
    assert stream.error == "Broken pipe" and stream.finish()
    stream.close()
    file.close()
    assert file.error is None and counted(tmp_path / "a.mp4") == (90, 3)


def test_a_full_disk_ends_the_file_in_words_and_what_is_there_plays(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the same errors, by write(2)."""
    path = tmp_path / "a.mp4"
    script = f"""
import resource, signal, sys
from pathlib import Path
from tests.sfu.compose.test_outputs import Media, put
from sfu.compose.outputs import FileOutput
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
media = Media(bps=1_000_000)
output = FileOutput(Path({str(path)!r}), media.encoders)
put(media, 6, output)
output.close()
print(output.error)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "File too large", done.stderr
    assert path.stat().st_size <= 400_000
    assert 1.0 < probe(path).duration < 4.0


def test_dev_full_says_no_space(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("/dev/full")
    media = Media()
    output = FileOutput(tmp_path / "a.mp4", media.encoders)
    put(media, 1, output)
    output.close()
    assert output.error == "No space left on device"


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), [("h264", "a.mp4"), ("webm", "a.webm")])
def test_after_a_kill_the_file_plays_to_its_last_fragment(tmp_path: Path, family: str, name: str) -> None:
    script = f"""
import sys
from pathlib import Path
from tests.sfu.compose.test_outputs import Media, put
from sfu.compose.outputs import FileOutput
media = Media({family!r})
output = FileOutput(Path({str(tmp_path / name)!r}), media.encoders)
while True:
    put(media, 1, output)
    print(media.frame, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        written = 0
        while written < 150:
            written = int(child.stdout.readline())
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        child.stdout.close()
    pictures, seconds = counted(tmp_path / name)
    assert pictures >= written - 45 and seconds >= written / FPS - 2


def test_a_black_picture_costs_little() -> None:
    """A room with nobody in it."""
    encoders = Encoders(EncoderSpec(), "h264", (320, 180), FPS)
    sizes = [
        len(p.data) for index in range(60) for p in encoders.encode_video(picture(320, 180, (16, 128, 128)), index)
    ]
    assert sum(sizes) < 10_000
