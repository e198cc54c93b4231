from __future__ import annotations

import pytest

from media.clock import ntp_middle, ntp_to_wall, wall_to_ntp
from sfu.rtp import packet
from sfu.rtp.compound import serialize_compound
from sfu.rtp.feedback import Fir, Nack, Pli, Remb
from sfu.rtp.reports import Bye, ExtendedReport, ReceiverReport, ReportBlock, SenderReport
from tests.support.rtp_peers import OPUS, START_NUMBERS, VP8_DELTA, VP8_KEY, Node, rtp


class Call:
    """One publisher with a video and an audio track, one subscriber to both."""

    def __init__(self, **changes) -> None:
        self.node = Node()
        self.now = 10.0
        self.publisher, self.publisher_wire = self.node.endpoint()
        self.subscriber, self.wire = self.node.endpoint()
        self.video = self.node.producer(self.publisher, ssrc=1)
        self.audio = self.node.producer(self.publisher, (OPUS,), ssrc=5, mid="1")
        self.consumer = self.node.consumer(self.subscriber, self.video, now=self.now, **changes)
        self.sound = self.node.consumer(self.subscriber, self.audio, now=self.now, mid="6")

    def send(self, number: int, payload: bytes = VP8_DELTA + b"x", **fields) -> None:
        self.now += 0.01
        self.publisher.receive_rtp(rtp(number, payload, **fields), now=self.now)

    def feedback(self, *messages) -> None:
        self.subscriber.receive_rtcp(serialize_compound(messages), now=self.now)

    def nack(self, *numbers: int) -> list[packet.RtpPacket]:
        self.feedback(Nack(1, self.consumer.params.ssrc, list(numbers)))
        return self.wire.packets()


@pytest.fixture
def call() -> Call:
    return Call()


def test_video_begins_with_a_keyframe(call):
    call.send(1)
    call.send(2)
    assert call.wire.packets() == []
    call.send(3, VP8_KEY + b"k")
    call.send(4)
    assert [p.payload for p in call.wire.packets()] == [VP8_KEY + b"k", VP8_DELTA + b"x"]


def test_audio_begins_at_once(call):
    call.send(1, b"opus", ssrc=5, payload_type=111)
    (sent,) = call.wire.packets()
    assert (sent.payload, sent.payload_type, sent.ssrc) == (b"opus", 111, call.sound.params.ssrc)


@pytest.mark.parametrize("first", START_NUMBERS)
def test_a_keyframe_whose_first_packet_comes_late_is_sent_whole(call, first):
    call.send(first)
    call.send(first + 2, b"\x00\x01b")
    call.send(first + 3, b"\x00\x01c")
    call.send(first + 1, VP8_KEY + b"a")
    call.send(first + 4)
    sent = call.wire.packets()
    assert [p.payload[2:] for p in sent] == [b"a", b"b", b"c", b"x"]
    assert [p.sequence_number - sent[0].sequence_number for p in sent] == [0, 1, 2, 3]


@pytest.mark.parametrize("first", START_NUMBERS)
def test_nacks_are_answered_by_rtx_until_the_history_ends(call, first):
    call.send(first, VP8_KEY + b"0")
    for at in range(1, 6):
        call.send(first + at, VP8_DELTA + bytes((at,)))
    sent = call.wire.packets()
    again = call.nack(sent[2].sequence_number, sent[4].sequence_number)
    assert [p.ssrc for p in again] == [call.consumer.params.rtx_ssrc] * 2
    assert [p.payload_type for p in again] == [97, 97]
    assert (again[1].sequence_number - again[0].sequence_number) & 0xFFFF == 1
    for original, repeated in zip((sent[2], sent[4]), again, strict=True):
        assert repeated.payload == original.sequence_number.to_bytes(2, "big") + original.payload
        assert (repeated.timestamp, repeated.extension) == (original.timestamp, original.extension)
    call.now += call.node.config.history_seconds + 1
    assert call.nack(sent[2].sequence_number) == []
    assert call.node.stats.nack_unanswered == 1


@pytest.mark.parametrize("first", START_NUMBERS)
def test_a_subscribers_own_numbers_wrap_and_lead_back(call, first):
    call.consumer._next_sequence = (1 << 16) + first
    call.send(500, VP8_KEY + b"0")
    for at in range(1, 5):
        call.send(500 + at, VP8_DELTA + bytes((at,)))
    numbers = [p.sequence_number for p in call.wire.packets()]
    assert numbers == [(first + at) & 0xFFFF for at in range(5)]
    again = call.nack(*numbers)
    assert [p.payload[2:] for p in again] == [VP8_KEY + b"0", *(VP8_DELTA + bytes((at,)) for at in range(1, 5))]


