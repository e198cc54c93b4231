"""Header writing for a fan-out: the one place where a packet gets a subscriber's header. A native twin may replace it.

What is equal for many subscribers (payload, payload type, header extensions but MID) is built once for each group of them;
for each subscriber there remain sequence number, timestamp, SSRC, MID and one copy.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from sfu.rtp.extensions import MAX_ONE_BYTE_ID, MAX_ONE_BYTE_LENGTH, ONE_BYTE, TWO_BYTE, element, needs_two_byte
from sfu.rtp.packet import RtpPacket

PLAIN_HEADER = Struct("!III")  # first word, timestamp, ssrc
EXTENDED_HEADER = Struct("!IIII")  # and the extension block's head

pack_plain = PLAIN_HEADER.pack
pack_extended = EXTENDED_HEADER.pack
join = b"".join

VERSION_WORD = 0x80 << 24
EXTENSION_WORD = 0x90 << 24
MARKER_WORD = 0x80 << 16

Transform = Callable[[bytes], bytes]


class FanOutTarget:
    """What differs from subscriber to subscriber. `start` and the offsets belong to one segment and change together."""

    __slots__ = (
        "mid_one_byte",
        "mid_two_byte",
        "octets",
        "packets",
        "send",
        "sequence_offset",
        "ssrc",
        "start",
        "timestamp_offset",
    )

    def __init__(self, send: Callable[[bytes], None], ssrc: int, mid_id: int | None, mid: bytes) -> None:
        self.send = send
        self.ssrc = ssrc
        self.mid_one_byte = self.mid_two_byte = b""
        if mid_id is not None and mid:
            self.mid_two_byte = element(mid_id, mid, two_byte=True)
            if not needs_two_byte(mid_id, len(mid)):
                self.mid_one_byte = element(mid_id, mid, two_byte=False)
        self.start = 0  # packets before it are not for this subscriber
        self.sequence_offset = 0
        self.timestamp_offset = 0
        self.packets = 0
        self.octets = 0  # of payload, as a sender report counts them


class FanOutGroup:
    """Subscribers to one stream whose packets differ only in what `FanOutTarget` holds."""

    __slots__ = ("extension_ids", "force_two_byte", "key", "mid_length", "payload_types", "targets")

    def __init__(
        self,
        payload_types: dict[int, tuple[int, Transform | None]],
        extension_ids: dict[int, int],
        mid_id: int | None,
        mid_length: int,
        key: object = None,
    ) -> None:
        self.payload_types = payload_types  # publisher's -> subscriber's, and what becomes of the payload
        self.extension_ids = extension_ids  # publisher's -> subscriber's
        self.mid_length = mid_length if mid_id is not None else 0
        self.force_two_byte = self.mid_length and (mid_id > MAX_ONE_BYTE_ID or mid_length > MAX_ONE_BYTE_LENGTH)
        self.key = key
        self.targets: list[FanOutTarget] = []


def prepare(packet: RtpPacket, group: FanOutGroup) -> tuple[int, int, bool, bytes, int] | None:
    """First word, extension word (0: none), whether its form is two-byte, all that follows MID, and the payload's size.

    None if the group's subscribers have no payload type for the packet.
    """
    mapped = group.payload_types.get(packet.payload_type)
    if mapped is None:
        return None
    payload_type, transform = mapped
    data = packet.data
    payload = data[packet.payload_offset : packet.payload_end]
    if transform is not None:
        payload = transform(payload)
    first = payload_type << 16 | (MARKER_WORD if packet.marker else 0)
    two_byte = bool(group.force_two_byte)
    kept: list[tuple[int, bytes]] = []
    for ident, start, end in packet.elements:
        mapped_id = group.extension_ids.get(ident)
        if mapped_id is not None:
            kept.append((mapped_id, data[start:end]))
            if needs_two_byte(mapped_id, end - start):
                two_byte = True
    if not kept and not group.mid_length:
        return VERSION_WORD | first, 0, False, payload, len(payload)
    block = join([element(ident, value, two_byte=two_byte) for ident, value in kept])
    length = len(block) + (group.mid_length + 1 + two_byte if group.mid_length else 0)
    padding = -length % 4
    extension = (TWO_BYTE if two_byte else ONE_BYTE) << 16 | (length + padding) // 4
    return EXTENSION_WORD | first, extension, two_byte, join((block, bytes(padding), payload)), len(payload)


def fan_out(packet: RtpPacket, group: FanOutGroup) -> tuple[int, int]:
    """Send the packet to the group's targets; how many packets and bytes went out."""
    prepared = prepare(packet, group)
    if prepared is None:
        return 0, 0
    first, extension, two_byte, tail, size = prepared
    sequence = packet.sequence
    timestamp = packet.timestamp
    count = 0
    if not extension:
        for target in group.targets:
            if sequence < target.start:
                continue
            target.packets += 1
            target.octets += size
            count += 1
            target.send(
                pack_plain(
                    first | (sequence + target.sequence_offset) & 0xFFFF,
                    (timestamp + target.timestamp_offset) & 0xFFFFFFFF,
                    target.ssrc,
                )
                + tail
            )
        return count, count * (12 + len(tail))
    for target in group.targets:
        if sequence < target.start:
            continue
        target.packets += 1
        target.octets += size
        count += 1
        target.send(
            join(
                (
                    pack_extended(
                        first | (sequence + target.sequence_offset) & 0xFFFF,
                        (timestamp + target.timestamp_offset) & 0xFFFFFFFF,
                        target.ssrc,
                        extension,
                    ),
                    target.mid_two_byte if two_byte else target.mid_one_byte,
                    tail,
                )
            )
        )
    return count, count * (16 + len(tail) + (group.mid_length + 1 + two_byte if group.mid_length else 0))


def write_one(
    packet: RtpPacket, group: FanOutGroup, target: FanOutTarget, *, sequence_number: int, timestamp: int
) -> bytes | None:
    """One packet as `fan_out` would write it: the same bytes for the same segment, so a plain resend encrypts alike."""
    prepared = prepare(packet, group)
    if prepared is None:
        return None
    first, extension, two_byte, tail, _ = prepared
    first |= sequence_number
    if not extension:
        return pack_plain(first, timestamp, target.ssrc) + tail
    mid = target.mid_two_byte if two_byte else target.mid_one_byte
    return join((pack_extended(first, timestamp, target.ssrc, extension), mid, tail))
