from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clock import WallClock
from media.codecs import Codec, Kind
from sfu.compose.messages import SourceAdded
from sfu.compose.source import AccessUnit, SourceTable
from sfu.rtp import packet
from sfu.rtp.compound import parse_compound
from sfu.rtp.feedback import Pli
from tests.support.encoded import AV1, H264, OPUS, VP8, Track, payloads_of
from tests.support.network import Network, Path
from tests.support.rtp_peers import START_NUMBERS

WALL = 1_750_000_000.0
DELAY = 0.4
RED = Codec("red", Kind.AUDIO, 48_000, 63, channels=2)
KEY, DELTA = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00", b"\x11\x02\x00"


def table(*, hold: bool = True) -> SourceTable:
    return SourceTable(DELAY, WallClock(wall=WALL, now=0.0), hold=hold)


def webcam(codecs: tuple[Codec, ...] = (VP8,), **changes) -> SourceAdded:
    fields = {"track_id": "TR_v", "participant_id": "PA_1", "source": "webcam", "kind": Kind.VIDEO, "ssrc": 10}
    return SourceAdded(**(fields | {"codecs": codecs} | changes))


def mic(codecs: tuple[Codec, ...] = (OPUS,), **changes) -> SourceAdded:
    fields = {"track_id": "TR_a", "participant_id": "PA_1", "source": "mic", "kind": Kind.AUDIO, "ssrc": 20}
    return SourceAdded(**(fields | {"codecs": codecs} | changes))


def feed(sources: SourceTable, packets: list[bytes], now: float) -> None:
    for data in packets:
        sources.receive_datagram(data, now=now)


def units(source, now: float) -> list[AccessUnit]:
    out = []
    while (unit := source.next_unit(now=now)) is not None:
        out.append(unit)
    return out


def plis(sources: SourceTable) -> list[int]:
    messages = [message for data in sources.datagrams_to_send() for message in parse_compound(data)]
    assert all(isinstance(message, Pli) for message in messages)
    return [message.media_ssrc for message in messages]


@pytest.mark.parametrize("first", START_NUMBERS)
def test_units_are_due_a_delay_after_their_capture(first):
    sources = table()
    source, track = sources.add(webcam(), now=0.0), Track(VP8, 10, first=first, zero=0xFFFFF000)
    feed(sources, track.packets(KEY * 300, 0.0), 0.0)
    feed(sources, track.packets(DELTA, 0.1), 0.1)
    assert units(source, DELAY - 0.01) == []
    (unit,) = units(source, DELAY)
    assert unit.data == KEY * 300 and unit.keyframe and not unit.discontinuity and unit.codec is VP8
    assert unit.at == pytest.approx(WALL) and source.last_unit_at == DELAY
    (later,) = units(source, DELAY + 0.1)
    assert later.at - unit.at == pytest.approx(0.1) and later.rtp_time - unit.rtp_time == 9000
    assert not later.keyframe and not later.discontinuity


def test_without_hold_units_leave_when_they_are_whole():
    sources = table(hold=False)
    source, track = sources.add(webcam(), now=0.0), Track(VP8, 10)
    feed(sources, track.packets(KEY, 0.0), 0.0)
    assert len(units(source, 0.0)) == 1


def test_reports_bring_sound_and_pictures_together():
    sources = table(hold=False)
    video, audio = sources.add(webcam(), now=0.0), sources.add(mic(), now=0.0)
    pictures, sound = Track(VP8, 10, zero=5), Track(OPUS, 20, zero=77)
    feed(sources, pictures.packets(KEY, 0.0), 0.2)  # pictures are 0.2 s late on their way, sound is not
    feed(sources, sound.packets(b"\xf8\xff\xfe", 0.0), 0.0)
    feed(sources, [pictures.report(0.0, WALL + 9), sound.report(0.0, WALL + 9)], 0.2)
    feed(sources, pictures.packets(DELTA, 1.0), 1.2)
    feed(sources, sound.packets(b"\xf8\xff\xfe", 1.0), 1.0)
    assert units(video, 1.2)[-1].at == pytest.approx(units(audio, 1.2)[-1].at, abs=1e-6)


