"""A Conference and its clients without sockets: browser-like ones with two connections, WHIP- and WHEP-like ones with one.

Everything is real but the network and the clock: SDP text, ICE, DTLS, SRTP. A `Lab` moves the clock; a `Leg` is one peer
connection, over perfect wires until `impair` puts seeded networks in their place. OpenSSL keeps its own clock, so lose nothing
before `connect()` has returned.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from media.clock import WallClock
from media.drops import DropReason
from sfu.conference import Conference, ConferenceEvent
from sfu.config import SfuConfig
from sfu.dtls import Certificate, DtlsContext
from sfu.meeting.participant import JoinRequest, Mode, Participant
from sfu.meeting.permissions import Grants, Source
from sfu.peer import SubscribeOffer
from tests.support.client_sdp import AUDIO_LEVEL_LINE, OPUS_LINES, Line, sections, value_of, write_answer, write_offer
from tests.support.network import Network, Path
from tests.support.rtp_peers import Publisher, Receiver, rtp
from tests.support.webrtc_client import ClientContext, WebRtcClient

SERVER_CONTEXT = DtlsContext(Certificate.generate(wall=1_800_000_000.0))
CONTEXTS = (ClientContext(), ClientContext())  # two certificates
CANDIDATE = "candidate:1 1 udp 2130706431 198.51.100.1 7882 typ host"
STEP, COARSE = 0.001, 0.02


class VideoSender(Publisher):
    """A VP8 stream whose RTP time begins at `start` seconds of the media clock."""

    def __init__(self, lab: Lab, *, seed: int = 1, first: int = 0, ssrc: int = 1000, start: float = 0.0) -> None:
        super().__init__(seed=seed, first=first, ssrc=ssrc)
        self._offset = start - lab.now
        self._next_frame = start
        self._next_sr = start + 0.5
        self.running = True

    def packets(self, now: float) -> list[bytes]:
        if self.running:
            return self.advance(now + self._offset)
        out, self._out = self._out, []  # what was asked for again
        return out


class AudioSender:
    """Opus in 20 ms packets; each carries its count, and its audio level if there is one."""

    def __init__(self, lab: Lab, *, ssrc: int = 2000, first: int = 0, level: int | None = None) -> None:
        self.ssrc, self.count, self.running, self.level = ssrc, 0, True, level
        self._first, self._next = first, lab.now

    def receive(self, data: bytes) -> None:
        """Feedback says nothing to a microphone."""

    def packets(self, now: float) -> list[bytes]:
        if not self.running or now < self._next:
            return []
        self._next += 0.02
        self.count += 1
        number = self._first + self.count - 1
        payload = b"\xfc" + number.to_bytes(4, "big")
        elements = ((1, bytes([0x80 | self.level])),) if self.level is not None else ()
        return [rtp(number, payload, ssrc=self.ssrc, payload_type=111, timestamp=number * 960, elements=elements)]


class StreamReceiver(Receiver):
    """A receiver whose RTX SSRC is what the description says."""

    def __init__(self, ssrc: int, rtx_ssrc: int | None, **more: object) -> None:
        super().__init__(ssrc, **more)  # type: ignore[arg-type]
        self.rtx_ssrc = rtx_ssrc
        self.resent = 0

    def receive(self, data: bytes, now: float) -> None:
        if int.from_bytes(data[8:12], "big") == self.rtx_ssrc:
            self.resent += 1
            data = data[:8] + (self.ssrc + 1).to_bytes(4, "big") + data[12:]
        super().receive(data, now)


class Leg:
    """One peer connection: the client, its address, the wires, what it sends and receives."""

    def __init__(self, lab: Lab, context: ClientContext) -> None:
        self.lab = lab
        self.client = WebRtcClient(context, random_bytes=lab.random.randbytes)
        self.path = ("192.0.2.1", lab.new_port(), "198.51.100.1")
        self.up: Network | None = None
        self.down: Network | None = None
        self.senders: list[VideoSender | AudioSender] = []
        self.receivers: dict[int, StreamReceiver] = {}  # by either SSRC
        self.heard: list[bytes] = []  # RTCP
        self.alive = True
        lab.legs[self.path] = self

    def set_remote(self, sdp: str) -> None:
        section = next(part for part in sections(sdp)[1:] if value_of(part, "ice-ufrag"))
        fingerprint = value_of(section, "fingerprint").partition(" ")[2]
        self.client.set_remote(value_of(section, "ice-ufrag"), value_of(section, "ice-pwd"), fingerprint)

    def new_credentials(self) -> None:
        """What an offer or answer that restarts ICE carries."""
        self.client.ufrag = self.lab.random.randbytes(4).hex()
        self.client.pwd = self.lab.random.randbytes(12).hex()

    def impair(self, path: Path, *, seed: int) -> None:
        self.up, self.down = Network(path, seed=seed), Network(path, seed=seed + 1)

    def die(self) -> None:
        """The tab crashes: nothing more is sent or heard."""
        self.alive = False
        del self.lab.legs[self.path]

    def send(self, now: float) -> list[bytes]:
        """What reaches the server now."""
        client = self.client
        client.handle_timer(now=now)
        if client.connected:
            for sender in self.senders:
                for data in sender.packets(now):
                    (client.send_rtcp if 192 <= data[1] < 224 else client.send_rtp)(data)
            for receiver in dict.fromkeys(self.receivers.values()):
                for data in receiver.advance(now):
                    client.send_rtcp(data)
        out = client.datagrams_to_send()
        if self.up is None:
            return out
        for data in out:
            self.up.push(data, now)
        return self.up.pop_due(now)

    def deliver(self, datagrams: list[bytes], now: float) -> None:
        """What the server sends, and what of it arrives now."""
        if self.down is not None:
            for data in datagrams:
                self.down.push(data, now)
            datagrams = self.down.pop_due(now)
        client = self.client
        for data in datagrams:
            self._receive(data, now)
        for data in client.received_rtp:
            receiver = self.receivers.get(int.from_bytes(data[8:12], "big"))
            if receiver is None:
                raise AssertionError("a packet of an SSRC that was not offered")
            receiver.receive(data, now)
        for data in client.received_rtcp:
            for sender in self.senders:
                sender.receive(data)
        self.heard += client.received_rtcp
        client.received_rtp, client.received_rtcp = [], []

    def _receive(self, data: bytes, now: float) -> None:
        if not (self.down is not None and self.down.path.duplicate and 127 < data[0] < 192):
            self.client.receive_datagram(data, now=now)
            return
        try:
            self.client.receive_datagram(data, now=now)
        except Exception as error:  # pylibsrtp tells a replay by its own error: the network made it
            if "replay" not in str(error):
                raise


@dataclass
class Lab:
    """Moves the clock, carries datagrams, lets clients answer offers. `events` is all that the Conference told."""

    config: SfuConfig = field(default_factory=SfuConfig)
    seed: int = 1

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.now = 1000.0
        self.legs: dict[tuple[str, int, str], Leg] = {}
        self.browsers: dict[str, Browser] = {}  # by inner_id
        self.events: list[ConferenceEvent] = []
        self._port = 50000
        self._next_tick = self.now
        self.conference = Conference(
            self.config,
            SERVER_CONTEXT,
            random_bytes=self.random.randbytes,
            wall_clock=WallClock(wall=1_800_000_000.0, now=self.now),
            candidates=(CANDIDATE,),
        )

    def new_port(self) -> int:
        self._port += 1
        return self._port

    def count(self, reason: DropReason) -> int:
        return self.conference.drops.counts[reason]

    def told(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def pump(self) -> None:
        """One turn of the shell: events, then the flush."""
        while (event := self.conference.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, SubscribeOffer) and (browser := self.browsers.get(event.inner_id)) is not None:
                browser.receive_offer(event)
        sent: dict[tuple, list[bytes]] = {}
        for transport in self.conference.dirty:
            for data, path in transport.control_to_send():
                sent.setdefault(path, []).append(data)
            packets = transport.take_outgoing()
            if packets:
                sent.setdefault(transport.selected, []).extend(packets)
        self.conference.dirty.clear()
        for leg in list(self.legs.values()):
            leg.deliver(sent.get(leg.path, []), self.now)

    def run(self, seconds: float, *, step: float = STEP) -> None:
        end = self.now + seconds
        while self.now < end - step / 2:
            self.now += step
            for leg in list(self.legs.values()):
                for data in leg.send(self.now):
                    self.conference.receive_datagram(data, leg.path, now=self.now)
            if self.now >= self._next_tick:
                self._next_tick = self.now + COARSE
                self.conference.handle_timer(now=self.now)
            self.pump()

    def run_until(self, condition: Callable[[], bool], *, seconds: float = 5.0, step: float = STEP) -> None:
        end = self.now + seconds
        while not condition():
            if self.now > end:
                raise AssertionError(f"not within {seconds} s")
            self.run(step, step=step)

    def connect(self) -> None:
        """Until every connection is up."""
        self.pump()
        self.run_until(lambda: all(leg.client.connected for leg in self.legs.values()))
        self.run(0.01)

    def join(self, name: str, *, room: str = "room", grants: Grants | None = None, **more: object) -> Browser:
        request = JoinRequest(room, name, grants=grants or Grants.full(), **more)  # type: ignore[arg-type]
        browser = Browser(self, self.conference.join(request, now=self.now))
        self.browsers[browser.participant.inner_id] = browser
        return browser

    def whip(self, name: str, *, room: str = "room") -> Browser:
        """Somebody without signalling: it publishes, or `play`s."""
        browser = self.join(name, room=room, auto_subscribe=False, mode=Mode.SEND_AND_RECV)
        self.conference.peers[browser.participant.inner_id].has_signalling = False
        return browser


class Browser:
    """A participant with a publish connection that offers and a subscribe connection that answers."""

    def __init__(self, lab: Lab, participant: Participant) -> None:
        self.lab, self.participant = lab, participant
        self.conference = lab.conference
        self.publish_leg: Leg | None = None
        self.subscribe_leg: Leg | None = None
        self.play_leg: Leg | None = None
        self.media: list[Line] = []
        self.tracks: dict[str, str] = {}  # mid -> track_id
        self.offers: list[SubscribeOffer] = []
        self.answers = True
        """Whether it answers offers by itself."""
        self.refuse: set[str] = set()
        """Tracks that it cannot decode."""
        self._connection_id = ""

    # Publishing

    def announce(self, source: Source, **more: object) -> str:
        return self.conference.announce(self.participant, source=source, now=self.lab.now, **more).track_id  # type: ignore[arg-type]

    def offer(self, *, context: ClientContext | None = None) -> str:
        if self.publish_leg is None or context is not None:
            self.publish_leg = Leg(self.lab, context or CONTEXTS[0])
        return write_offer(self.publish_leg.client, *self.media)

    def publish(self, *lines: Line, sources: tuple[Source, ...] = (), context: ClientContext | None = None) -> str:
        """Adds m-lines, announces what they carry, and offers everything. Returns the answer."""
        bindings = []
        for line, source in zip(lines, sources, strict=True):
            self.media.append(line)
            mid = line.mid or str(len(self.media) - 1)
            self.tracks[mid] = self.announce(source)
            bindings.append((mid, self.tracks[mid]))
        return self.negotiate(bindings, context=context)

    def negotiate(self, bindings: list[tuple[str, str]] | None = None, *, context: ClientContext | None = None) -> str:
        before = self.publish_leg
        sdp = self.offer(context=context)
        answer = self.conference.publish(self.participant, sdp, bindings or [], now=self.lab.now)
        assert self.publish_leg is not None
        if before is not None and before is not self.publish_leg and before.alive:
            before.die()
        self.publish_leg.set_remote(answer)
        return answer

    def camera(self, **more: object) -> VideoSender:
        """Publishes VP8 and begins to send it."""
        sender = VideoSender(self.lab, **more)  # type: ignore[arg-type]
        self.publish(Line("video", ssrc=sender.ssrc), sources=(Source.WEBCAM,))
        assert self.publish_leg is not None
        self.publish_leg.senders.append(sender)
        return sender

    def microphone(self, **more: object) -> AudioSender:
        sender = AudioSender(self.lab, **more)  # type: ignore[arg-type]
        codec = (*OPUS_LINES, AUDIO_LEVEL_LINE) if sender.level is not None else None
        self.publish(Line("audio", ssrc=sender.ssrc, codec=codec), sources=(Source.MIC,))
        assert self.publish_leg is not None
        self.publish_leg.senders.append(sender)
        return sender

    # Subscribing

    def receive_offer(self, offer: SubscribeOffer) -> None:
        self.offers.append(offer)
        if self.answers:
            self.answer(offer)

    def answer(self, offer: SubscribeOffer, **more: object) -> bool:
        if self.subscribe_leg is None or offer.connection_id != self._connection_id:
            if self.subscribe_leg is not None and self.subscribe_leg.alive:
                self.subscribe_leg.die()
            self.subscribe_leg = Leg(self.lab, CONTEXTS[1])
            self._connection_id = offer.connection_id
        leg = self.subscribe_leg
        ufrag = value_of(next(part for part in sections(offer.sdp)[1:] if value_of(part, "ice-ufrag")), "ice-ufrag")
        if leg.client.remote_ufrag not in ("", ufrag):
            leg.new_credentials()
        for section in sections(offer.sdp)[1:]:
            self._expect(leg, section)
        refused = {t.mid for t in offer.tracks if t.track.track_id in self.refuse}
        sdp = write_answer(leg.client, offer.sdp, refuse=refused)
        taken = self.conference.subscribe_answer(self.participant, sdp, offer.serial, now=self.lab.now, **more)  # type: ignore[arg-type]
        if len(refused) < len(sections(offer.sdp)) - 1:
            leg.set_remote(offer.sdp)
        return taken

    @staticmethod
    def _expect(leg: Leg, section: list[str]) -> None:
        group = value_of(section, "ssrc-group").split()
        ssrcs = [int(word) for word in group[1:]] or [int(value_of(section, "ssrc").split()[0] or 0)] if value_of(section, "ssrc") else []
        if ssrcs and ssrcs[0] not in leg.receivers:
            receiver = StreamReceiver(ssrcs[0], ssrcs[1] if len(ssrcs) > 1 else None, nacks=len(ssrcs) > 1)
            leg.receivers.update(dict.fromkeys(ssrcs, receiver))

    def play(self, *kinds: str, of: str | None = None) -> str:
        """WHEP: offers to receive."""
        leg = self.play_leg = Leg(self.lab, CONTEXTS[1])
        sdp = write_offer(leg.client, *(Line(kind, "recvonly") for kind in kinds or ("audio", "video")))
        answer = self.conference.play(self.participant, sdp, remote_participant_id=of, now=self.lab.now)
        leg.set_remote(answer)
        for section in sections(answer)[1:]:
            self._expect(leg, section)
        return answer

    def receiver(self, index: int = 0) -> StreamReceiver:
        """What arrives on the subscribe (or play) connection, in the order of offering."""
        leg = self.subscribe_leg or self.play_leg
        assert leg is not None
        return list(dict.fromkeys(leg.receivers.values()))[index]

    def die(self) -> None:
        for leg in (self.publish_leg, self.subscribe_leg, self.play_leg):
            if leg is not None and leg.alive:
                leg.die()


def call(lab: Lab, **sender: object) -> tuple[Browser, Browser, VideoSender]:
    """Alice's camera reaches bob."""
    alice, bob = lab.join("alice"), lab.join("bob")
    camera = alice.camera(**sender)
    lab.connect()
    lab.run_until(lambda: bob.subscribe_leg is not None and bob.subscribe_leg.client.connected)
    lab.run_until(lambda: bool(bob.receiver().got))
    return alice, bob, camera


def assert_empty(lab: Lab) -> None:
    """Nothing is left of anybody."""
    c = lab.conference
    assert (c.rooms, c.peers, c._producers, c.table.sessions) == ({}, {}, {}, {})
    demux = c.table.demux
    tables = (demux.paths, demux.ufrags, demux._paths_of, demux._ufrags_of, demux._handshakes, demux._by_address)
    assert not any(tables)
    assert not any((c.table._touched, c._busy, c._unsettled, c.dirty))
    assert len(c.table._timers) == len(c._timers) == 0 and c.get_timer() is None
    assert (c.participants, c.tracks) == (0, 0)
