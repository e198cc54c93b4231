from __future__ import annotations

import random
from itertools import pairwise

import pytest

from media.clock import wall_to_ntp
from sfu.stream import playout
from sfu.stream.playout import PublisherClock, TrackClock

WALL = 1_750_000_000.0
PATH = 0.04  # seconds that the fastest packet takes


class Publisher:
    """Captures sound and pictures by a clock that runs `ppm` fast; the node writes reports as `Consumer.sender_report` does:
    the publisher's NTP time plus an offset fixed at its first report. True time is the node's, from 0."""

    def __init__(self, clock: PublisherClock, ppm: float, *, seed: int, jitter: float = 0.05) -> None:
        self.rate = 1 + ppm * 1e-6
        self.random = random.Random(seed)
        self.jitter = jitter
        self.offset: float | None = None  # of the node's reports
        self.ahead = 0.0  # seconds that the publisher's NTP clock was set forward
        self.tracks: dict[str, TrackClock] = {"audio": clock.add_track(48_000), "video": clock.add_track(90_000)}
        self.zeros = {"audio": 0xFFFF0000, "video": 12345}

    def rtp(self, kind: str, at: float) -> int:
        return (self.zeros[kind] + round(at * self.rate * self.tracks[kind].clock_rate)) & 0xFFFFFFFF

    def packet(self, kind: str, at: float, extra: float = 0.0) -> float:
        """A packet captured at `at` arrives; returns the error of its mapped time: a constant path is none."""
        arrival = at + PATH + self.random.uniform(0, self.jitter) + extra
        track = self.tracks[kind]
        track.receive(self.rtp(kind, at), wall=WALL + arrival)
        return track.capture_time(self.rtp(kind, at)) - (WALL + at + PATH)

    def report(self, kind: str, at: float) -> None:
        ntp = 5e8 + at * self.rate + self.ahead
        arrival = at + PATH + self.random.uniform(0, self.jitter)
        if self.offset is None or abs(arrival - ntp - self.offset) > 1.0:  # link.CLOCK_JUMP
            self.offset = arrival - ntp
        wall = WALL + ntp + self.offset
        self.tracks[kind].receive_report(wall_to_ntp(wall), self.rtp(kind, at), wall=WALL + arrival)

    def lips(self, at: float) -> float:
        """Where a picture of the instant is, less where its sound is."""
        return self.tracks["video"].capture_time(self.rtp("video", at)) - self.tracks["audio"].capture_time(
            self.rtp("audio", at)
        )


def run(
    publisher: Publisher, start: float, stop: float, *, reports: float | None = 1.0, fps: int = 10, loss: float = 0.0
):
    """Errors of mapped times as (at, kind, error), and those of lip-sync at each picture."""
    errors, lips = [], []
    due = {"audio": start + 0.7, "video": start + 0.9}
    step = 1 / fps
    for index in range(round((stop - start) * fps)):
        at = start + index * step
        for kind, moment in due.items():
            if reports is not None and at >= moment:
                publisher.report(kind, at)
                due[kind] = at + reports * publisher.random.uniform(0.5, 1.5)
        for kind in ("audio", "video"):
            if index == 0 or publisher.random.random() >= loss:
                errors.append((at, kind, publisher.packet(kind, at)))
        lips.append(publisher.lips(at))
    return errors, lips


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [100, -100])
@pytest.mark.parametrize("reports", [1.0, 5.0])
def test_two_hours_on_a_wrong_clock_move_nobody(ppm, reports):
    publisher = Publisher(PublisherClock(), ppm, seed=round(reports))
    errors, lips = run(publisher, 0, 7200, reports=reports, loss=0.03)
    settled = [error for at, _, error in errors if at > 30]
    assert max(settled) - min(settled) < 0.015
    assert max(abs(error) for error in settled) < 0.020
    assert max(abs(apart) for apart in lips[60:]) < 0.002
    raw = 7200 * abs(ppm) * 1e-6
    assert raw > 0.7  # what would have been wrong


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [100, -100])
def test_without_reports_each_track_is_kept_by_its_arrivals(ppm):
    publisher = Publisher(PublisherClock(), ppm, seed=4)
    errors, lips = run(publisher, 0, 1800, reports=None)
    assert max(abs(error) for at, _, error in errors if at > 30) < 0.020
    assert max(abs(apart) for apart in lips[300:]) < 0.020


