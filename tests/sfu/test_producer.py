from __future__ import annotations

import itertools

import pytest

from media.clock import wall_to_ntp
from media.drops import DropReason
from sfu.events import ProducerLayers, ProducerStarted
from sfu.producer import AUDIO_HISTORY, Encoding
from sfu.rtp.compound import serialize_compound
from sfu.rtp.feedback import Fir, Nack, Pli
from sfu.rtp.payload import vp8
from sfu.rtp.reports import Bye, SenderReport
from tests.support.rtp_peers import OPUS, START_NUMBERS, VP8, VP8_DELTA, VP8_KEY, Node, Wire, rtp


class Studio:
    """One publisher with one track, and subscribers."""

    def __init__(self, codecs=(VP8,), subscribers: int = 1, **changes) -> None:
        self.node = Node()
        self.now = 10.0
        self.publisher, self.publisher_wire = self.node.endpoint()
        self.producer = self.node.producer(self.publisher, codecs, now=self.now, **changes)
        self.wires: list[Wire] = []
        self.consumers = []
        for _ in range(subscribers):
            self.join()

    def join(self) -> Wire:
        endpoint, wire = self.node.endpoint()
        self.consumers.append(self.node.consumer(endpoint, self.producer, now=self.now))
        self.wires.append(wire)
        return wire

    def send(self, number: int, payload: bytes = VP8_DELTA + b"x", *, step: float = 0.01, **fields) -> None:
        self.now += step
        self.publisher.receive_rtp(rtp(number, payload, **fields), now=self.now)

    def tick(self, seconds: float) -> list:
        """Virtual time passes; the feedback sent meanwhile, reports left out."""
        end = self.now + seconds
        while (timer := self.publisher.get_timer()) is not None and timer <= end:
            self.now = max(self.now, timer)
            self.publisher.handle_timer(now=self.now)
        self.now = end
        return self.feedback()

    def feedback(self) -> list:
        return [m for m in self.publisher_wire.messages() if isinstance(m, Pli | Fir | Nack)]

    def events(self) -> list:
        out = []
        while (event := self.publisher.next_event()) is not None:
            out.append(event)
        return out


def test_the_first_packet_is_told_once():
    studio = Studio((OPUS,))
    studio.send(1, b"o", payload_type=111)
    studio.send(2, b"o", payload_type=111)
    assert studio.events() == [ProducerStarted("TR_1")]


def test_many_who_join_ask_for_one_keyframe():
    studio = Studio(subscribers=0)
    studio.send(1, VP8_KEY)
    for _ in range(10):
        studio.join()
    assert studio.feedback() == [Pli(studio.publisher.link.ssrc, 1)]
    studio.send(2, VP8_KEY)
    assert [len(wire.rtp) for wire in studio.wires] == [1] * 10
    assert studio.tick(5) == []


def test_a_keyframe_that_does_not_come_is_asked_for_again():
    studio = Studio()
    studio.send(1)
    assert len(studio.feedback()) == 1
    assert len(studio.tick(1.6)) == 2
    studio.send(2, VP8_KEY)
    assert studio.tick(10) == []


def test_a_publisher_without_pli_is_asked_by_fir():
    codec = VP8.__class__("VP8", VP8.kind, 90000, 96, feedback=("ccm fir",))
    studio = Studio((codec,))
    studio.send(1)
    studio.tick(0.6)
    assert studio.publisher_wire.messages() == []
    studio = Studio((codec,))
    studio.send(1)
    (one,) = studio.feedback()
    (two,) = studio.tick(0.6)
    assert (one.requests, two.requests) == ([(1, 1)], [(1, 2)])


def test_audio_is_never_asked_for_keyframes():
    studio = Studio((OPUS,))
    studio.send(1, b"o", payload_type=111)
    studio.producer.request_keyframe(now=studio.now)
    assert studio.tick(3) == []


@pytest.mark.parametrize("first", START_NUMBERS)
def test_mute_and_unmute_keep_numbers_and_times_going(first):
    studio = Studio()
    studio.send(first, VP8_KEY, timestamp=1000)
    studio.send(first + 1, timestamp=4000)
    studio.feedback()
    studio.producer.set_muted(True, now=studio.now)
    for at in range(2, 10):
        studio.send(first + at, VP8_KEY, timestamp=1000 + 3000 * at)
    assert studio.feedback() == []
    studio.producer.set_muted(False, now=studio.now)
    assert studio.feedback() == [Pli(studio.publisher.link.ssrc, 1)]
    studio.send(first + 10, timestamp=31000)
    studio.send(first + 11, VP8_KEY, timestamp=34000)
    studio.send(first + 12, timestamp=37000)
    sent = studio.wires[0].packets()
    assert [(p.sequence_number - sent[0].sequence_number) & 0xFFFF for p in sent] == [0, 1, 2, 3]
    assert [(p.timestamp - sent[0].timestamp) & 0xFFFFFFFF for p in sent] == [0, 3000, 33000, 36000]
    assert studio.node.drops.counts[DropReason.RTP_TRACK_MUTED] == 8


