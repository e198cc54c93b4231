"""The mixer: who is heard when, how loud, how cleanly; sources whose clocks drift, jump, or fall silent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sfu.compose.audio import FADE, HOLD, KNEE, RATE, Limiter, Mixer, stretched

BLOCK = 960
START = 1_700_000_000.0


def sine(hertz: float, level: float, begin: int, count: int, rate: float = RATE) -> np.ndarray:
    samples = level * np.sin(2 * np.pi * hertz * (begin + np.arange(count)) / rate)
    return np.repeat(samples.astype(np.float32)[:, None], 2, axis=1)


def feed(mixer: Mixer, track: str, samples: np.ndarray, at: float, block: int = BLOCK) -> None:
    for begin in range(0, len(samples), block):
        mixer.write(track, samples[begin : begin + block], START + at + begin / RATE)


def run(mixer: Mixer, tracks: dict[str, tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    """Everybody's sound in blocks of 20 ms, each written when it is due, read `HOLD` behind."""
    out, written = [], dict.fromkeys(tracks, 0)
    for position in range(0, round(seconds * RATE), BLOCK):
        for track, (at, samples) in tracks.items():
            while written[track] < len(samples) and at * RATE + written[track] <= position + BLOCK + HOLD * RATE:
                begin = written[track]
                mixer.write(track, samples[begin : begin + BLOCK], START + at + begin / RATE)
                written[track] += BLOCK
        out.append(mixer.read(BLOCK))
    return np.concatenate(out)


def level_at(samples: np.ndarray, hertz: float) -> float:
    """Amplitude of one tone, in a whole number of its cycles."""
    times = np.arange(len(samples)) / RATE
    return 2 * abs(np.mean(samples * np.exp(-2j * np.pi * hertz * times)))


def clicks(samples: np.ndarray) -> float:
    """The largest part of it that is no tone below 4 kHz: a step of 0.1 makes some 0.05."""
    spectrum = np.fft.rfft(samples * np.hanning(len(samples)))
    spectrum[: int(4000 * len(samples) / RATE)] = 0
    return float(np.abs(np.fft.irfft(spectrum)).max())