def test_corrections_are_too_slow_to_be_heard():
    publisher = Publisher(PublisherClock(), 100, seed=5)
    errors, _ = run(publisher, 0, 120)
    for kind in ("audio", "video"):
        settled = [error for at, which, error in errors if which == kind and at > 10]
        steps = [abs(b - a) for a, b in pairwise(settled)]
        assert max(steps) <= playout.SLEW * (playout.WINDOW + 0.1) + 1e-4  # a window ends with the packet after it


def test_the_first_report_sets_lips_in_sync_and_moves_the_first_track_little():
    publisher = Publisher(PublisherClock(), 0, seed=6)
    publisher.packet("audio", 0.0)
    for index in range(20):
        publisher.packet("audio", index * 0.02)
        publisher.packet("video", index * 0.02, extra=0.08)  # an encoder that takes its time
    assert abs(publisher.lips(0.4)) > 0.05
    before = publisher.tracks["audio"].capture_time(publisher.rtp("audio", 0.4))
    publisher.report("audio", 0.4)
    after = publisher.tracks["audio"].capture_time(publisher.rtp("audio", 0.4))
    assert abs(after - before) < 0.001
    publisher.report("video", 0.4)
    assert abs(publisher.lips(0.4)) < 0.001
    assert abs(publisher.lips(100.0)) < 0.001


@pytest.mark.parametrize("ahead", [0.5, -0.5, 0.9])
def test_a_publisher_that_sets_its_clock_stays_where_it_was(ahead):
    publisher = Publisher(PublisherClock(), 50, seed=7)
    run(publisher, 0, 30)
    publisher.ahead = ahead
    errors, lips = run(publisher, 30, 60)
    assert max(abs(error) for _, _, error in errors) < 0.03
    assert max(map(abs, lips)) < 0.03


def test_a_jump_that_the_node_follows_is_hardly_seen():
    """By more than a second: the node fixes its offset anew, by an arrival with jitter."""
    publisher = Publisher(PublisherClock(), 50, seed=8)
    run(publisher, 0, 30)
    publisher.ahead = 3600.0
    errors, lips = run(publisher, 30, 60)
    assert max(abs(error) for _, _, error in errors) < 0.06
    assert max(map(abs, lips)) < 0.06
    assert max(map(abs, lips[100:])) < 0.002


@pytest.mark.parametrize("jump", [20_000_000, -20_000_000, 1 << 31, 90_000])
def test_rtp_times_that_begin_anew_are_followed(jump):
    publisher = Publisher(PublisherClock(), 0, seed=9)
    run(publisher, 0, 20)
    publisher.zeros["video"] += jump
    errors, lips = run(publisher, 20, 40)
    late = [error for at, _, error in errors if at > 25]
    assert max(map(abs, late)) < 0.06
    assert max(map(abs, lips[100:])) < 0.002
    assert max(abs(error) for _, kind, error in errors if kind == "audio") < 0.03


def test_one_stray_packet_moves_nothing():
    publisher = Publisher(PublisherClock(), 0, seed=10)
    run(publisher, 0, 10)
    track = publisher.tracks["video"]
    track.receive(publisher.rtp("video", 10) + 50_000_000 & 0xFFFFFFFF, wall=WALL + 10 + PATH)
    errors, lips = run(publisher, 10, 12, reports=None)
    assert max(abs(error) for _, _, error in errors) < 0.03 and max(map(abs, lips)) < 0.001


def test_a_longer_path_is_followed_at_once_where_it_must():
    """What arrives 0.6 s later than before would otherwise be late for ever; both tracks move together."""
    publisher = Publisher(PublisherClock(), 0, seed=11)
    run(publisher, 0, 20)
    for index in range(60):
        at = 20 + index / 10
        audio, video = publisher.packet("audio", at, extra=0.6), publisher.packet("video", at, extra=0.6)
        assert abs(publisher.lips(at)) < 0.001
    assert abs(audio - 0.6) < 0.06 and abs(video - 0.6) < 0.06


