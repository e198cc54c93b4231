"""A stream that was encoded before: VP8 frames cut as libwebrtc cuts them, with the moment of sending written into each packet.

Only what a forwarder looks at is real: payload descriptor with picture id, frame tag, size, header extensions. The rest of a
frame is random bytes, so the stream cannot be decoded. RFC 7741 (payload), RFC 6386 section 9.1 (frame tag).
"""

from __future__ import annotations

import os
import struct

PAYLOAD_TYPE = 96
RTX_PAYLOAD_TYPE = 97
CLOCK_RATE = 90000
WIDTH, HEIGHT = 1280, 720

MID_ID, TRANSPORT_CC_ID, ABS_SEND_TIME_ID = 1, 2, 3
EXTENSION_URIS = {
    MID_ID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    TRANSPORT_CC_ID: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    ABS_SEND_TIME_ID: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
}

HEADER = struct.Struct("!BBHIIHH")  # RTP header, then profile and length of the extension block
EXTENSION_BYTES = 12  # MID 2, transport-cc 3, abs-send-time 4, padding 3
DESCRIPTOR_BYTES = 4  # X and I bits, picture id of 15 bits
FRAME_TAG_BYTES = 10  # a keyframe's; other frames have any bytes there
STAMP = struct.Struct("!IQ")  # magic, nanoseconds since 1970
STAMP_OFFSET = DESCRIPTOR_BYTES + FRAME_TAG_BYTES  # in the payload
MAGIC = 0x71DE6A7E
SRTP_TAG_BYTES = 16  # AEAD_AES_128_GCM


def read_stamp(packet: bytes) -> int | None:
    """When a decrypted packet was sent, nanoseconds since 1970; None if somebody changed its payload."""
    offset = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
    if len(packet) < offset + STAMP_OFFSET + STAMP.size:
        return None
    magic, sent = STAMP.unpack_from(packet, offset + STAMP_OFFSET)
    return sent if magic == MAGIC else None


class VideoStream:
    """Writes one packet after the other into one buffer. `packet_bytes` counts SRTP's tag and not UDP's header."""

    def __init__(self, *, fps: float = 30.0, packets_per_frame: int = 8, packet_bytes: int = 1200) -> None:
        self.ssrc = int.from_bytes(os.urandom(4), "big") & 0x7FFFFFFF | 1
        self.rtx_ssrc = self.ssrc + 1
        self.fps = fps
        self.packets_per_frame = packets_per_frame
        self.packets = 0
        self.octets = 0
        self.keyframes = 0
        self.rtp_time = int.from_bytes(os.urandom(4), "big")
        self._sequence = int.from_bytes(os.urandom(2), "big") & 0x7FFF
        self._transport_sequence = 0
        self._picture_id = 0
        self._wants_keyframe = True
        self._is_keyframe = True
        self._frame_time_step = round(CLOCK_RATE / fps)
        size = packet_bytes - SRTP_TAG_BYTES
        self._payload_offset = HEADER.size + EXTENSION_BYTES
        self._buffer = bytearray(os.urandom(size))
        self._buffer[HEADER.size : HEADER.size + 2] = bytes((MID_ID << 4, ord("0")))
        self._buffer[HEADER.size + 2] = TRANSPORT_CC_ID << 4 | 1
        self._buffer[HEADER.size + 5] = ABS_SEND_TIME_ID << 4 | 2
        self._buffer[HEADER.size + 9 : self._payload_offset] = bytes(3)
        self._noise = os.urandom(FRAME_TAG_BYTES)

    def request_keyframe(self) -> None:
        """The next frame is one."""
        self._wants_keyframe = True

    def begin_frame(self) -> None:
        self._is_keyframe, self._wants_keyframe = self._wants_keyframe, False
        self.keyframes += self._is_keyframe
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        self.rtp_time = (self.rtp_time + self._frame_time_step) & 0xFFFFFFFF

    def packet(self, index: int, *, wall_ns: int) -> bytes:
        """Packet `index` of the frame."""
        last = index == self.packets_per_frame - 1
        buffer = self._buffer
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._transport_sequence = (self._transport_sequence + 1) & 0xFFFF
        marked = PAYLOAD_TYPE | (0x80 if last else 0)
        HEADER.pack_into(buffer, 0, 0x90, marked, self._sequence, self.rtp_time, self.ssrc, 0xBEDE, EXTENSION_BYTES // 4)
        struct.pack_into("!H", buffer, HEADER.size + 3, self._transport_sequence)
        seconds_6_18 = (wall_ns << 18) // 1_000_000_000 & 0xFFFFFF
        buffer[HEADER.size + 6 : HEADER.size + 9] = seconds_6_18.to_bytes(3, "big")
        at = self._payload_offset
        struct.pack_into("!BBH", buffer, at, 0x90 if index == 0 else 0x80, 0x80, 0x8000 | self._picture_id)
        at += DESCRIPTOR_BYTES
        if index == 0:
            buffer[at : at + FRAME_TAG_BYTES] = self._frame_tag()
        else:
            buffer[at : at + FRAME_TAG_BYTES] = self._noise
        STAMP.pack_into(buffer, at + FRAME_TAG_BYTES, MAGIC, wall_ns)
        self.packets += 1
        self.octets += len(buffer) - self._payload_offset
        return bytes(buffer)

    def _frame_tag(self) -> bytes:
        shown = 0x10
        size = (min(0x7FFFF, len(self._buffer) * self.packets_per_frame // 4) << 5) | shown
        if not self._is_keyframe:
            return (size | 1).to_bytes(3, "little") + self._noise[3:]
        return size.to_bytes(3, "little") + b"\x9d\x01\x2a" + struct.pack("<HH", WIDTH, HEIGHT)
