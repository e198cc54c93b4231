"""How datagrams, deadlines and events find their session; and what a hundred thousand hostile datagrams do: nothing."""

from __future__ import annotations

import random

import pytest

from media.drops import DropCounts, DropReason
from sfu.config import SfuConfig
from sfu.session import PeerSession, Role
from sfu.session_table import SessionTable
from sfu.switchboard import ConnectionChanged
from sfu.transport import TransportFailed
from tests.support.conference_pair import COARSE, CONTEXTS, Lab, Leg, call
from tests.support.rtp_tables import RTCP_TABLE, from_hex
from tests.support.webrtc_client import WebRtcClient

PATH = ("192.0.2.1", 1, "198.51.100.1")


@pytest.fixture
def table() -> SessionTable:
    return SessionTable(SfuConfig(), DropCounts(), {})


def make_session(role: Role = Role.PUBLISH, *, seed: int = 1) -> PeerSession:
    lab = Lab(seed=seed)
    return PeerSession(lab.conference.context, id=f"session {seed}", role=role, owner="PA_1", now=lab.now)


def test_a_session_is_found_by_its_ufrag_from_the_first_and_forgotten_whole(table):
    session = make_session()
    assert len(table) == 0 and not table.has_events
    table.add(session)
    assert table.demux.ufrags == {session.local_ufrag: session} and len(table) == 1 and table.has_events
    assert table.next_event(now=0.0) is None and not table.has_events
    assert table.get_timer() == 1015.0, "the handshake's deadline"
    table.forget(session)
    assert table.get_timer() is None and not table.demux.ufrags and len(table) == 0 and table.serving is None


def test_a_closed_session_is_not_added_again(table):
    session = make_session()
    session.close(now=0.0)
    table.add(session)
    assert len(table) == 0 and not table.demux.ufrags and not table.has_events


def test_only_touched_sessions_are_drained(table, monkeypatch):
    first, second = make_session(seed=1), make_session(seed=2)
    table.add(first)
    table.add(second)
    while table.next_event(now=0.0):
        pass
    drained = []
    monkeypatch.setattr(PeerSession, "next_event", lambda self, now: drained.append(self))
    table.add(second)
    assert table.next_event(now=0.0) is None
    assert drained == [second]


def test_a_deadline_gives_its_session_an_event(table):
    session = make_session()
    table.add(session)
    assert table.next_event(now=1000.0) is None
    table.handle_timer(now=1014.9)
    assert table.next_event(now=1014.9) is None
    table.handle_timer(now=1015.0)
    assert table.serving is session
    assert table.next_event(now=1015.0) == (session, TransportFailed("handshake timeout"))
    assert table.next_event(now=1015.0) is None


def test_an_empty_datagram_is_counted_whoever_it_is_from():
    lab = Lab()
    alice, _bob, _camera = call(lab)
    for path in (alice.publish_leg.path, PATH):
        lab.conference.receive_datagram(b"", path, now=lab.now)
    young = lab.join("carol")
    young.camera(ssrc=9)
    for data in young.publish_leg.send(lab.now):
        lab.conference.receive_datagram(data, young.publish_leg.path, now=lab.now)
    lab.conference.receive_datagram(b"", young.publish_leg.path, now=lab.now)
    assert lab.count(DropReason.UNKNOWN_KIND) == 3


def test_a_known_address_needs_no_more_than_one_look(table, monkeypatch):
    """Media does not pass `route`: it is the hot path."""
    lab = Lab()
    alice, _, _ = call(lab)
    monkeypatch.setattr(type(lab.conference.table.demux), "route", None)
    before = lab.conference.stats.packets_in
    (camera,) = alice.publish_leg.senders
    for data in camera.advance(camera._next_frame):
        (alice.publish_leg.client.send_rtcp if 192 <= data[1] < 224 else alice.publish_leg.client.send_rtp)(data)
    for data in alice.publish_leg.client.datagrams_to_send():
        lab.conference.receive_datagram(data, alice.publish_leg.path, now=lab.now)
    assert lab.conference.stats.packets_in > before


# Hostile datagrams