def test_each_source_is_heard_at_its_level() -> None:
    mixer = Mixer(START)
    tracks = {}
    for index, hertz in enumerate((400.0, 1000.0, 2500.0)):
        mixer.add(str(index))
        tracks[str(index)] = (0.0, sine(hertz, 0.1 * (index + 1), 0, RATE))
    heard = run(mixer, tracks, 1.0)[RATE // 4 : RATE * 3 // 4, 0]
    assert [round(level_at(heard, f), 3) for f in (400.0, 1000.0, 2500.0)] == pytest.approx([0.1, 0.2, 0.3], abs=0.002)


def test_a_sound_is_heard_when_it_was_made() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    heard = run(mixer, {"a": (0.5, sine(1000, 0.5, 0, RATE // 10))}, 1.0)[:, 0]
    loud = np.flatnonzero(np.abs(heard) > 0.1)
    assert loud[0] / RATE == pytest.approx(0.5, abs=0.003)
    assert loud[-1] / RATE == pytest.approx(0.6, abs=0.003)


def test_both_channels_keep_their_own_sound() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    samples = sine(1000, 0.4, 0, RATE)
    samples[:, 1] = sine(600, 0.2, 0, RATE)[:, 0]
    heard = run(mixer, {"a": (0.0, samples)}, 1.0)[RATE // 4 : RATE * 3 // 4]
    assert level_at(heard[:, 0], 600) < 0.001 and level_at(heard[:, 1], 1000) < 0.001


def test_sound_below_the_knee_leaves_as_it_came() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    samples = sine(440, KNEE - 0.01, 0, RATE)
    heard = run(mixer, {"a": (0.0, samples)}, 1.0)
    np.testing.assert_array_equal(heard[BLOCK : RATE - BLOCK], samples[BLOCK : RATE - BLOCK])


def test_twenty_five_loud_sources_stay_within_bounds() -> None:
    mixer = Mixer(START)
    rng = np.random.default_rng(1)
    tracks = {}
    for index in range(25):
        mixer.add(str(index))
        tracks[str(index)] = (0.0, rng.uniform(-1, 1, (RATE, 2)).astype(np.float32))
    heard = run(mixer, tracks, 1.0)
    assert np.isfinite(heard).all() and np.abs(heard).max() <= 1.0
    assert np.sqrt(np.mean(heard[RATE // 2 :] ** 2)) > 0.1  # limited, not silenced


def test_what_is_not_a_number_is_silence() -> None:
    mixer = Mixer(START)
    for track in "ab":
        mixer.add(track)
    mixer.write("a", np.full((BLOCK, 2), np.nan, np.float32), START)
    mixer.write("b", sine(1000, 0.5, BLOCK, BLOCK), START + BLOCK / RATE)
    assert np.isfinite(mixer.read(BLOCK)).all()
    assert np.abs(mixer.read(BLOCK)).max() > 0.4


def test_the_limiter_lets_go_after_a_loud_passage() -> None:
    limiter = Limiter()
    loud, quiet = sine(440, 3.0, 0, BLOCK), []
    for _ in range(10):
        limiter.limit(loud.copy())
    for index in range(100):
        block = sine(440, 0.3, index * BLOCK, BLOCK)
        limiter.limit(block)
        quiet.append(np.abs(block).max())
    assert quiet[0] < 0.2 and quiet[-1] == pytest.approx(0.3, abs=0.003)
    assert max(b - a for a, b in itertools.pairwise(quiet)) < 0.02  # it comes back slowly: no pumping


@pytest.mark.parametrize("off", [-2, -1, 1, 4])
def test_stretching_keeps_a_tone(off: int) -> None:
    samples = sine(3000, 0.5, 0, BLOCK)
    got = stretched(samples, BLOCK + off)
    position = np.arange(BLOCK + off) * (BLOCK / (BLOCK + off))
    expected = 0.5 * np.sin(2 * np.pi * 3000 * position / RATE)
    assert len(got) == BLOCK + off
    np.testing.assert_allclose(got[2:-3, 0], expected[2:-3], atol=0.004)


@pytest.mark.parametrize("ppm", [100, -100, 1000])
def test_a_clock_that_runs_wrong_is_followed_without_a_click(ppm: int) -> None:
    """The source's samples are made by its own clock; their times are of ours."""
    mixer = Mixer(START)
    mixer.add("a")
    seconds, rate = 30, RATE * (1 + ppm / 1e6)
    made, out = 0, []
    for position in range(0, seconds * RATE, BLOCK):
        while made / rate <= (position + BLOCK) / RATE + HOLD:
            mixer.write("a", sine(500, 0.4, made, BLOCK, rate), START + made / rate)
            made += BLOCK
        out.append(mixer.read(BLOCK))
    heard = np.concatenate(out)[:, 0]
    last = heard[-RATE * 2 :]
    assert level_at(last[: RATE // 10], 500) == pytest.approx(0.4, abs=0.01)
    assert clicks(last) < 0.005
    # Where the tone's phase stands in the last second tells how far the source is off: 500 Hz, so within a millisecond.
    times = (len(heard) - RATE + np.arange(RATE)) / RATE
    phase = np.angle(np.mean(heard[-RATE:] * np.exp(-2j * np.pi * 500 * times))) + np.pi / 2
    off = (phase + np.pi) % (2 * np.pi) - np.pi
    assert abs(off) / (2 * np.pi * 500) < 0.001


@pytest.mark.slow
def test_two_hours_of_100_ppm_leave_no_drift() -> None:
    """Flashes are where their times say; a beep after two hours, by a clock 100 ppm fast (0.72 s in all), is within 5 ms."""
    mixer = Mixer(START)
    mixer.add("a")
    rate, block = RATE * 1.0001, 4800
    silence, made = np.zeros((block, 2), np.float32), 0
    beep = heard = None
    for _ in range(7201 * RATE // block):
        while made / rate <= (mixer.position + block) / RATE + HOLD:
            at = made / rate
            samples = sine(1000, 0.5, made, block, rate) if at >= 7200 else silence
            mixer.write("a", samples, START + at)
            made += block
            if samples is not silence and beep is None:
                beep = at
        read = mixer.read(block)
        if (loud := np.flatnonzero(np.abs(read[:, 0]) > 0.2)).size:
            heard = (mixer.position - block + loud[0]) / RATE
            break
    assert beep is not None and heard == pytest.approx(beep, abs=0.005)


def test_jitter_of_capture_times_is_not_heard() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    rng = np.random.default_rng(2)
    out = []
    for index in range(200):
        at = index * BLOCK / RATE + rng.uniform(-0.004, 0.004)
        mixer.write("a", sine(500, 0.4, index * BLOCK, BLOCK), START + at)
        if index >= 2:
            out.append(mixer.read(BLOCK))
    assert clicks(np.concatenate(out)[BLOCK:, 0]) < 0.005


def test_a_gap_is_silence_between_fades() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    samples = sine(500, 0.5, 24, RATE)  # at its peak where a block begins
    out = []
    for index in range(50):
        if not 20 <= index < 25:
            begin = index * BLOCK
            mixer.write("a", samples[begin : begin + BLOCK], START + begin / RATE, discontinuity=index == 25)
        if index >= 1:
            out.append(mixer.read(BLOCK))
    heard = np.concatenate(out)[:, 0]
    assert not heard[20 * BLOCK : 25 * BLOCK].any()
    np.testing.assert_array_equal(heard[25 * BLOCK + FADE : 30 * BLOCK], samples[25 * BLOCK + FADE : 30 * BLOCK, 0])
    assert clicks(heard) < 0.03  # a hard edge measures 0.2


def test_a_jump_of_the_clock_is_followed() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    feed(mixer, "a", sine(500, 0.5, 0, BLOCK * 2), 0.0)
    mixer.write("a", sine(500, 0.5, 0, BLOCK), START + 0.2)
    heard = np.concatenate([mixer.read(BLOCK) for _ in range(15)])[:, 0]
    loud = np.flatnonzero(np.abs(heard) > 0.1)
    assert loud[-1] / RATE == pytest.approx(0.22, abs=0.003)


def test_what_comes_too_late_is_left_out_and_the_rest_is_in_place() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    mixer.read(BLOCK * 5)
    feed(mixer, "a", sine(1000, 0.5, 0, BLOCK * 10), 0.0)
    heard = np.concatenate([mixer.read(BLOCK) for _ in range(6)])[:, 0]
    loud = np.flatnonzero(np.abs(heard) > 0.1)
    assert loud[0] < 2 * FADE and (loud[-1] + 5 * BLOCK) / RATE == pytest.approx(0.2, abs=0.003)


def test_sound_far_ahead_is_bounded() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    mixer.write("a", sine(1000, 0.5, 0, BLOCK), START + 3600)
    feed(mixer, "a", sine(1000, 0.5, 0, RATE * 3), 0.0)
    assert len(mixer.read(BLOCK)) == BLOCK


def test_a_muted_source_is_silent_and_comes_back_without_a_click() -> None:
    mixer = Mixer(START)
    mixer.add("a", muted=True)
    samples = sine(500, 0.5, 24, RATE)  # at its peak where a block begins
    out = []
    for index in range(50):
        mixer.write("a", samples[index * BLOCK : (index + 1) * BLOCK], START + index * BLOCK / RATE)
        if index == 20:
            mixer.set_muted("a", False)
        if index == 30:
            mixer.set_muted("a", True)
        if index >= 1:
            out.append(mixer.read(BLOCK))
    heard = np.concatenate(out)[:, 0]
    assert not heard[: 19 * BLOCK].any() and not heard[31 * BLOCK :].any()
    assert np.abs(heard[22 * BLOCK : 28 * BLOCK]).max() > 0.49
    assert clicks(heard) < 0.03


def test_who_leaves_is_heard_to_the_end_of_what_was_said() -> None:
    mixer = Mixer(START)
    mixer.add("a")
    feed(mixer, "a", sine(1000, 0.5, 0, BLOCK * 3), 0.0)
    mixer.remove("a")
    mixer.write("a", sine(1000, 0.5, 0, BLOCK), START + 1)
    heard = np.concatenate([mixer.read(BLOCK) for _ in range(6)])
    assert np.abs(heard[BLOCK * 2 : BLOCK * 3 - FADE]).max() > 0.4 and not heard[BLOCK * 3 :].any()


def test_nobody_is_silence() -> None:
    assert not Mixer(START).read(1024).any()