def test_muted_audio_goes_on_with_the_next_packet():
    studio = Studio((OPUS,))
    studio.send(1, b"o", payload_type=111)
    studio.producer.set_muted(True, now=studio.now)
    studio.send(2, b"o", payload_type=111)
    studio.producer.set_muted(False, now=studio.now)
    studio.send(3, b"p", payload_type=111)
    first, second = studio.wires[0].packets()
    assert second.payload == b"p" and second.sequence_number == first.sequence_number + 1


@pytest.mark.parametrize("first", START_NUMBERS)
def test_silence_that_is_not_sent_passes_as_it_was_meant(first):
    """Opus DTX: numbers without a hole, times that jump, a packet each 400 ms or none at all for long."""
    node = Node()
    publisher, feedback = node.endpoint()
    subscriber, wire = node.endpoint()
    node.consumer(subscriber, node.producer(publisher, (OPUS,), ssrc=1))
    steps = [0.02, 0.02, 0.4, 0.4, 0.02, 3600.0, 0.02, 60000.0, 0.02]  # the last silence is longer than half a lap of times
    now, ticks = 0.0, (1 << 32) - 5000
    for at, step in enumerate([0.0, *steps]):
        now += step
        ticks += round(step * 48000)
        publisher.receive_rtp(rtp(first + at, b"\xf8", ssrc=1, payload_type=111, timestamp=ticks), now=now)
        publisher.handle_timer(now=now)
    sent = wire.packets()
    assert [(b.sequence_number - a.sequence_number) & 0xFFFF for a, b in itertools.pairwise(sent)] == [1] * len(steps)
    times = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(sent)]
    assert times == [round(step * 48000) & 0xFFFFFFFF for step in steps]
    assert not any(isinstance(message, Nack) for message in feedback.messages())


def test_holes_are_asked_for_and_filled_by_rtx():
    studio = Studio()
    studio.send(65535, VP8_KEY + b"0")
    studio.send(1, VP8_DELTA + b"2")
    assert [m.lost for m in studio.tick(0.02) if isinstance(m, Nack)] == [[0]]
    studio.send(9, (0).to_bytes(2, "big") + VP8_DELTA + b"1", ssrc=2, payload_type=97, timestamp=5)
    sent = studio.wires[0].packets()
    numbers = [p.sequence_number - sent[0].sequence_number for p in sent]
    assert [p.payload[2:] for _, p in sorted(zip(numbers, sent, strict=True))] == [b"0", b"1", b"2"]
    assert studio.tick(2) == []
    assert studio.producer.update_stats().recovered == 1


def test_probes_on_the_rtx_ssrc_are_counted_only():
    studio = Studio()
    studio.send(1, VP8_KEY)
    studio.send(5, b"", ssrc=2, payload_type=97, padding=200)
    studio.send(6, b"\x00", ssrc=2, payload_type=97)
    studio.send(7, b"\x00\x01\x10", ssrc=2, payload_type=99)
    counts = studio.node.drops.counts
    assert counts[DropReason.RTP_PADDING] == counts[DropReason.RTX_MALFORMED] == 1
    assert counts[DropReason.RTP_UNKNOWN_PAYLOAD_TYPE] == 1
    assert len(studio.wires[0].rtp) == 1


def test_padding_is_not_forwarded_and_leaves_no_hole():
    studio = Studio()
    studio.send(1, VP8_KEY)
    studio.send(2, b"", padding=50)
    studio.send(3)
    first, second = studio.wires[0].packets()
    assert second.sequence_number == first.sequence_number + 1
    assert studio.node.drops.counts[DropReason.RTP_PADDING] == 1
    assert studio.tick(1) == []