@pytest.mark.parametrize("hold", [True, False])
def test_a_muted_source_gives_nothing_and_comes_back_with_a_keyframe(hold):
    sources = table(hold=hold)
    source, track = sources.add(webcam(), now=0.0), Track(VP8, 10)
    feed(sources, track.packets(KEY, 0.0), 0.0)
    assert len(units(source, DELAY)) == 1
    sources.set_muted("TR_v", True)
    for at in range(1, 300):
        feed(sources, track.packets(DELTA, at / 30), at / 30)
        assert units(source, at / 30) == [] and plis(sources) == []
        assert len(source.jitter) < 20  # what is due is forgotten
    sources.set_muted("TR_v", False)
    assert units(source, 10.0) == [] and plis(sources) == [10]
    feed(sources, track.packets(DELTA, 10.0), 10.0)
    feed(sources, track.packets(KEY, 10.1), 10.1)
    (unit,) = units(source, 10.1 + DELAY + 0.1)
    assert unit.keyframe and unit.discontinuity


def test_a_keyframe_that_came_before_the_news_of_unmuting_is_used():
    sources = table()
    source, track = sources.add(webcam(muted=True), now=0.0), Track(VP8, 10)
    feed(sources, track.packets(KEY, 0.0), 0.0)
    assert units(source, 0.01) == []
    sources.set_muted("TR_v", False)
    feed(sources, track.packets(DELTA, 0.05), 0.05)
    assert [unit.keyframe for unit in units(source, DELAY + 0.05)] == [True, False]
    assert plis(sources) == []


def test_a_source_that_is_not_shown_asks_for_a_keyframe_when_it_is():
    sources = table()
    source, track = sources.add(webcam(), now=0.0), Track(VP8, 10)
    source.set_shown(False)
    for at in range(60):
        feed(sources, track.packets(KEY if at == 0 else DELTA, at / 30), at / 30)
        assert units(source, at / 30) == []
    source.set_shown(True)
    assert units(source, 2.0) == [] and plis(sources) == [10]


def test_a_codec_that_changes_goes_on_from_its_first_keyframe():
    sources = table(hold=False)
    source = sources.add(webcam(codecs=(VP8, H264)), now=0.0)
    old = Track(VP8, 10)
    feed(sources, old.packets(KEY, 0.0) + old.packets(DELTA, 0.1), 0.1)
    assert [unit.codec.name for unit in units(source, 0.1)] == ["VP8", "VP8"]
    new = Track(H264, 10, first=old.sequence)
    code = b"\0\0\0\1"
    feed(sources, new.packets(code + b"\x41delta", 0.2), 0.2)
    assert units(source, 0.2) == [] and plis(sources) == [10]
    key = code + b"\x67sps" + code + b"\x68pps" + code + b"\x65idr"
    feed(sources, new.packets(key, 0.3) + new.packets(code + b"\x41delta", 0.4), 0.4)
    first, second = units(source, 0.4)
    assert first.codec is H264 and first.discontinuity and first.keyframe and first.data == key
    assert not second.discontinuity


def test_redundant_sound_fills_a_hole_at_once():
    sources = table(hold=False)
    source, number = sources.add(mic(codecs=(RED, OPUS)), now=0.0), 65_534
    for at in range(5):
        if at == 3:
            continue  # lost
        block = bytes((0x80 | 111, 960 >> 6, 960 << 2 & 0xFF, 1)) + bytes((111, at + 99, at + 100))
        data = packet.serialize(
            payload_type=63, sequence_number=number + at & 0xFFFF, timestamp=at * 960, ssrc=20, payload=block
        )
        sources.receive_datagram(data, now=at * 0.02)
    out = units(source, 0.08)
    assert [unit.data[0] for unit in out] == [99, 100, 101, 102, 103, 104]
    assert not any(unit.discontinuity for unit in out) and all(unit.codec is OPUS for unit in out)


def test_a_lost_picture_asks_for_a_keyframe_by_pli():
    sources = table()
    source, track = sources.add(webcam(), now=0.0), Track(VP8, 10)
    feed(sources, track.packets(KEY, 0.0), 0.0)
    track.packets(DELTA, 0.03)
    feed(sources, track.packets(DELTA, 0.06), 0.06)
    assert len(units(source, DELAY)) == 1 and plis(sources) == [10]
    assert units(source, DELAY + 0.06) == [] and plis(sources) == []
    feed(sources, track.packets(KEY, 0.6), 0.6)
    assert [unit.discontinuity for unit in units(source, 0.61 + DELAY)] == [True]