def test_without_rtx_the_very_same_packet_is_sent_again():
    call = Call(rtx_ssrc=None)
    call.send(1, VP8_KEY + b"0", elements=((13, b"\x01"),))
    data = call.wire.rtp[0]
    number = call.wire.packets()[0].sequence_number
    call.feedback(Nack(1, call.consumer.params.ssrc, [number]))
    assert call.wire.rtp == [data]


def test_the_same_packet_is_not_resent_at_once(call):
    call.send(1, VP8_KEY + b"0")
    number = call.wire.packets()[0].sequence_number
    assert len(call.nack(number, number, number)) == 1
    assert call.nack(number) == []
    call.now += 0.02
    assert len(call.nack(number)) == 1


def test_asking_for_everything_over_and_over_is_answered_once(call):
    call.send(0, VP8_KEY + b"x")
    for number in range(1, 1100):
        call.send(number)
    sent = [p.sequence_number for p in call.wire.packets()][-1024:]
    call.now += 0.02
    assert len(call.nack(*sent)) > 150  # what the history still holds by time
    call.now += 0.02
    assert call.nack(*sent) == []
    assert call.node.stats.nack_in == 2048
    for number in range(1100, 1110):
        call.send(number)
    call.wire.rtp.clear()
    call.now += 0.02
    assert len(call.nack(*reversed(sent))) == 10  # one more for each packet sent


def test_what_was_never_sent_is_not_resent(call):
    call.send(1)  # before the keyframe
    call.send(2, VP8_KEY + b"0")
    number = call.wire.packets()[0].sequence_number
    assert call.nack(number - 1, number + 1, (number + 30000) & 0xFFFF) == []


def test_a_packet_of_before_a_pause_is_still_resent_in_its_old_numbers(call):
    call.send(1, VP8_KEY + b"a")
    call.send(2, VP8_DELTA + b"b")
    sent = call.wire.packets()
    call.consumer.set_paused(True, now=call.now)
    call.send(3, VP8_DELTA + b"never")
    call.consumer.set_paused(False, now=call.now)
    call.send(4, VP8_KEY + b"c")
    (resumed,) = call.wire.packets()
    assert resumed.sequence_number == sent[1].sequence_number + 1
    (again,) = call.nack(sent[1].sequence_number)
    assert again.payload[2:] == VP8_DELTA + b"b"
    (again,) = call.nack(resumed.sequence_number)
    assert again.payload[2:] == VP8_KEY + b"c"


def test_a_paused_consumer_gets_nothing_and_asks_a_keyframe_on_its_return(call):
    call.send(1, VP8_KEY + b"a")
    call.wire.packets()
    call.publisher_wire.messages()
    call.consumer.set_paused(True, now=call.now)
    call.send(2, VP8_KEY + b"b")
    assert call.wire.packets() == []
    assert call.publisher_wire.messages() == []
    call.now += 1
    call.consumer.set_paused(False, now=call.now)
    assert call.publisher_wire.messages() == [Pli(call.publisher.link.ssrc, 1)]
    call.send(3)
    assert call.wire.packets() == []


def test_one_that_is_not_ready_waits_without_asking():
    node = Node()
    publisher, publisher_wire = node.endpoint()
    subscriber, wire = node.endpoint()
    producer = node.producer(publisher)
    subscriber.set_ready(False, now=0.0)
    node.consumer(subscriber, producer)
    publisher.receive_rtp(rtp(1, VP8_KEY), now=0.1)
    assert wire.rtp == [] and publisher_wire.messages() == []
    subscriber.set_ready(True, now=0.2)
    assert len(publisher_wire.messages()) == 1
    publisher.receive_rtp(rtp(2, VP8_KEY), now=0.3)
    assert len(wire.rtp) == 1


def test_pli_and_fir_reach_the_publisher_merged(call):
    call.send(1, VP8_KEY + b"a")
    call.publisher_wire.messages()
    call.now += 1
    ssrc = call.consumer.params.ssrc
    call.feedback(Pli(1, ssrc), Fir(1, [(ssrc, 3)]), Pli(1, ssrc), Pli(1, 424242))
    assert call.publisher_wire.messages() == [Pli(call.publisher.link.ssrc, 1)]
    assert call.consumer.stats.keyframe_requests == 3


def run_reports(call: Call) -> list:
    call.wire.rtcp = []
    call.now += 1.6
    call.subscriber.handle_timer(now=call.now)
    return call.wire.messages()