class Attacker:
    """Random datagrams, and mutations and replays of what it overheard, from strange and from spoofed addresses."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.random = random.Random(seed)
        self.heard: list[bytes] = [from_hex(text) for text, _ in RTCP_TABLE]
        self.client = WebRtcClient(CONTEXTS[0], random_bytes=self.random.randbytes)

    def listen(self, leg: Leg) -> None:
        send = leg.send

        def overheard(now: float) -> list[bytes]:
            datagrams = send(now)
            self.heard += datagrams
            del self.heard[: max(0, len(self.heard) - 2000)]
            return datagrams

        leg.send = overheard  # type: ignore[method-assign]

    def datagram(self) -> bytes:
        rng = self.random
        kind = rng.random()
        if kind < 0.25:
            first = rng.choice((0, 1, 3, 4, 20, 22, 23, 63, 64, 79, 100, 128, 144, 191, 192, 255))
            return bytes([first]) + rng.randbytes(rng.choice((0, 1, 3, 7, 11, 12, 19, 20, 40, 200, 1400)))
        data = bytearray(rng.choice(self.heard))
        if kind < 0.27:
            self.client.set_remote(rng.choice([*self.lab.conference.table.demux.ufrags, "nobody"]), "guessed")
            return self.client.binding_request()
        if kind < 0.32 and data[0] > 3:  # STUN knows no replay: one who hears it can move a path, as RFC 8445 has it
            return bytes(data)
        if kind < 0.40:
            return bytes(data[: rng.randrange(len(data))])
        for _ in range(rng.choice((1, 1, 1, 2, 5, 20))):
            data[rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 28))] ^= rng.randrange(1, 256)
        return bytes(data)

    def path(self) -> tuple[str, int, str]:
        rng = self.random
        if self.lab.legs and rng.random() < 0.6:
            return rng.choice(list(self.lab.legs))
        return (f"203.0.113.{rng.randrange(256)}", rng.randrange(1024, 65536), "198.51.100.1")

    def attack(self, count: int, *, each_step: int = 50) -> None:
        """`count` datagrams, while the others go on with what they do."""
        for number in range(count):
            self.lab.conference.receive_datagram(self.datagram(), self.path(), now=self.lab.now)
            if number % each_step == 0:
                self.lab.run(0.002)


def size_of(lab: Lab) -> dict[str, int]:
    """Everything that a peer could make grow, but for what it is entitled to."""
    c, demux = lab.conference, lab.conference.table.demux
    sizes = {
        "sessions": len(c.table),
        "ufrags": len(demux.ufrags),
        "ufrags_of": sum(map(len, demux._ufrags_of.values())),
        "handshakes": len(demux._handshakes) + len(demux._by_address),
        "touched": len(c.table._touched) + len(c._busy) + len(c._unsettled) + len(c._events),
        "timers": len(c.table._timers) + len(c._timers),
        "rooms": len(c.rooms) + len(c.peers) + len(c._producers),
    }
    for session in c.table.sessions.values():
        sizes[f"{session.id} ssrcs"] = len(session.endpoint._streams.by_ssrc)
    return sizes


def test_a_hundred_thousand_hostile_datagrams_before_the_handshake():
    lab = Lab()
    attacker = Attacker(lab, seed=1)
    alice, bob = lab.join("alice"), lab.join("bob")
    camera = alice.camera()
    attacker.listen(alice.publish_leg)
    attacker.heard += alice.publish_leg.send(lab.now)
    lab.pump()
    before = size_of(lab)
    for number in range(100_000):
        lab.conference.receive_datagram(attacker.datagram(), attacker.path(), now=lab.now)
        if number % 100 == 0:
            lab.pump()
    lab.pump()
    after = size_of(lab)
    assert after.pop("handshakes") <= 2 and before.pop("handshakes") == 0
    assert after == before
    assert len(lab.conference.table.demux.paths) <= 16
    lab.run_until(lambda: alice.publish_leg.client.connected, seconds=10.0)
    lab.connect()
    lab.run(0.5)
    lab.connect()
    lab.run(0.5)
    assert bob.receiver().indexes()[-1] >= camera.count - 2, "the call comes up nevertheless"


def test_a_hundred_thousand_hostile_datagrams_during_a_call():
    lab = Lab()
    attacker = Attacker(lab, seed=1)
    _alice, bob, camera = call(lab)
    for leg in lab.legs.values():
        attacker.listen(leg)
    lab.run(0.5)
    before = size_of(lab)
    attacker.attack(100_000)
    lab.run(0.5)
    assert size_of(lab) == before
    assert len(lab.conference.table.demux.paths) <= 2 * 16
    counts = lab.conference.drops.counts
    for reason in (
        DropReason.UNKNOWN_KIND,
        DropReason.UNKNOWN_PATH,
        DropReason.STUN_MALFORMED,
        DropReason.STUN_UNAUTHENTICATED,
        DropReason.SRTP_AUTH,
        DropReason.SRTP_REPLAY,
    ):
        assert counts[reason] > 100, reason
    assert [e for e in lab.told(ConnectionChanged) if not e.connected] == []
    missing = [index for index in range(bob.receiver().indexes()[0], camera.count - 2) if index not in set(bob.receiver().indexes())]
    assert missing == [], "no packet of the call was lost"
    lab.run(20.0, step=COARSE)
    assert size_of(lab) == before
