"""A composition from RTP to the decoded file, in virtual time: who is seen and heard, where, when, whatever senders do."""

from __future__ import annotations

import itertools
import os
import random
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from media.codecs import Kind
from sfu.compose import messages
from sfu.compose.boxes import outline
from sfu.compose.messages import EncoderSpec, PersonJoined, PersonLeft, SourceMuted, SourceRemoved
from sfu.compose.probe import probe
from tests.support import rtp_media
from tests.support.composing import (
    NOW,
    WALL,
    World,
    beep_times,
    color_at,
    flash_times,
    is_near,
    pictures,
    sound,
)
from tests.support.rtp_media import H264, Packet, Sender, in_order, record_audio, record_video, solid, tone

RED, BLUE, GREEN = (82, 90, 240), (41, 240, 110), (145, 54, 34)
LEFT, RIGHT = (0.25, 0.5), (0.75, 0.5)
SYNC = 0.040


def camera(who: str, units: list, ssrc: int, *, began: float = 0.0, **changes) -> Sender:
    return Sender(f"cam-{who}", who, "webcam", units, WALL + began, ssrc, **changes)


def mic(who: str, units: list, ssrc: int, *, began: float = 0.0, **changes) -> Sender:
    return Sender(f"mic-{who}", who, "mic", units, WALL + began, ssrc, **changes)


def arrival(sender: Sender, at: float = 0.0) -> list:
    return [(at, PersonJoined(sender.participant_id, sender.participant_id.title())), (at, sender.added())]


def colored(color: tuple[int, int, int], seconds: float, size: tuple[int, int] = (320, 180), **options) -> list:
    return record_video(solid(*size, color), seconds, bps=200_000, keyframe_every=60, **options)


def recorded(directory: Path) -> Path:
    return directory / "recording.mp4"


def color_in_time(path: Path, place: tuple[float, float], color: tuple[int, int, int]) -> tuple[float, float]:
    """First and last moment at which the place has the color."""
    times = [at for at, frame in pictures(path) if is_near(color_at(frame, *place), color)]
    return (times[0], times[-1]) if times else (-1.0, -1.0)


def test_people_are_seen_in_their_tiles_from_when_they_come_until_they_go(tmp_path: Path) -> None:
    red, blue = camera("ann", colored(RED, 4), 1), camera("bob", colored(BLUE, 2), 2, began=1.0)
    world = World.of(tmp_path)
    leave = [(3.0, SourceRemoved("cam-bob")), (3.0, PersonLeft("bob"))]
    world.run(4.0, in_order(red, blue), arrival(red) + arrival(blue, 1.0) + leave)
    (file,) = world.stop()
    path = recorded(tmp_path)
    first, last = color_in_time(path, RIGHT, BLUE)
    assert first == pytest.approx(1.0, abs=0.5) and last == pytest.approx(3.0, abs=0.4)  # transitions take a third
    at = dict(pictures(path))
    for time, frame in at.items():
        if 0.2 < time < 0.9 or 3.6 < time:
            assert is_near(color_at(frame, 0.5, 0.5), RED)  # alone
        if 1.6 < time < 2.9:
            assert is_near(color_at(frame, *LEFT), RED) and is_near(color_at(frame, *RIGHT), BLUE)
    assert file.duration == pytest.approx(4.0, abs=0.1)