@pytest.mark.parametrize("slower", ["audio", "video"])
def test_a_track_that_is_always_slower_stays_in_sync(slower):
    """An encoder that takes 0.2 s; the other track being muted at times changes nothing."""
    publisher = Publisher(PublisherClock(), 100, seed=17)
    publisher.report("video", 0.0)
    publisher.report("audio", 0.1)
    errors = []
    for index in range(3000):
        at = 0.2 + index / 10
        if index % 10 == 5:
            publisher.report("audio", at)
            publisher.report("video", at)
        for kind in ("audio", "video"):
            if kind == slower or index % 1000 < 500:
                error = publisher.packet(kind, at, extra=0.2 if kind == slower else 0.0)
                if index > 100:
                    errors.append(error)
        assert abs(publisher.lips(at)) < 0.001
    assert max(errors) - min(errors) < 0.03


def test_a_burst_of_delay_moves_little():
    publisher = Publisher(PublisherClock(), 0, seed=12)
    run(publisher, 0, 20)
    before = publisher.tracks["audio"].capture_time(publisher.rtp("audio", 20))
    for index in range(7):
        publisher.packet("audio", 20 + index / 10, extra=0.7 - index / 10)
    after = publisher.tracks["audio"].capture_time(publisher.rtp("audio", 20))
    assert abs(after - before) < 0.01


def test_a_track_muted_for_hours_is_still_in_time():
    """RTP time went on by whole laps meanwhile."""
    publisher = Publisher(PublisherClock(), 0, seed=13)
    run(publisher, 0, 20)
    errors, lips = run(publisher, 100_000, 100_020)
    assert max(abs(error) for at, _, error in errors if at > 100_005) < 0.06
    assert max(map(abs, lips[60:])) < 0.002


def test_reports_may_come_before_packets():
    clock = PublisherClock()
    track = clock.add_track(90_000)
    assert track.capture_time(5) is None
    track.receive_report(wall_to_ntp(WALL), 0xFFFFFFF0, wall=WALL)
    track.receive(89_984, wall=WALL + 1.0)
    assert track.capture_time(89_984) == pytest.approx(WALL + 1.0, abs=0.001)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("lie", [-3600.0, 3600.0, 5e8])
@pytest.mark.parametrize("liar", ["audio", "video"])
def test_reports_that_put_two_tracks_hours_apart_are_not_believed(liar, lie, early):
    """Neither may a file be filled for hours in between, nor the honest track suffer."""
    clock = PublisherClock()
    publisher = Publisher(clock, 0, seed=3)

    def report(kind: str, at: float) -> None:
        wall = WALL + at + (lie if kind == liar else 0.0)
        publisher.tracks[kind].receive_report(wall_to_ntp(wall), publisher.rtp(kind, at), wall=WALL + at + PATH)

    if early:
        report(liar, 0.0)
    for tick in range(600):
        at = tick / 20
        for kind in ("audio", "video"):
            assert abs(publisher.packet(kind, at)) < 0.2
            if tick % 20 == 7:
                report(kind, at)


def test_participants_do_not_share_a_correction():
    one, two = Publisher(PublisherClock(), 100, seed=14), Publisher(PublisherClock(), -100, seed=15)
    for start in range(0, 100, 10):
        errors = run(one, start, start + 10)[0] + run(two, start, start + 10)[0]
    assert max(abs(error) for _, _, error in errors) < 0.02


def test_a_track_that_ends_leaves_the_others():
    clock = PublisherClock()
    publisher = Publisher(clock, 0, seed=16)
    run(publisher, 0, 5)
    clock.remove_track(publisher.tracks["video"])
    for index in range(100):
        error = publisher.packet("audio", 5 + index / 10)
    assert abs(error) < 0.03 and not clock.is_empty
    clock.remove_track(publisher.tracks["audio"])
    assert clock.is_empty
