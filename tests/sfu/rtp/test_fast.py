"""One class, so that a native twin can be held to the same."""

from __future__ import annotations

import pytest

from sfu.rtp import extensions, fast, packet
from tests.support.rtp_peers import START_NUMBERS, rtp


def ingest(data: bytes, sequence: int) -> packet.RtpPacket:
    parsed = packet.parse(data)
    parsed.sequence = sequence
    parsed.elements = extensions.find_elements(data, parsed.ext_profile, parsed.ext_offset, parsed.ext_end)
    return parsed


def read(data: bytes) -> tuple[packet.RtpPacket, dict[int, bytes]]:
    parsed = packet.parse(data)
    elements = extensions.find_elements(data, parsed.ext_profile, parsed.ext_offset, parsed.ext_end)
    return parsed, {ident: data[start:end] for ident, start, end in elements}


def group(*mids: str, mid_id: int | None = 1, ids: dict[int, int] | None = None, transform=None):
    out: list[list[bytes]] = []
    made = fast.FanOutGroup({96: (100, transform)}, ids or {}, mid_id, len(mids[0]))
    for at, mid in enumerate(mids):
        sent: list[bytes] = []
        target = fast.FanOutTarget(sent.append, 500 + at, mid_id, mid.encode())
        made.targets.append(target)
        out.append(sent)
    return made, out


class TestFanOut:
    fan_out = staticmethod(fast.fan_out)

    @pytest.mark.parametrize("number", START_NUMBERS)
    @pytest.mark.parametrize("offset", [0, 1, 65535, -70000])
    def test_numbers_and_times_wrap(self, number, offset):
        made, (sent,) = group("a")
        made.targets[0].sequence_offset = offset
        made.targets[0].timestamp_offset = 0xFFFFFFFF
        self.fan_out(ingest(rtp(number, timestamp=7), number + 65536), made)
        parsed, _ = read(sent[0])
        assert parsed.sequence_number == (number + offset) & 0xFFFF
        assert parsed.timestamp == 6

    def test_each_subscriber_has_its_own_header(self):
        made, outs = group("7", "8")
        data = rtp(1, b"payload", marker=True)
        before = bytes(data)
        count, size = self.fan_out(ingest(data, 1), made)
        assert data == before
        assert (count, size) == (2, sum(len(out[0]) for out in outs))
        for at, (out, mid) in enumerate(zip(outs, (b"7", b"8"), strict=True)):
            parsed, elements = read(out[0])
            assert (parsed.ssrc, parsed.payload_type, parsed.marker) == (500 + at, 100, True)
            assert elements == {1: mid}
            assert parsed.payload == b"payload"

    def test_only_what_was_agreed_on_passes_under_the_subscribers_ids(self):
        made, (sent,) = group("ab", ids={4: 7, 5: 6})
        self.fan_out(ingest(rtp(1, b"p", elements=((3, b"secret"), (4, b"level"), (5, b"o"))), 1), made)
        parsed, elements = read(sent[0])
        assert elements == {1: b"ab", 7: b"level", 6: b"o"}
        assert parsed.payload == b"p"

    def test_a_long_element_takes_the_two_byte_form(self):
        made, (sent,) = group("a", ids={4: 7})
        _count, size = self.fan_out(ingest(rtp(1, b"p", elements=((4, bytes(30)),)), 1), made)
        parsed, elements = read(sent[0])
        assert parsed.ext_profile == extensions.TWO_BYTE
        assert elements == {1: b"a", 7: bytes(30)}
        assert size == len(sent[0]) and parsed.payload == b"p"

    def test_a_subscribers_high_id_takes_the_two_byte_form(self):
        made, (sent,) = group("a", mid_id=20)
        self.fan_out(ingest(rtp(1, b"p"), 1), made)
        assert read(sent[0])[1] == {20: b"a"}

    def test_without_extensions_there_is_no_block(self):
        made, (sent,) = group("a", mid_id=None)
        _count, size = self.fan_out(ingest(rtp(1, b"p", elements=((4, b"x"),)), 1), made)
        parsed, _ = read(sent[0])
        assert parsed.ext_profile == 0 and parsed.payload == b"p" and size == len(sent[0])

    def test_padding_does_not_pass(self):
        made, (sent,) = group("a")
        self.fan_out(ingest(rtp(1, b"p", padding=9), 1), made)
        assert read(sent[0])[0].payload == b"p" and not sent[0][0] & 0x20

    @pytest.mark.parametrize("mid_id", [1, None])
    def test_what_precedes_a_segment_is_not_sent(self, mid_id):
        made, (sent,) = group("a", mid_id=mid_id)
        made.targets[0].start = 10
        assert self.fan_out(ingest(rtp(9), 9), made) == (0, 0)
        assert self.fan_out(ingest(rtp(10), 10), made)[0] == 1
        assert len(sent) == 1

    def test_an_unknown_payload_type_is_not_sent(self):
        made, (sent,) = group("a")
        assert self.fan_out(ingest(rtp(1, payload_type=99), 1), made) == (0, 0)
        assert sent == []

    def test_packets_and_octets_of_payload_are_counted(self):
        made, _ = group("a")
        self.fan_out(ingest(rtp(1, bytes(100), padding=4), 1), made)
        assert (made.targets[0].packets, made.targets[0].octets) == (1, 100)

    def test_payloads_are_transformed(self):
        made, (sent,) = group("a", transform=lambda payload: payload[::-1] + b"!")
        self.fan_out(ingest(rtp(1, b"abc"), 1), made)
        assert read(sent[0])[0].payload == b"cba!"
        assert made.targets[0].octets == 4

    def test_one_packet_is_written_as_the_fan_out_writes_it(self):
        for mid_id in (1, None):
            made, (sent,) = group("a", mid_id=mid_id, ids={4: 7})
            original = ingest(rtp(5, b"abc", elements=((4, b"x"),), marker=True), 5)
            self.fan_out(original, made)
            again = fast.write_one(original, made, made.targets[0], sequence_number=5, timestamp=original.timestamp)
            assert again == sent[0]