def test_flash_and_beep_are_together(tmp_path: Path) -> None:
    """Over a path that jitters by 30 ms, of two publishers whose clocks began elsewhere."""
    film = record_video(rtp_media.flashes(320, 180, every=1.0), 6)
    track = record_audio(rtp_media.beeps(every=1.0), 6)
    senders = []
    for index, who in enumerate(("ann", "bob")):
        numbers = random.Random(index)
        senders += [
            camera(who, film, 10 + index, jitter=0.03, random=numbers, timestamp=numbers.getrandbits(32)),
            mic(who, track, 20 + index, jitter=0.03, random=numbers, timestamp=numbers.getrandbits(32)),
        ]
    world = World.of(tmp_path)
    world.run(6.0, in_order(*senders), [pair for sender in senders for pair in arrival(sender)])
    world.stop()
    path = recorded(tmp_path)
    heard = beep_times(path)
    assert len(heard) == 5
    for place in (LEFT, RIGHT):
        seen = flash_times(path, *place)
        assert len(seen) == 5
        assert max(abs(a - b) for a, b in zip(seen, heard, strict=True)) < SYNC
    assert heard == pytest.approx([1, 2, 3, 4, 5], abs=0.06)  # and when it happened


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [900, -900])
def test_clocks_that_run_wrong_stay_together(tmp_path: Path, ppm: int) -> None:
    """A minute of 900 ppm is 54 ms, as nine minutes of 100 ppm, in a ninth of the time to correct it."""
    film = record_video(rtp_media.flashes(160, 90, every=2.0), 60, bps=50_000)
    senders = []
    for index, (who, skew, hertz) in enumerate((("ann", ppm / 1e6, 1000), ("bob", 0.0, 2000))):
        track = record_audio(rtp_media.beeps(every=2.0, hertz=hertz), 60)
        senders += [camera(who, film, 10 + index, skew=skew), mic(who, track, 20 + index, skew=skew)]
    world = World.of(tmp_path, width=320, height=180)
    world.run(60.0, in_order(*senders), [pair for sender in senders for pair in arrival(sender)])
    world.stop()
    path = recorded(tmp_path)
    for place, hertz in ((LEFT, 1000), (RIGHT, 2000)):
        seen, heard = flash_times(path, *place), beep_times(path, hertz)
        assert len(seen) == len(heard) == 29
        assert max(abs(a - b) for a, b in zip(seen, heard, strict=True)) < SYNC
        assert heard[-1] == pytest.approx(58.02, abs=0.025)  # 20 ms are the way


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
    assert kinds[:2] == ["FileOpened", "Started"] and kinds[-1] == "Done" and kinds.count("Progress") >= 2
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


def test_mutes_act_when_they_happened(tmp_path: Path) -> None:
    film = camera("ann", colored(RED, 3.5) + colored(RED, 0.5, begin=3.5), 1)
    voice = mic("ann", record_audio(tone(800, 0.5), 4), 2)
    world = World.of(tmp_path)
    mutes = [(1.0, SourceMuted("mic-ann", True)), (1.0, SourceMuted("cam-ann", True))]
    mutes += [(2.0, SourceMuted("mic-ann", False)), (2.0, SourceMuted("cam-ann", False))]
    world.run(4.0, in_order(film, voice), arrival(film) + arrival(voice) + mutes)
    world.stop()
    path = recorded(tmp_path)
    begin, samples = sound(path)
    loud = np.abs(samples[: 48_000 * 3].reshape(-1, 480)).max(axis=1) > 0.2
    quiet = begin + np.flatnonzero(~loud[20:])[[0, -1]] * 0.01 + 0.2
    assert quiet == pytest.approx([1.0, 2.0], abs=0.05)
    for at, frame in pictures(path):
        if 1.2 < at < 1.95:
            assert not is_near(color_at(frame, 0.5, 0.5), RED)
        if 0.3 < at < 0.95:
            assert is_near(color_at(frame, 0.5, 0.5), RED)
    assert any(2.0 <= at < 2.1 for at in world.asked(1))  # at once, and not when it is to be shown


def test_what_one_sender_does_costs_its_own_tile_only(tmp_path: Path) -> None:
    """Garbage for payloads, from the first second on; the neighbour and its sound never notice."""
    good, voice = camera("ann", colored(RED, 4), 1), mic("ann", record_audio(rtp_media.beeps(every=1.0), 4), 2)
    bad = camera("bob", colored(BLUE, 4), 3)
    numbers = random.Random(1)
    spoiled = [
        Packet(packet.sent, packet.data[:12] + numbers.randbytes(len(packet.data) - 12))
        if packet.sent > WALL + 1 and not 192 <= packet.data[1] <= 223
        else packet
        for packet in in_order(bad)
    ]
    noise = [Packet(WALL + index / 100, numbers.randbytes(numbers.randrange(80))) for index in range(400)]
    world = World.of(tmp_path)
    packets = sorted(in_order(good, voice) + spoiled + noise, key=lambda packet: packet.sent)
    world.run(4.0, packets, arrival(good) + arrival(voice) + arrival(bad))
    world.stop()
    path = recorded(tmp_path)
    assert beep_times(path) == pytest.approx([1, 2, 3], abs=SYNC)
    assert all(is_near(color_at(frame, *LEFT), RED) for at, frame in pictures(path) if at > 0.5)
    assert {warning.track_id for warning in world.said(messages.Warned)} <= {"cam-bob"}