def test_a_stream_that_starts_over_goes_on_for_its_subscribers():
    studio = Studio()
    studio.send(1, VP8_KEY, timestamp=90000)
    for at in range(3):
        studio.send(30000 + at, timestamp=3_000_000_000 + at * 900)
    assert len(studio.tick(0.6)) >= 1  # a keyframe is asked for
    studio.send(30003, VP8_KEY, timestamp=3_000_002_700)
    first, second = studio.wires[0].packets()
    assert second.sequence_number == first.sequence_number + 1
    elapsed = (second.timestamp - first.timestamp) & 0xFFFFFFFF
    assert elapsed == pytest.approx((studio.now - 10.01) * 90000, abs=2)


def test_more_loss_than_can_be_asked_for_brings_a_keyframe():
    studio = Studio()
    studio.send(1, VP8_KEY)
    studio.now += 1
    studio.feedback()
    studio.send(1000)
    assert studio.feedback() == [Pli(studio.publisher.link.ssrc, 1)]


# Simulcast

LAYERS = {"encodings": (Encoding(rid="q"), Encoding(rid="h")), "simulcast": True}
SSRC = {"q": 10, "h": 20}


def descriptor(picture: int, tl0: int, *, key: bool) -> bytes:
    return bytes((0x90, 0xE0, 0x80 | picture >> 8, picture & 0xFF, tl0, 0x20, 0 if key else 1))


class Simulcast(Studio):
    def __init__(self) -> None:
        super().__init__(**LAYERS)
        self.numbers = {"q": 100, "h": 40000}
        self.pictures = {"q": 500, "h": 9000}

    def frame(self, rid: str, *, key: bool = False, step: float = 0.01, timestamp: int | None = None) -> None:
        number, picture = self.numbers[rid], self.pictures[rid]
        self.numbers[rid] += 1
        self.pictures[rid] += 1
        base = {"q": 5_000, "h": 4_000_000_000}[rid]
        self.send(
            number,
            descriptor(picture & 0x7FFF, picture & 0xFF, key=key) + rid.encode(),
            step=step,
            ssrc=SSRC[rid],
            timestamp=timestamp if timestamp is not None else base + round((self.now + step - 10) * 90000),
            elements=((4, b"0"), (10, rid.encode())),
        )


def seen(wire: Wire) -> list[str]:
    return [p.payload[-1:].decode() for p in wire.packets()]


def test_the_old_layer_is_kept_until_the_new_ones_keyframe():
    studio = Simulcast()
    studio.frame("q", key=True)
    studio.frame("h")
    studio.frame("q")
    assert Pli(studio.publisher.link.ssrc, SSRC["h"]) in studio.feedback()
    studio.frame("h", key=True)
    studio.frame("q")
    studio.frame("h")
    assert seen(studio.wires[0]) == ["q", "q", "h", "h"]
    assert studio.events()[-1] == ProducerLayers("TR_1", ("q", "h"))
    assert studio.node.drops.counts[DropReason.RTP_LAYER_NOT_CHOSEN] >= 1


def test_a_layer_that_begins_after_a_lower_one_told_its_height_is_switched_to_at_its_keyframe():
    studio = Simulcast()
    # Key frame, start code, width and height: RFC 6386 section 9.1.
    frames = {rid: b"\x10\0\0\x9d\x01\x2a" + bytes((0, 0, height & 0xFF, height >> 8)) for rid, height in (("q", 180), ("h", 360))}
    for rid in ("q", "h"):
        studio.send(studio.numbers[rid], descriptor(1, 1, key=True) + frames[rid], ssrc=SSRC[rid], elements=((4, b"0"), (10, rid.encode())))
    assert [p.payload[-2:] for p in studio.wires[0].packets()] == [frames["q"][-2:], frames["h"][-2:]]
    assert Pli(studio.publisher.link.ssrc, SSRC["h"]) not in studio.feedback()


def test_numbers_times_and_pictures_go_on_over_a_switch():
    studio = Simulcast()
    for at in range(4):
        studio.frame("q", key=at == 0)
    studio.frame("h", key=True)
    studio.frame("h")
    sent = studio.wires[0].packets()
    assert [p.sequence_number - sent[0].sequence_number for p in sent] == list(range(6))
    pictures = [vp8.parse(p.payload) for p in sent]
    assert [p.picture_id - pictures[0].picture_id for p in pictures] == list(range(6))
    assert [(p.tl0picidx - pictures[0].tl0picidx) & 0xFF for p in pictures] == list(range(6))
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(sent)]
    assert steps == [pytest.approx(900, abs=2)] * 5