def test_reports_keep_audio_and_video_together(call):
    """The same instant, published with unrelated RTP times and a clock that is off by years, stays one instant."""
    off = 3e8  # the publisher's clock runs behind ours
    base = call.now
    call.publisher.receive_rtcp(
        serialize_compound([SenderReport(1, wall_to_ntp(off + base), 0xFFFFFF00, 0, 0)]), now=base
    )
    call.publisher.receive_rtcp(
        serialize_compound([SenderReport(5, wall_to_ntp(off + base + 0.4), 777, 0, 0)]), now=base + 0.9
    )
    # captured together, one second after the video's report
    call.send(1, VP8_KEY + b"a", timestamp=0xFFFFFF00 + 90000)
    call.send(1, b"opus", ssrc=5, payload_type=111, timestamp=777 + round(0.6 * 48000))
    picture, sound = call.wire.packets()
    messages = run_reports(call)
    video = next(m for m in messages if isinstance(m, SenderReport) and m.ssrc == picture.ssrc)
    audio = next(m for m in messages if isinstance(m, SenderReport) and m.ssrc == sound.ssrc)
    assert video.ntp == audio.ntp == call.node.wall_clock.ntp(call.now)

    def captured(report: SenderReport, sent: packet.RtpPacket, rate: int) -> float:
        ticks = ((sent.timestamp - report.rtp_time + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        return ntp_to_wall(report.ntp) + ticks / rate

    assert captured(video, picture, 90000) == pytest.approx(captured(audio, sound, 48000), abs=0.0005)
    assert (video.packet_count, video.octet_count) == (1, 3)


def test_no_report_before_the_publisher_told_its_clock(call):
    call.send(1, VP8_KEY + b"a")
    assert not any(isinstance(m, SenderReport) for m in run_reports(call))


def test_a_track_is_not_reported_by_a_clock_that_its_publisher_has_set_since(call):
    call.send(1, VP8_KEY + b"a")
    call.send(1, b"opus", ssrc=5, payload_type=111)

    def report(ssrc: int, wall: float) -> set[int]:
        """Who is reported to the subscriber once the publisher reported one of its tracks."""
        data = serialize_compound([SenderReport(ssrc, wall_to_ntp(wall + call.now), 777, 0, 0)])
        call.publisher.receive_rtcp(data, now=call.now)
        return {m.ssrc for m in run_reports(call) if isinstance(m, SenderReport)}

    video, audio = call.consumer.params.ssrc, call.sound.params.ssrc
    assert report(1, 1e9) == {video}
    assert report(5, 1e9) == {video, audio}
    assert report(5, 1e9 + 100) == {audio}, "the video's last report speaks of the former clock"
    assert report(1, 1e9 + 100) == {video, audio}


def test_what_the_subscriber_reports_is_kept(call):
    call.send(1, VP8_KEY + b"a")
    sent_at = call.now
    call.now += 0.25
    lsr = ntp_middle(call.node.wall_clock.ntp(sent_at))
    block = ReportBlock(call.consumer.params.ssrc, 128, 7, 1, 900, lsr, round(0.1 * 65536))
    call.feedback(ReceiverReport(1, [block]), Remb(1, 500_000, [call.consumer.params.ssrc]))
    stats = call.consumer.stats
    assert (stats.fraction_lost, stats.lost, stats.jitter, stats.remb_bps) == (0.5, 7, 0.01, 500_000)
    assert stats.round_trip_time == pytest.approx(0.15, abs=0.001)


def test_a_receiver_without_reports_of_its_own_learns_its_round_trip_time(call):
    reference = wall_to_ntp(1e9)
    call.feedback(ReceiverReport(9), ExtendedReport(9, rrtr=reference))
    messages = run_reports(call)
    (answer,) = [m for m in messages if isinstance(m, ExtendedReport)]
    assert answer.dlrr == [(9, ntp_middle(reference), round(1.6 * 65536))]
    assert not any(isinstance(m, ExtendedReport) for m in run_reports(call))


def test_leaving_says_goodbye_and_stops(call):
    call.send(1, VP8_KEY + b"a")
    call.wire.take()
    call.subscriber.remove_consumer(call.consumer, now=call.now)
    call.subscriber.remove_consumer(call.consumer, now=call.now)
    assert [m for m in call.wire.messages() if isinstance(m, Bye)] == [Bye([call.consumer.params.ssrc])]
    call.send(2, VP8_KEY + b"b")
    assert call.wire.packets() == []
    assert call.video.consumers == [] and call.video.layers.streams[0].groups == []


def test_a_track_that_ended_sends_no_more_and_can_be_left(call):
    call.send(1, VP8_KEY + b"a")
    call.wire.take()
    call.publisher.remove_producer(call.video, now=call.now)
    call.consumer.set_paused(True, now=call.now)
    call.consumer.set_paused(False, now=call.now)
    call.feedback(Pli(1, call.consumer.params.ssrc))
    call.subscriber.close(now=call.now)
    assert call.wire.packets() == []
    assert call.subscriber.consumers == [] and call.subscriber.get_timer() is None


def test_starts_leave_room_before_the_wrap(call):
    starts = set()
    for _ in range(50):
        consumer = call.node.consumer(call.subscriber, call.audio, mid="6")
        call.send(1000 + len(starts), b"o", ssrc=5, payload_type=111)
        starts.add(next(p.sequence_number for p in call.wire.packets() if p.ssrc == consumer.params.ssrc))
    assert max(starts) < 0x8000 and len(starts) > 40