def test_loss_costs_a_moment_of_its_tile_and_a_keyframe_is_asked_for(tmp_path: Path) -> None:
    good, bad = camera("ann", colored(RED, 4), 1), camera("bob", colored(BLUE, 4), 2)
    lossy = [p for index, p in enumerate(in_order(bad)) if not 40 <= index < 44]
    world = World.of(tmp_path)
    world.run(4.0, sorted(in_order(good) + lossy, key=lambda p: p.sent), arrival(good) + arrival(bad))
    (file,) = world.stop()
    path = recorded(tmp_path)
    for at, frame in pictures(path):
        if at > 0.6:
            assert is_near(color_at(frame, *LEFT), RED) and is_near(
                color_at(frame, *RIGHT), BLUE
            )  # the last good picture
    assert world.asked(2) and not world.asked(1)
    assert file.duration == pytest.approx(4.0, abs=0.1)


def test_size_and_codec_may_change_on_the_way(tmp_path: Path) -> None:
    units = colored(RED, 1) + colored(BLUE, 1, (160, 90), begin=1.0) + colored(GREEN, 1, (320, 240), begin=2.0)
    units += colored(RED, 1, codec=H264, begin=3.0)
    film = camera("ann", units, 1)
    world = World.of(tmp_path)
    world.run(4.0, in_order(film), arrival(film))
    world.stop()
    for at, frame in pictures(recorded(tmp_path)):
        wanted = (RED, BLUE, GREEN, RED)[min(3, int(at))]
        if 0.2 < at % 1 < 0.9:
            assert is_near(color_at(frame, 0.5, 0.5), wanted), at


def test_who_is_not_in_the_picture_is_not_decoded(tmp_path: Path) -> None:
    red, blue = camera("ann", colored(RED, 4), 1), camera("bob", colored(BLUE, 2.5) + colored(BLUE, 2, begin=2.5), 2)
    scene = messages.Scene(layout={"type": "SPOTLIGHT", "priority": "SPEAKER"})
    world = World.of(tmp_path, scene=scene)
    told = [(0.0, messages.SpeakersChanged("ann", ("ann",))), (2.0, messages.SpeakersChanged("bob", ("bob", "ann")))]
    world.run(1.9, in_order(red, blue), arrival(red) + arrival(blue) + told)
    decoders = {track: one.video.stats.frames for track, one in world.composition._intake._tracks.items()}
    assert decoders["cam-ann"] > 30 and decoders["cam-bob"] < 25  # while it was not known who comes into view
    later = [packet for packet in in_order(red, blue) if packet.sent > WALL + 1.9]
    world.run(4.0, later, told[1:])
    world.stop()
    assert is_near(color_at(pictures(recorded(tmp_path))[-3][1], 0.5, 0.5), BLUE)
    assert any(2.0 <= at < 2.1 for at in world.asked(2))


def test_a_track_of_the_same_id_may_come_back_at_once(tmp_path: Path) -> None:
    """With another SSRC: the old one's removal, which acts later, does not hit the new one."""
    before, after = camera("ann", colored(RED, 1), 1), camera("ann", colored(BLUE, 2), 2, began=1.0)
    world = World.of(tmp_path)
    removed = [(1.0, SourceRemoved("cam-ann"))]
    world.run(3.0, in_order(before, after), arrival(before) + removed + [(1.01, after.added())])
    world.stop()
    for at, frame in pictures(recorded(tmp_path)):
        if 0.3 < at < 0.95 or 1.6 < at < 2.9:
            assert is_near(color_at(frame, 0.5, 0.5), RED if at < 1 else BLUE), at


def test_a_codec_that_cannot_be_decoded_is_said(tmp_path: Path) -> None:
    strange = replace(rtp_media.VP8, name="H266")
    world = World.of(tmp_path)
    world.tell(messages.SourceAdded("t", "ann", "webcam", Kind.VIDEO, 5, (strange,)))
    world.run(0.6)
    world.stop()
    assert [warning.track_id for warning in world.said(messages.Warned)] == ["t"]


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


def test_a_scene_changes_while_it_runs_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    world = World.of(tmp_path)
    scenes = [
        (1.0, messages.SceneChanged(messages.Scene(background_color="#00ff00"))),
        (2.0, messages.SceneChanged(messages.Scene(layout={"type": "SPIRAL"}))),
    ]
    world.run(3.0, controls=scenes)
    world.stop()
    (warning,) = world.said(messages.Warned)
    assert "layout" in warning.text
    bright = [at for at, frame in pictures(recorded(tmp_path)) if is_near(color_at(frame, 0.5, 0.5), GREEN, 20)]
    assert bright[0] == pytest.approx(1.0, abs=0.05) and bright[-1] > 2.9


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
    assert [warning.text for warning in world.said(messages.Warned)] == ["recording.mp4 ended: No space left on device"]
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
