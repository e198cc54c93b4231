"""A composition from RTP to the decoded file, in virtual time: who is seen and heard, where, when, whatever senders do."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media.codecs import Kind
from sfu.compose import messages
from sfu.compose.messages import PersonJoined, PersonLeft, SourceMuted, SourceRemoved
from tests.support import rtp_media
from tests.support.composing import (
    BLUE,
    GREEN,
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
from tests.support.rtp_media import H264, Packet, in_order, record_audio, record_video, tone

LEFT, RIGHT = (0.25, 0.5), (0.75, 0.5)


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
    wanted = [report.track_ids for report in world.said(messages.PicturesWanted)]
    assert ("cam-ann",) in wanted and ("cam-bob",) in wanted[wanted.index(("cam-ann",)) :]


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


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_told_in_whatever_order_it_goes_on(tmp_path: Path, seed: int) -> None:
    """Tracks of nobody, removals of what never was, the same thing twice; and the packets of a real camera all the while."""
    numbers = random.Random(seed)
    film = colored(RED, 3, (64, 48))
    senders = [camera(who, film, 100 + index) for index, who in enumerate("abc")]
    layouts = [{"type": "GRID"}, {"type": "SPOTLIGHT"}, {"type": "SIDEBAR"}, {"type": "GRID", "gridSize": 1}, {"no": 1}]

    def anything() -> object:
        who, sender = numbers.choice("abcd"), numbers.choice(senders)
        track = numbers.choice(["cam-a", "cam-b", "cam-c", "nothing"])
        return numbers.choice(
            [
                PersonJoined(who, who * numbers.randrange(40)),
                PersonLeft(who),
                replace(sender.added(), muted=numbers.random() < 0.3),
                replace(sender.added(), source="screen"),
                SourceRemoved(track),
                SourceMuted(track, numbers.random() < 0.5),
                messages.SpeakersChanged(numbers.choice([who, None]), tuple(numbers.choices("abcd", k=3))),
                messages.PinsChanged((who,), (numbers.choice("abcd"),)),
                messages.SceneChanged(messages.Scene(layout=numbers.choice(layouts), theme="LIGHT")),
            ]
        )

    world = World.of(tmp_path, width=320, height=180)
    world.run(3.0, in_order(*senders), [(numbers.random() * 3, anything()) for _ in range(300)])
    (file,) = world.stop()
    assert file.duration == pytest.approx(3.0, abs=0.1)
    assert len(pictures(recorded(tmp_path))) == 90
