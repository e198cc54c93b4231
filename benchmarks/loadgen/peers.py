"""The publisher and the receivers: a socket, a `WebRtcClient` behind it, and as little work for each packet as can be."""

from __future__ import annotations

import socket
import struct
import time

from benchmarks.loadgen import batch
from benchmarks.loadgen.offer import Answer
from benchmarks.loadgen.stream import PAYLOAD_TYPE, SRTP_TAG_BYTES, VideoStream, read_stamp
from tests.support.webrtc_client import ClientContext, WebRtcClient

SOCKET_BUFFER = 4 << 20  # bytes; what waits while the other peers are read
REPORT_INTERVAL = 1.0
NTP_EPOCH = 2_208_988_800  # RFC 5905: seconds from 1900 to 1970
HEADER = struct.Struct("!BBHII")
RTCP_SR, RTCP_RR, RTCP_PSFB = 200, 201, 206
PLI, FIR = 1, 4  # RFC 4585 section 6.3, RFC 5104 section 4.3.1


class Peer:
    """One connected UDP socket with a client behind it."""

    def __init__(self, context: ClientContext) -> None:
        self.client = WebRtcClient(context, on_rtp=lambda data: None)
        self.resource = ""
        self._next_report = 0.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        batch.prepare(self._socket)

    def fileno(self) -> int:
        return self._socket.fileno()

    def start(self, answer: Answer) -> None:
        self.resource = answer.resource
        self._socket.connect(answer.address)
        self.client.set_remote(answer.ufrag, answer.pwd, answer.fingerprint)

    def handle_timer(self, now: float) -> None:
        """Consent, DTLS, and once a second a report."""
        self.client.handle_timer(now=now)
        if self.client.connected and now >= self._next_report:
            self._next_report = now + REPORT_INTERVAL
            self.send_report()
        self.flush()

    def send_report(self) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        for data in self.client.datagrams_to_send():
            try:
                self._socket.send(data)
            except (BlockingIOError, ConnectionRefusedError):
                pass  # as lost as on any network; what matters is sent again

    def close(self) -> None:
        self.client.close()
        self.flush()
        self._socket.close()


class Publisher(Peer):
    """Sends one `VideoStream`; its keyframes come at the start and when they are asked for."""

    def __init__(self, context: ClientContext, stream: VideoStream) -> None:
        super().__init__(context)
        self.stream = stream

    def send(self, index: int, wall_ns: int) -> None:
        self.client.send_rtp(self.stream.packet(index, wall_ns=wall_ns))
        self.flush()

    def read(self, now: float) -> None:
        client = self.client
        while (count := batch.receive(self.fileno())) > 0:
            for slot in range(count):
                client.receive_datagram(batch.datagram(slot), now=now)
        for packet in client.received_rtcp:
            if asks_keyframe(packet):
                self.stream.request_keyframe()
        client.received_rtcp.clear()
        self.flush()

    def send_report(self) -> None:
        stream, wall_ns = self.stream, time.time_ns()
        ntp = ((wall_ns // 1_000_000_000 + NTP_EPOCH) << 32) + ((wall_ns % 1_000_000_000) << 32) // 1_000_000_000
        counts = stream.packets & 0xFFFFFFFF, stream.octets & 0xFFFFFFFF
        self.client.send_rtcp(struct.pack("!BBHIQIII", 0x80, RTCP_SR, 6, stream.ssrc, ntp, stream.rtp_time, *counts))


class Receiver(Peer):
    """Reads every header, unprotects one packet in `sample_every` and keeps its latency."""

    def __init__(self, context: ClientContext, *, sample_every: int, index: int) -> None:
        super().__init__(context)
        self.packets = 0
        self.packet_bytes = 0  # of the last one unprotected, with SRTP's tag
        self.other = 0  # of another payload type: retransmissions, probes
        self.altered = 0  # whose stamp could not be read
        self.latencies_ns: list[int] = []
        self._every = sample_every
        self._until_sample = 1 + index * 7 % sample_every  # not all receivers the same packet
        self._ssrc = 0
        self._first = self._highest = -1

    @property
    def lost(self) -> int:
        return 0 if self._highest < 0 else self._highest - self._first + 1 - self.packets

    def reset(self) -> None:
        """Count anew from the next packet on."""
        self.packets = self.other = self.altered = 0
        self.latencies_ns = []
        self._first = self._highest = -1

    def read(self, now: float) -> None:
        unpack, data, slot_bytes, payload_type = HEADER.unpack_from, batch.data, batch.SLOT_BYTES, PAYLOAD_TYPE
        fileno = self.fileno()
        while (count := batch.receive(fileno)) > 0:
            for slot in range(count):
                first, second, sequence, _timestamp, ssrc = unpack(data, slot * slot_bytes)
                if not 127 < first < 192 or 191 < second < 224:
                    self._handle_control(slot, now)
                    continue
                if second & 0x7F != payload_type:
                    self.other += 1
                    continue
                highest = self._highest
                if highest < 0:
                    self._ssrc, self._first, self._highest = ssrc, sequence, sequence
                else:
                    step = (sequence - highest) & 0xFFFF
                    if step < 0x8000:
                        self._highest = highest + step
                self.packets += 1
                self._until_sample -= 1
                if not self._until_sample:
                    self._until_sample = self._every
                    self._sample(slot)
            if count < batch.SLOTS:
                return

    def _handle_control(self, slot: int, now: float) -> None:
        packet = batch.datagram(slot)
        if packet[0] > 127:
            return  # the server's reports are not answered to
        self.client.receive_datagram(packet, now=now)
        self.flush()

    def _sample(self, slot: int) -> None:
        packet = self.client.unprotect_rtp(batch.datagram(slot))
        sent = read_stamp(packet)
        self.packet_bytes = len(packet) + SRTP_TAG_BYTES
        if sent is None:
            self.altered += 1
        else:
            self.latencies_ns.append(batch.arrival_ns(slot) - sent)

    def send_report(self) -> None:
        if self._ssrc:
            highest = self._highest & 0xFFFFFFFF
            self.client.send_rtcp(struct.pack("!BBHIIIIIII", 0x81, RTCP_RR, 7, 1, self._ssrc, 0, highest, 0, 0, 0))
        else:
            self.client.send_rtcp(struct.pack("!BBHI", 0x80, RTCP_RR, 1, 1))


def asks_keyframe(packet: bytes) -> bool:
    """Whether a compound RTCP packet holds PLI or FIR."""
    while len(packet) >= 4:
        if packet[1] == RTCP_PSFB and packet[0] & 0x1F in (PLI, FIR):
            return True
        packet = packet[4 + 4 * int.from_bytes(packet[2:4], "big") :]
    return False
