"""A `Transport` and a `WebRtcClient` face to face, without sockets, under a clock that the test moves."""

from __future__ import annotations

from media.drops import DropCounts, DropReason
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.transport import Transport, TransportEvent
from tests.support.webrtc_client import ClientContext, WebRtcClient

PATH = ("192.0.2.1", 50000, "198.51.100.1")
UFRAG, PWD = "srvu", "server-password-0123456789"
SERVER_CONTEXT = DtlsContext(Certificate.generate(wall=1_800_000_000.0))
CLIENT_CONTEXT = ClientContext()


class RecordingSink:
    def __init__(self) -> None:
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []

    def receive_rtp(self, data: bytes, *, now: float) -> None:
        self.rtp.append(data)

    def receive_rtcp(self, data: bytes, *, now: float) -> None:
        self.rtcp.append(data)


class TransportPair:
    """`exchange()` carries datagrams both ways until neither has any; what changed is in `events`, `sink`, `client`."""

    def __init__(
        self,
        *,
        client_context: ClientContext = CLIENT_CONTEXT,
        config: SfuConfig | None = None,
        describe: bool = True,
        nominate: bool = True,
    ) -> None:
        self.now = 1000.0
        self.drops = DropCounts()
        self.dirty: list[Transport] = []
        self.sink = RecordingSink()
        self.events: list[TransportEvent] = []
        self.server_sent: list[bytes] = []
        self.path = PATH
        self.server = Transport(
            config or SfuConfig(),
            SERVER_CONTEXT,
            local_ufrag=UFRAG,
            local_pwd=PWD,
            sink=self.sink,
            drops=self.drops,
            dirty=self.dirty,
            now=self.now,
        )
        self.client = WebRtcClient(client_context, nominate=nominate)
        self.client.set_remote(UFRAG, PWD, SERVER_CONTEXT.certificate.fingerprint_sha256)
        if describe:
            self.describe()

    def describe(self, *fingerprints: tuple[str, str]) -> None:
        """Tells the server about the client; its true sha-256 unless told otherwise."""
        named = fingerprints or (self.client.context.fingerprint(),)
        self.server.set_remote(self.client.ufrag, self.client.pwd, named)

    def to_server(self, data: bytes, path: tuple[str, int, str] | None = None) -> None:
        self.server.receive_datagram(data, path or self.path, now=self.now)

    def from_server(self) -> list[bytes]:
        """One flush of the shell."""
        out: list[bytes] = []
        for transport in self.dirty:
            out += [data for data, _ in transport.control_to_send()]
            out += transport.take_outgoing()
        self.dirty.clear()
        self.server_sent += out
        while (event := self.server.next_event()) is not None:
            self.events.append(event)
        return out

    def exchange(self) -> None:
        for _ in range(50):
            up = self.client.datagrams_to_send()
            for data in up:
                self.to_server(data)
            down = self.from_server()
            for data in down:
                self.client.receive_datagram(data, now=self.now)
            if not up and not down:
                return
        raise AssertionError("the two talk without end")

    def connect(self) -> None:
        self.client.handle_timer(now=self.now)
        self.exchange()

    def count(self, reason: DropReason) -> int:
        return self.drops.counts[reason]


def rtp(sequence_number: int = 1, *, ssrc: int = 0x1234, payload: bytes = b"payload") -> bytes:
    header = bytes((0x80, 96)) + sequence_number.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big")
    return header + payload


def rtcp(*, ssrc: int = 0x1234) -> bytes:
    """An empty receiver report."""
    return bytes((0x80, 201, 0, 1)) + ssrc.to_bytes(4, "big")


def fragmented(client_hello: bytes, pieces: int) -> list[bytes]:
    """A ClientHello of one record as `pieces` datagrams, as Chromium's long one comes. RFC 6347 section 4.2.3.

    Record numbers start at 40: those after 0 are what the client says next, and a replay would be dropped.
    """
    body = client_hello[25:]
    size = -(-len(body) // pieces)
    datagrams = []
    for index, start in enumerate(range(0, len(body), size)):
        part = body[start : start + size]
        handshake = client_hello[13:19] + start.to_bytes(3, "big") + len(part).to_bytes(3, "big") + part
        datagrams.append(
            client_hello[:5] + (40 + index).to_bytes(6, "big") + len(handshake).to_bytes(2, "big") + handshake
        )
    return datagrams