def test_reports_of_both_layers_map_their_times_exactly():
    studio = Simulcast()
    for rid, rtp_time in (("q", 1_000), ("h", 77_000)):
        studio.frame(rid, key=rid == "q")
        report = SenderReport(SSRC[rid], wall_to_ntp(9e8), rtp_time, 0, 0)
        studio.publisher.receive_rtcp(serialize_compound([report]), now=studio.now)
    studio.frame("q", timestamp=1_000 + 9000)
    studio.wires[0].rtp.clear()
    studio.frame("q", timestamp=1_000 + 12_000)
    studio.frame("h", key=True, timestamp=77_000 + 15_000, step=0.2)  # late on its way: arrival would tell it wrong
    last, first = studio.wires[0].packets()
    assert (first.timestamp - last.timestamp) & 0xFFFFFFFF == 3000


def test_a_layer_that_stops_is_left_for_one_that_sends():
    studio = Simulcast()
    studio.frame("q", key=True)
    studio.frame("h", key=True)
    for _ in range(60):
        studio.frame("q", step=0.03)
        studio.publisher.handle_timer(now=studio.now)
    assert Pli(studio.publisher.link.ssrc, SSRC["q"]) in studio.feedback()
    studio.frame("q", key=True)
    studio.frame("q")
    assert seen(studio.wires[0])[-2:] == ["q", "q"]
    assert studio.events()[-1] == ProducerLayers("TR_1", ("q",))


def test_goodbye_of_a_layer_switches_at_once():
    studio = Simulcast()
    studio.frame("q", key=True)
    studio.frame("h", key=True)
    studio.publisher.receive_rtcp(serialize_compound([Bye([SSRC["h"]])]), now=studio.now)
    studio.frame("q", key=True)
    assert seen(studio.wires[0])[-1] == "q"


def test_who_joins_late_is_shown_what_there_is():
    studio = Simulcast()
    studio.frame("q", key=True)
    studio.frame("h", key=True)
    wire = studio.join()
    studio.frame("q", key=True)
    studio.frame("q")
    studio.frame("h", key=True)
    studio.frame("q")
    assert seen(wire) == ["q", "q", "h"]


def test_a_packet_of_the_old_layer_is_still_resent():
    studio = Simulcast()
    studio.frame("q", key=True)
    studio.frame("q")
    studio.frame("h", key=True)
    sent = studio.wires[0].packets()
    consumer = studio.consumers[0]
    consumer.receive_nack([sent[1].sequence_number], now=studio.now)
    (again,) = studio.wires[0].packets()
    assert again.payload[2:] == sent[1].payload


def test_the_same_picture_in_two_layers_never_shares_a_time():
    studio = Simulcast()
    for rid, rtp_time in (("q", 1_000), ("h", 77_000)):
        studio.frame(rid, key=rid == "q")
        report = SenderReport(SSRC[rid], wall_to_ntp(9e8), rtp_time, 0, 0)
        studio.publisher.receive_rtcp(serialize_compound([report]), now=studio.now)
    studio.frame("q", timestamp=1_000 + 9000)
    studio.frame("h", key=True, timestamp=77_000 + 9000)  # captured at the same instant
    *_, last, first = studio.wires[0].packets()
    assert (first.timestamp - last.timestamp) & 0xFFFFFFFF == 1


def test_what_was_said_while_muted_cannot_be_asked_for():
    studio = Studio()
    studio.send(1, VP8_KEY + b"public")
    (sent,) = studio.wires[0].packets()
    studio.producer.set_muted(True, now=studio.now)
    studio.send(2, VP8_KEY + b"private")
    studio.consumers[0].receive_nack([sent.sequence_number + at for at in range(5)], now=studio.now)
    assert [p.payload[2:] for p in studio.wires[0].packets()] == [VP8_KEY + b"public"]
    studio.producer.set_muted(False, now=studio.now)
    studio.send(3, VP8_DELTA + b"private too")
    studio.send(4, VP8_KEY + b"public")
    studio.now += 1
    studio.consumers[0].receive_nack([sent.sequence_number + at for at in range(5)], now=studio.now)
    assert not any(b"private" in p.payload for p in studio.wires[0].packets())


def test_sound_keeps_no_more_history_than_it_needs():
    studio = Studio((OPUS,))
    for number in range(400):
        studio.send(number, b"o", payload_type=111, step=0.02)
    history = studio.producer.layers.streams[0].history
    kept = [at for at in range(65536, 65936) if history.holds(at)]
    assert len(kept) == history.capacity == AUDIO_HISTORY
    assert AUDIO_HISTORY * 0.02 >= studio.node.config.history_seconds
