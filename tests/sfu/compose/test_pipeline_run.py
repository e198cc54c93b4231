"""A composition's files and streams: what is written, when, what is said of it, and what happens when it cannot be."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import av
import numpy as np
import pytest

from sfu.compose import messages
from sfu.compose.boxes import outline
from sfu.compose.messages import EncoderSpec
from sfu.compose.probe import probe
from tests.support import rtp_media
from tests.support.composing import (
    NOW,
    RED,
    SYNC,
    WALL,
    World,
    arrival,
    beep_times,
    camera,
    color_at,
    colored,
    flash_times,
    is_near,
    mic,
    pictures,
    recorded,
    sound,
)
from tests.support.rtp_media import in_order, record_audio, record_video, tone


def test_an_empty_room_has_sound_and_picture(tmp_path: Path) -> None:
    world = World.of(tmp_path)
    world.run(2.0)
    (file,) = world.stop()
    assert (file.kind, file.width, file.height, file.start) == ("audio-video", 640, 360, WALL)
    assert file.duration == pytest.approx(2.0, abs=0.1)
    assert len(pictures(recorded(tmp_path))) == 60
    assert not sound(recorded(tmp_path))[1].any()


def test_it_says_what_it_does_in_order(tmp_path: Path) -> None:
    red = camera("ann", colored(RED, 3), 1)
    world = World.of(tmp_path)
    world.run(3.0, in_order(red), arrival(red))
    world.stop()
    kinds = [type(report).__name__ for report in world.reports]
    assert kinds[0] == "FileOpened" and kinds[-1] == "Done" and kinds.count("Progress") >= 2
    assert [kind for kind in kinds if kind in ("FileOpened", "Started", "Done")] == ["FileOpened", "Started", "Done"]
    assert world.said(messages.FileOpened)[0].name == "recording.mp4"
    assert world.said(messages.Started)[0].at == WALL
    last = world.said(messages.Progress)[-1]
    assert last.shown == ("ann",) and last.dropped == 0 and last.frames >= 40 and last.bytes_written > 1000
    assert set(last.shares) == {"decode", "scale", "blend", "encode", "audio", "mux"} and last.shares["decode"] > 0


def test_the_file_begins_with_its_index_and_was_there_at_once(tmp_path: Path) -> None:
    world = World.of(tmp_path)
    assert outline(recorded(tmp_path)).names == ("ftyp", "moov")
    world.run(1.5)
    assert outline(recorded(tmp_path)).is_fragmented  # media, a second after the start
    world.stop()
    found = outline(recorded(tmp_path))
    assert found.is_fast_start and not found.is_fragmented
    assert [path.name for path in tmp_path.iterdir()] == ["recording.mp4"]


def test_sound_alone(tmp_path: Path) -> None:
    voice = mic("ann", record_audio(tone(800), 2), 1)
    world = World.of(tmp_path, mode="audio")
    world.run(2.0, in_order(voice), arrival(voice))
    (file,) = world.stop()
    assert file.kind == "audio" and file.width is None and file.duration == pytest.approx(2.0, abs=0.1)
    samples = sound(recorded(tmp_path))[1]
    times = np.arange(24_000) / 48_000
    assert 2 * abs(np.mean(samples[48_000:72_000] * np.exp(-2j * np.pi * 800 * times))) == pytest.approx(0.3, abs=0.03)


def test_webm(tmp_path: Path) -> None:
    film, voice = camera("ann", colored(RED, 2), 1), mic("ann", record_audio(rtp_media.beeps(every=1.0), 2), 2)
    world = World.of(tmp_path, file_format="webm")
    world.run(2.0, in_order(film, voice), arrival(film) + arrival(voice))
    (file,) = world.stop()
    info = probe(tmp_path / "recording.webm")
    assert (file.name, info.video_codec, info.audio_codec) == ("recording.webm", "vp8", "opus")
    assert file.duration == pytest.approx(2.0, abs=0.1)
    assert beep_times(tmp_path / "recording.webm") == pytest.approx([1.0], abs=SYNC)
    assert is_near(color_at(pictures(tmp_path / "recording.webm")[30][1], 0.5, 0.5), RED)


def test_a_worker_that_was_held_up_leaves_pictures_out_and_stays_in_time(tmp_path: Path) -> None:
    film = camera("ann", record_video(rtp_media.flashes(320, 180, every=1.0), 8), 1)
    voice = mic("ann", record_audio(rtp_media.beeps(every=1.0), 8), 2)
    packets = in_order(film, voice)
    world = World.of(tmp_path)
    world.run(2.0, packets, arrival(film) + arrival(voice))
    world.now += 3.5  # nothing ran
    world.run(8.0, [packet for packet in packets if packet.sent >= WALL + 2.0])
    (file,) = world.stop()
    assert file.duration == pytest.approx(8.0, abs=0.1)
    dropped = world.said(messages.Progress)[-1].dropped
    assert 60 < dropped < 120 and len(pictures(recorded(tmp_path))) == pytest.approx(240 - dropped, abs=2)
    assert beep_times(recorded(tmp_path))[-1] == pytest.approx(7.0, abs=SYNC)
    assert flash_times(recorded(tmp_path), 0.5, 0.5)[-1] == pytest.approx(7.0, abs=0.06)


def test_a_worker_that_was_held_up_loses_no_sound(tmp_path: Path) -> None:
    """What was said meanwhile has waited in the socket."""
    film = camera("ann", record_video(rtp_media.flashes(320, 180, every=1.0), 9), 1)
    voice = mic("ann", record_audio(rtp_media.beeps(every=0.5), 9), 2)
    packets = in_order(film, voice)
    world = World.of(tmp_path)
    world.run(2.0, packets, arrival(film) + arrival(voice))
    world.now += 4.0
    world.run(9.0, [packet for packet in packets if packet.sent >= WALL + 2.0])
    world.stop()
    assert beep_times(recorded(tmp_path)) == pytest.approx([n / 2 for n in range(1, 18)], abs=SYNC)
    assert 90 < world.said(messages.Progress)[-1].dropped < 140
    assert flash_times(recorded(tmp_path), 0.5, 0.5)[-1] == pytest.approx(8.0, abs=0.06)


def test_a_worker_a_little_behind_catches_up_without_loss(tmp_path: Path) -> None:
    world = World.of(tmp_path)
    world.run(1.0)
    world.now += 0.4
    world.run(3.0)
    world.stop()
    assert world.said(messages.Progress)[-1].dropped == 0
    assert len(pictures(recorded(tmp_path))) == 90


def test_a_machine_that_is_too_slow_shows_fewer_pictures_evenly(tmp_path: Path) -> None:
    """Each picture takes 50 ms where it may take 33."""
    world = World.of(tmp_path)
    while world.now < NOW + 8:
        before = world.composition._frame
        world.composition.tick(now=world.now)
        world.drain()
        world.now += 0.05 if world.composition._frame > before else 0.005
    (file,) = world.stop()
    times = [at for at, _ in pictures(recorded(tmp_path))]
    assert max(b - a for a, b in itertools.pairwise(times)) < 0.08
    assert file.duration == pytest.approx(8.0, abs=0.15)
    assert 40 < world.said(messages.Progress)[-1].dropped < 120


def test_a_second_run_writes_beside_the_first(tmp_path: Path) -> None:
    for name in ("recording.mp4", "recording-2.mp4"):
        world = World.of(tmp_path)
        world.run(0.7)
        assert world.stop()[0].name == name


def test_file_and_stream_at_once_and_the_stream_ends_with_its_end(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    world = World.of(tmp_path, writer, flv=True)
    taken = b""
    for second in (1.0, 2.0):
        world.run(second)
        taken += os.read(reader, 1 << 20)
    (file,) = world.stop()
    taken += os.read(reader, 1 << 20)
    assert os.read(reader, 1) == b""  # closed
    os.close(reader)
    (tmp_path / "taken.flv").write_bytes(taken)
    assert len(pictures(tmp_path / "taken.flv")) == 60
    assert file.duration == pytest.approx(2.0, abs=0.1)


def test_a_file_that_breaks_leaves_the_stream_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    world = World.of(tmp_path / "full", writer, flv=True)
    world.run(1.5)
    world.composition._outputs[0]._writer.error = OSError(28, "no")
    world.run(2.0)
    world.stop()
    (tmp_path / "taken.flv").write_bytes(os.read(reader, 1 << 20))
    os.close(reader)
    assert len(pictures(tmp_path / "taken.flv")) == 60
    assert world.said(messages.FileFailed) == [messages.FileFailed("recording.mp4", "No space left on device")]
    assert world.said(messages.Done)


def test_a_full_disk_fails_in_words_and_keeps_what_there_is(tmp_path: Path) -> None:
    world = World.of(tmp_path)
    world.run(3.0)
    world.composition._outputs[0]._writer.error = OSError(28, "no")
    world.run(3.5)
    for _ in range(50):
        world.composition.tick(now=world.now)
    world.drain()
    (failed,) = world.said(messages.Failed)
    assert world.composition.is_done and "No space left on device" in failed.text
    assert failed.files[0].duration > 1.5
    world.composition.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder": EncoderSpec(video="no_such")}, "no encoder no_such"),
        ({"file_format": "webm", "flv": True}, "not a WebM file"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(tmp_path: Path, changes: dict, words: str) -> None:
    reader, writer = os.pipe()
    world = World.of(tmp_path, writer, **changes)
    world.drain()
    assert world.composition.is_done and words in world.said(messages.Failed)[0].text
    assert world.composition.tick(now=NOW) > NOW
    world.composition.close()
    os.close(reader)


def test_thirty_and_twenty_five_pictures_a_second(tmp_path: Path) -> None:
    world = World.of(tmp_path, fps=25)
    world.run(2.0)
    world.stop()
    with av.open(str(recorded(tmp_path))) as container:
        assert container.streams.video[0].average_rate == 25
    assert len(pictures(recorded(tmp_path))) == 50