def test_times_never_go_back():
    sources = table(hold=False)
    source, track, out = sources.add(webcam(), now=0.0), Track(VP8, 10), []
    shuffler = random.Random(2)
    for index in range(200):
        now = index / 30
        feed(sources, track.packets(KEY, now + shuffler.uniform(0, 0.2)), now)
        if index % 20 == 10:
            feed(sources, [track.report(now, WALL + now + shuffler.uniform(-0.09, 0.09))], now)
        out += units(source, now)
    assert len(out) == 200
    assert all(later.at > earlier.at for earlier, later in itertools.pairwise(out))


def test_a_clock_ahead_of_ours_does_not_hold_pictures_back():
    sources = table()
    source, track = sources.add(webcam(), now=0.0), Track(VP8, 10)
    feed(sources, track.packets(KEY, 0.0), 0.0)
    feed(sources, [track.report(0.0, WALL + 5000)], 0.0)
    feed(sources, track.packets(DELTA, 0.1), 0.1)
    assert len(units(source, 0.1 + DELAY + 0.11)) == 2


def test_tracks_come_and_go():
    sources = table()
    sources.add(webcam(), now=0.0)
    sources.add(mic(), now=0.0)
    replaced = sources.add(webcam(ssrc=11), now=0.0)
    assert set(sources.sources) == {"TR_v", "TR_a"} and sources.sources["TR_v"] is replaced
    feed(sources, Track(VP8, 10).packets(KEY, 0.0), 0.0)
    assert sources.unknown == 1
    sources.remove("TR_v")
    sources.remove("TR_a")
    sources.remove("TR_a")
    sources.set_muted("TR_a", True)
    assert sources.sources == {}


def test_unreadable_pictures_are_counted_and_gone_past():
    sources = table(hold=False)
    source, track = sources.add(webcam(codecs=(AV1,)), now=0.0), Track(AV1, 10)
    broken = packet.serialize(
        payload_type=45, sequence_number=0, timestamp=0, ssrc=10, payload=b"\x08\xff", marker=True
    )
    sources.receive_datagram(broken, now=0.0)
    assert units(source, 0.0) == [] and source.stats.garbage == 1 and plis(sources) == [10]
    track.sequence = 1
    key = bytes((0x0A, 2, 1, 2, 0x32, 3)) + b"abc"
    assert payloads_of(AV1, key)[0][0] & 8
    feed(sources, track.packets(key, 0.1), 0.1)
    assert [unit.data for unit in units(source, 0.1)] == [key]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_never_raises(datagrams):
    sources = table(hold=False)
    source = sources.add(webcam(codecs=(VP8, H264, AV1)), now=0.0)
    for index, data in enumerate(datagrams):
        sources.receive_datagram(data, now=index / 10)
        payload_type = (96, 102, 45, 77)[index % 4]
        wrapped = packet.serialize(
            payload_type=payload_type, sequence_number=index, timestamp=index, ssrc=10, payload=data, marker=True
        )
        sources.receive_datagram(wrapped, now=index / 10)
        units(source, index / 10)
    units(source, 99.0)


@pytest.mark.slow
@pytest.mark.parametrize("first", START_NUMBERS)
def test_over_a_lossy_path_sound_is_all_there_but_what_was_lost(first):
    network, sources = Network(Path(delay=0.03, jitter=0.05, loss=0.03, reorder=0.05), seed=5), table()
    source, track, out = sources.add(mic(), now=0.0), Track(OPUS, 20, first=first, zero=0xFFFF0000), []
    for step in range(30_000):
        now = step / 1000
        if step % 20 == 0:
            for data in track.packets(b"\xf8\xff\xfe", now):
                network.push(data, now)
            if step % 1000 == 0:
                network.push(track.report(now, WALL + now), now)
        for data in network.pop_due(now):
            sources.receive_datagram(data, now=now)
        for unit in units(source, now):
            assert now - 0.002 <= unit.at + DELAY - WALL <= now + 0.02 or now < 3
            out.append(unit)
    gaps = [round((b.rtp_time - a.rtp_time) / 960) for a, b in itertools.pairwise(out)]
    assert len(out) > 0.94 * 1480 and min(gaps) == 1
    assert all(unit.discontinuity is (gap > 1) for unit, gap in zip(out[1:], gaps, strict=True))
