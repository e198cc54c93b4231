"""Flashes and beeps of two publishers whose clocks run wrong, for two hours: from RTP to pictures and sound on one clock.

Without encoders, and with few packets where nothing is measured. The clock's own two hours are in `test_playout.py`, the
mixer's in `test_audio.py`; a minute through the whole pipeline is in `test_pipeline.py`.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import av
import numpy as np
import pytest

from media.clock import WallClock
from sfu.compose.audio import HOLD, RATE, Mixer
from sfu.compose.costs import Costs
from sfu.compose.intake import Intake
from tests.support import rtp_media
from tests.support.composing import NOW, SYNC, WALL, camera, mic, tone_starts
from tests.support.rtp_media import GRAY, WHITE, Sender, Unit, in_order, moved, record_audio, record_video

FPS = 30
TWO_HOURS = 7200
DELAY = 0.4
SKEW = 100e-6  # 0.72 s in two hours
HERTZ = {"ann": 1000, "bob": 2000}
BEGINNING, MIDDLE, END = range(2, 8), range(3600, 3606), range(TWO_HOURS - 8, TWO_HOURS - 2)
MARKS = (*BEGINNING, *MIDDLE, *END)  # seconds at which each publisher flashes and beeps
DENSE = {second for mark in MARKS for second in (mark - 1, mark, mark + 1)}  # sent as people send


def film() -> list[Unit]:
    """A second is from half a second before its mark until half a second after: thirty pictures, or two."""
    white, gray = (record_video(rtp_media.solid(64, 48, color), 1 / FPS)[0] for color in (WHITE, GRAY))
    units = []
    for second in range(1, TWO_HOURS):
        for frame in range(-15, 15, 1 if second in DENSE else 15):
            unit = white if second in MARKS and 0 <= frame < 3 else gray
            units.append(replace(unit, at=second + frame / FPS))
    return units


def talk(hertz: float) -> list[Unit]:
    """Fifty packets in a second, or two with silence between them that is not sent."""
    take = record_audio(rtp_media.beeps(every=1.0, hertz=hertz), 2.0)
    silence, beep = take[:50], moved(take[25:75], -0.5)
    units = []
    for second in range(1, TWO_HOURS):
        one = beep if second in MARKS else silence if second in DENSE else silence[::25]
        units += moved(one, second - 0.5)
    return units


class Screen:
    """Notes at which frame of the output a picture becomes bright."""

    def __init__(self, track_ids: list[str]) -> None:
        self.at = 0.0
        self.flashes: dict[str, list[float]] = {track_id: [] for track_id in track_ids}
        self._bright: set[str] = set()

    def wanted_tracks(self) -> frozenset[str]:
        return frozenset(self.flashes)

    def set_frame(self, track_id: str, frame: av.VideoFrame | None) -> None:
        if frame is None or memoryview(frame.planes[0])[0] < 190:
            self._bright.discard(track_id)
        elif track_id not in self._bright:
            self._bright.add(track_id)
            self.flashes[track_id].append(self.at)


def compose(senders: list[Sender]) -> tuple[Screen, list[tuple[int, np.ndarray]]]:
    """As `pipeline.py` does, frame by frame, where nothing is measured every twelfth (the mixer holds half a second).

    Sound where it is measured, with its position.
    """
    mixer = Mixer(WALL)
    screen = Screen([sender.track_id for sender in senders if sender.source == "webcam"])
    intake = Intake(DELAY, WallClock(wall=WALL, now=NOW), mixer, screen, Costs(clock=lambda: 0.0))
    for sender in senders:
        intake.add(sender.added(), now=NOW)
    packets = iter(in_order(*senders))
    packet = next(packets, None)
    heard: list[tuple[int, np.ndarray]] = []
    for frame in range(TWO_HOURS * FPS):
        second = round(frame / FPS)
        if second not in DENSE and frame % 12:
            continue
        now = NOW + (frame + 0.5) / FPS + DELAY
        while packet is not None and packet.sent - WALL <= now - NOW:
            intake.receive_datagram(packet.data, now=NOW + packet.sent - WALL)
            packet = next(packets, None)
        screen.at = frame / FPS
        assert not intake.pull(now=now)
        position = mixer.position
        samples = mixer.read(max(0, round(((frame + 1) / FPS - HOLD) * RATE) - position))
        if second in DENSE:
            heard.append((position, samples[:, 0]))
    assert not intake.table.datagrams_to_send()  # nothing was missed
    return screen, heard


def beeps_in(heard: list[tuple[int, np.ndarray]], hertz: float) -> list[float]:
    """When a tone begins."""
    whole = np.concatenate([samples for _, samples in heard])
    places = np.concatenate([position + np.arange(len(samples)) for position, samples in heard])
    return [float(places[start]) / RATE for start in tone_starts(whole, hertz)]


def furthest(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


@pytest.mark.slow
def test_after_two_hours_of_100_ppm_lips_and_people_are_together() -> None:
    pictures, senders = film(), []
    for index, (who, skew) in enumerate((("ann", SKEW), ("bob", -SKEW))):
        way = {"skew": skew, "jitter": 0.03, "report_every": 5.0}
        wrap = 1800 * (1 + index)  # seconds: RTP times come round there
        eye = camera(who, pictures, 10 + index, timestamp=2**32 - wrap * 90_000, random=Random(index), **way)
        ear = mic(who, talk(HERTZ[who]), 20 + index, timestamp=2**32 - wrap * RATE, random=Random(9 + index), **way)
        senders += [eye, ear]
    screen, heard = compose(senders)
    seen = {who: screen.flashes[f"cam-{who}"] for who in HERTZ}
    beeps = {who: beeps_in(heard, hertz) for who, hertz in HERTZ.items()}
    for who in HERTZ:
        assert len(seen[who]) == len(beeps[who]) == len(MARKS)
        assert furthest(seen[who], beeps[who]) < SYNC
        drifts = [at - mark for at, mark in zip(beeps[who], MARKS, strict=True)]
        assert max(drifts) - min(drifts) < SYNC
    assert furthest(seen["ann"], seen["bob"]) < SYNC
    assert furthest(beeps["ann"], beeps["bob"]) < SYNC
