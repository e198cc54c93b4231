from __future__ import annotations

import gc
import random
import weakref

import pytest

from media.drops import DropReason
from sfu.config import SfuConfig
from sfu.transport import MAX_CONTROL, TransportClosed, TransportConnected, TransportFailed, TransportState
from tests.support.transport_pair import PATH, SERVER_CONTEXT, RecordingSink, TransportPair, fragmented, rtcp, rtp
from tests.support.webrtc_client import ClientContext

MOBILE = ("2001:db8::9", 40000, "2001:db8::1")


@pytest.fixture
def pair() -> TransportPair:
    return TransportPair()


@pytest.fixture
def connected() -> TransportPair:
    pair = TransportPair()
    pair.connect()
    assert pair.events == [TransportConnected()]
    return pair


# Connecting


@pytest.mark.parametrize("profile", ["SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_256_GCM"])
def test_connects_and_carries_packets_both_ways(profile: str):
    pair = TransportPair(client_context=ClientContext((profile,)))
    pair.connect()
    assert pair.events == [TransportConnected()]
    assert pair.client.profile == profile
    pair.client.send_rtp(rtp(1))
    pair.client.send_rtcp(rtcp())
    pair.server.send_rtp(rtp(2))
    pair.server.send_rtcp(rtcp(ssrc=7))
    pair.exchange()
    assert (pair.sink.rtp, pair.sink.rtcp) == ([rtp(1)], [rtcp()])
    assert (pair.client.received_rtp, pair.client.received_rtcp) == ([rtp(2)], [rtcp(ssrc=7)])
    assert not any(pair.drops.counts.values())
    assert max(len(data) for data in pair.server_sent) <= 1200


def test_answers_go_where_the_request_came_from(pair: TransportPair):
    pair.to_server(pair.client.binding_request(), PATH)
    pair.to_server(pair.client.binding_request(), MOBILE)
    assert [path for _, path in pair.server.control_to_send()] == [PATH, MOBILE]


def test_a_client_hello_in_two_datagrams(pair: TransportPair):
    pair.client.handle_timer(now=pair.now)
    pair.to_server(pair.client.datagrams_to_send()[0])
    (answer,) = pair.from_server()
    pair.client.receive_datagram(answer, now=pair.now)
    (client_hello,) = pair.client.datagrams_to_send()
    for data in fragmented(client_hello, 2):
        pair.to_server(data)
    for data in pair.from_server():
        pair.client.receive_datagram(data, now=pair.now)
    pair.exchange()
    assert pair.events == [TransportConnected()]


def test_the_description_may_come_after_the_handshake():
    pair = TransportPair(describe=False)
    pair.connect()
    assert pair.client.connected
    pair.client.send_rtp(rtp())
    pair.exchange()
    assert pair.events == [] and pair.sink.rtp == []
    assert pair.count(DropReason.SRTP_BEFORE_DTLS) == 1
    pair.describe()
    pair.from_server()
    assert pair.events == [TransportConnected()]
    pair.client.send_rtp(rtp(2))
    pair.exchange()
    assert pair.sink.rtp == [rtp(2)]


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_fingerprints_of_each_strong_hash_are_taken(algorithm: str):
    pair = TransportPair(describe=False)
    pair.describe(pair.client.context.fingerprint(algorithm))
    pair.connect()
    assert pair.events == [TransportConnected()]


@pytest.mark.parametrize(
    "named", [("sha-256", "AA:BB"), ("sha-256", ClientContext().fingerprint()[1]), ("sha-1", "AA:BB")]
)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_certificate_that_was_not_named_fails(named: tuple[str, str], first: bool):
    pair = TransportPair(describe=False)
    if first:
        pair.describe(named)
    pair.connect()
    if not first:
        pair.describe(named)
        pair.exchange()
    assert pair.events == [TransportFailed("fingerprint mismatch")]
    assert pair.client.closed
    pair.client.send_rtp(rtp())
    pair.exchange()
    assert pair.sink.rtp == []


def test_a_new_fingerprint_for_a_running_association_fails(connected: TransportPair):
    connected.describe()
    connected.from_server()
    assert connected.events == [TransportConnected()]
    connected.describe(ClientContext().fingerprint())
    connected.from_server()
    assert connected.events[1:] == [TransportFailed("fingerprint mismatch")]


def test_no_srtp_profile_in_common_fails():
    pair = TransportPair(client_context=ClientContext(()), describe=False)
    pair.describe()
    pair.connect()
    assert pair.events == [TransportFailed("no SRTP profile in common")]


def test_no_certificate_fails():
    pair = TransportPair(client_context=ClientContext(with_certificate=False))
    pair.connect()
    (event,) = pair.events
    assert isinstance(event, TransportFailed) and event.reason.startswith("DTLS: ") and "certificate" in event.reason


def test_dtls_from_a_path_without_ice_is_dropped(pair: TransportPair):
    pair.client._start_dtls()
    (client_hello,) = pair.client.datagrams_to_send()
    pair.to_server(client_hello)
    assert pair.from_server() == []
    assert pair.count(DropReason.DTLS_BEFORE_ICE) == 1
    pair.to_server(pair.client.binding_request())
    pair.to_server(client_hello, MOBILE)
    assert pair.count(DropReason.DTLS_BEFORE_ICE) == 2


def test_only_a_handshake_makes_an_association(pair: TransportPair):
    pair.to_server(pair.client.binding_request())
    pair.to_server(b"\x17\xfe\xfd" + bytes(8) + b"\x00\x02ab")
    pair.to_server(b"\x16\xfe\xfd\x00")
    assert pair.count(DropReason.DTLS_MALFORMED) == 2
    assert pair.server._association is None


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", DropReason.UNKNOWN_KIND),
        (b"\x10abc", DropReason.UNKNOWN_KIND),
        (b"\x40abc", DropReason.UNKNOWN_KIND),
        (b"\xc0abc", DropReason.UNKNOWN_KIND),
        (b"\x00abc", DropReason.STUN_MALFORMED),
        (b"\x80", DropReason.RTP_MALFORMED),
        (b"\x80\x60abc", DropReason.RTP_MALFORMED),
        (b"\x80\xc8abc", DropReason.RTCP_MALFORMED),
        (b"\x80\x60" + bytes(40), DropReason.SRTP_AUTH),
        (b"\x80\xc8" + bytes(40), DropReason.SRTP_AUTH),
    ],
)
def test_garbage_is_counted_by_kind(connected: TransportPair, data: bytes, reason: DropReason):
    connected.to_server(data)
    assert {r: n for r, n in connected.drops.counts.items() if n} == {reason: 1}


# Packets


def test_packets_before_the_keys_are_counted(pair: TransportPair):
    pair.to_server(rtp())
    pair.server.send_rtp(rtp())
    pair.server.send_rtcp(rtcp())
    assert pair.count(DropReason.SRTP_BEFORE_DTLS) == 3
    assert pair.dirty == []


def test_a_transport_is_listed_as_dirty_once_for_each_flush(connected: TransportPair):
    for n in range(3):
        connected.server.send_rtp(rtp(n))
    connected.server.send_rtcp(rtcp())
    assert connected.dirty == [connected.server]
    assert len(connected.from_server()) == 4
    assert not connected.server.is_dirty
    connected.server.send_rtp(rtp(9))
    assert connected.dirty == [connected.server]


def test_the_send_queue_is_bounded():
    pair = TransportPair(config=SfuConfig(send_queue_packets=3))
    pair.connect()
    for n in range(4):
        pair.server.send_rtp(rtp(n))
    pair.server.send_rtcp(rtcp())
    assert len(pair.server.outgoing) == 3
    assert pair.count(DropReason.SEND_QUEUE_FULL) == 2


def test_answers_waiting_are_bounded(pair: TransportPair):
    for _ in range(MAX_CONTROL + 5):
        pair.to_server(pair.client.binding_request())
    assert len(pair.server.control_to_send()) == MAX_CONTROL
    assert pair.count(DropReason.SEND_QUEUE_FULL) == 5


def test_replayed_and_forged_packets_are_counted(connected: TransportPair):
    connected.client.send_rtp(rtp())
    (data,) = connected.client.datagrams_to_send()
    connected.to_server(data[:-1] + bytes((data[-1] ^ 1,)))
    connected.to_server(data)
    connected.to_server(data)
    assert connected.sink.rtp == [rtp()]
    assert (connected.count(DropReason.SRTP_REPLAY), connected.count(DropReason.SRTP_AUTH)) == (1, 1)


def test_learned_ssrcs_are_bounded():
    pair = TransportPair(config=SfuConfig(max_ssrcs=4))
    pair.connect()
    for ssrc in range(10):
        pair.client.send_rtp(rtp(ssrc=ssrc + 1))
    pair.exchange()
    assert len(pair.sink.rtp) == 4
    assert pair.count(DropReason.RTP_SSRC_LIMIT) == 6


def test_application_data_is_counted(connected: TransportPair):
    connected.client.send_application_data(b"sctp")
    connected.exchange()
    assert connected.count(DropReason.DTLS_APPLICATION_DATA) == 1
    assert connected.server.state is TransportState.CONNECTED


def test_without_a_sink_packets_are_counted(connected: TransportPair):
    connected.server.sink = None
    connected.client.send_rtp(rtp())
    connected.exchange()
    assert connected.count(DropReason.SESSION_CLOSED) == 1


# Time


def test_a_handshake_that_does_not_end_fails(pair: TransportPair):
    pair.client.handle_timer(now=pair.now)
    pair.to_server(pair.client.datagrams_to_send()[0])
    deadline = 1000.0 + SfuConfig().handshake_timeout
    assert pair.server.get_timer() == deadline
    pair.server.handle_timer(now=deadline - 0.001)
    assert pair.server.next_event() is None
    pair.server.handle_timer(now=deadline)
    assert pair.server.next_event() == TransportFailed("handshake timeout")
    assert pair.server.get_timer() is None


def test_a_flight_without_answer_has_an_earlier_timer(pair: TransportPair):
    pair.client.handle_timer(now=pair.now)
    for _ in range(2):  # the check, then the ClientHello
        for data in pair.client.datagrams_to_send():
            pair.to_server(data)
        for data in pair.from_server():
            if data[0] < 4:
                pair.client.receive_datagram(data, now=pair.now)
    timer = pair.server.get_timer()
    assert timer is not None and pair.now < timer < pair.now + 1.1
    pair.server.handle_timer(now=timer)
    assert pair.server.state is TransportState.CONNECTING


def silent_for(pair: TransportPair, seconds: float) -> list[object]:
    pair.now += seconds
    pair.server.handle_timer(now=pair.now)
    pair.from_server()
    return pair.events[1:]


def test_consent_ends_after_the_peers_silence(connected: TransportPair):
    timeout = SfuConfig().peer_timeout
    assert connected.server.get_timer() == connected.now + timeout
    assert silent_for(connected, timeout - 0.001) == []
    assert silent_for(connected, 0.001) == [TransportFailed("peer timeout")]
    assert connected.server.get_timer() is None
    assert connected.server.state is TransportState.FAILED


@pytest.mark.parametrize("sign_of_life", ["check", "rtp", "rtcp"])
def test_authenticated_signs_of_life_renew_consent(connected: TransportPair, sign_of_life: str):
    for n in range(5):
        assert silent_for(connected, 14.0) == []
        if sign_of_life == "check":
            connected.to_server(connected.client.binding_request())
        elif sign_of_life == "rtp":
            connected.client.send_rtp(rtp(n))
        else:
            connected.client.send_rtcp(rtcp())
        connected.exchange()
    assert connected.server.state is TransportState.CONNECTED


@pytest.mark.parametrize(
    "forged", [rtp(), rtcp() + bytes(20), b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), b"\x17\xfe\xfd" + bytes(10)]
)
def test_unauthenticated_datagrams_do_not(connected: TransportPair, forged: bytes):
    silent_for(connected, 14.0)
    connected.to_server(forged)
    assert silent_for(connected, 1.0) == [TransportFailed("peer timeout")]


def test_a_check_with_a_wrong_password_does_not(connected: TransportPair):
    silent_for(connected, 14.0)
    connected.client.remote_pwd = "wrong"
    connected.to_server(connected.client.binding_request())
    assert silent_for(connected, 1.0) == [TransportFailed("peer timeout")]


# Paths and restarts


def test_media_follows_the_newest_nomination(connected: TransportPair):
    assert connected.server.selected == PATH
    connected.to_server(connected.client.binding_request(), MOBILE)
    connected.from_server()
    assert connected.server.selected == MOBILE
    connected.client.send_rtp(rtp(1))
    connected.path = MOBILE
    connected.exchange()
    assert connected.sink.rtp == [rtp(1)]


def test_a_handshake_goes_on_over_another_path(pair: TransportPair):
    pair.client.handle_timer(now=pair.now)
    pair.to_server(pair.client.datagrams_to_send()[0])
    pair.client.receive_datagram(pair.from_server()[0], now=pair.now)
    pair.to_server(pair.client.binding_request(), MOBILE)
    pair.server.control_to_send()
    (client_hello,) = pair.client.datagrams_to_send()
    pair.to_server(client_hello, PATH)
    assert {path for _, path in pair.server.control_to_send()} == {MOBILE}


def test_an_ice_restart_leaves_dtls_and_srtp_alone(connected: TransportPair):
    connected.server.restart_ice("newu", "n" * 24)
    connected.client.send_rtp(rtp(1))
    connected.client.set_remote("newu", "n" * 24)
    connected.client.handle_timer(now=connected.now)
    connected.path = MOBILE
    connected.exchange()
    connected.server.send_rtp(rtp(2))
    connected.exchange()
    assert connected.server.selected == MOBILE
    assert connected.sink.rtp == [rtp(1)] and connected.client.received_rtp == [rtp(2)]
    assert connected.events == [TransportConnected()]


# Ends


def test_the_peers_close_notify_closes(connected: TransportPair):
    connected.client.close()
    connected.exchange()
    assert connected.events[1:] == [TransportClosed()]
    assert connected.server.state is TransportState.CLOSED


def test_our_close_tells_the_peer_and_gives_no_event(connected: TransportPair):
    connected.server.close(now=connected.now)
    connected.exchange()
    assert connected.client.closed
    assert connected.events == [TransportConnected()]
    connected.server.send_rtp(rtp())
    connected.client.send_rtp(rtp())
    connected.exchange()
    connected.to_server(connected.client.binding_request())
    assert connected.sink.rtp == [] and connected.from_server() == []
    assert connected.count(DropReason.SESSION_CLOSED) == 3
    assert connected.server.get_timer() is None
    connected.server.handle_timer(now=connected.now + 1000)
    connected.server.close(now=connected.now + 1000)
    assert connected.server.next_event() is None


@pytest.mark.parametrize("how", ["close", "fail", "peer"])
def test_nothing_is_held_afterwards(connected: TransportPair, how: str):
    connected.server.send_rtp(rtp())
    connected.server.take_outgoing()
    connected.server.send_rtp(rtp())
    sink, association = weakref.ref(connected.sink), connected.server._association
    connection = weakref.ref(association._connection)
    del connected.sink, association
    if how == "close":
        connected.server.close(now=connected.now)
    elif how == "fail":
        connected.server.handle_timer(now=connected.now + 100)
    else:
        connected.client.close()
        for data in connected.client.datagrams_to_send():
            connected.to_server(data)
    gc.collect()
    assert sink() is None and connection() is None
    assert connected.server.outgoing == []


def test_close_before_anything(pair: TransportPair):
    pair.server.close(now=pair.now)
    assert pair.from_server() == []
    pair.server.set_remote("u", "p", ())
    pair.server.restart_ice("u", "p")
    pair.connect()
    assert pair.events == [] and not pair.client.ice_connected


# Hostile input


def mutated(seed: bytes, rng: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(rng.randrange(1, 6)):
        kind = rng.randrange(3)
        if kind == 0 and data:
            data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 1:
            del data[rng.randrange(len(data) + 1) :]
        else:
            data += rng.randbytes(rng.randrange(8))
    return bytes(data) if data != seed else b""


def random_datagram(rng: random.Random) -> bytes:
    first = bytes((rng.choice((0, 1, 2, 20, 21, 22, 23, 25, 63, 128, 129, 144, 191, rng.randrange(256))),))
    return first + rng.randbytes(rng.randrange(0, 120))


def handshake_datagrams() -> list[bytes]:
    """What a client says from its first check to its first packets."""
    pair = TransportPair()
    pair.client.handle_timer(now=pair.now)
    said: list[bytes] = []
    while up := pair.client.datagrams_to_send():
        said += up
        for data in up:
            pair.to_server(data)
        for data in pair.from_server():
            pair.client.receive_datagram(data, now=pair.now)
    pair.client.send_rtp(rtp())
    pair.client.send_rtcp(rtcp())
    return said + pair.client.datagrams_to_send()


def test_survives_100_000_datagrams_before_the_handshake():
    """Among them true ones of another peer's handshake, so that each state of the handshake is reached and made to fail."""
    rng = random.Random(1)
    seeds = handshake_datagrams()
    reached = set()
    for n in range(100_000):
        if n % 200 == 0:
            pair = TransportPair()
        choice = rng.randrange(20)
        if choice == 0:
            data = rng.choice(seeds)
        else:
            data = random_datagram(rng) if choice < 10 else mutated(rng.choice(seeds), rng)
        pair.to_server(data)
        pair.from_server()
        if pair.server._association is not None:
            reached.add(pair.server._association._connection.get_state_string())
        assert pair.sink.rtp == [] and TransportConnected() not in pair.events
        if pair.events:
            reached.add(pair.events[0])
            assert pair.server.state is TransportState.FAILED
    assert len(reached) > 4
    fresh = TransportPair()
    fresh.connect()
    assert fresh.events == [TransportConnected()]


def test_survives_100_000_datagrams_after_the_handshake(connected: TransportPair):
    rng = random.Random(2)
    connected.client.send_rtp(rtp(1))
    connected.client.send_rtcp(rtcp())
    connected.client.send_application_data(b"sctp")
    seeds = [*handshake_datagrams(), *connected.client.datagrams_to_send(), connected.client.binding_request()]
    for n in range(100_000):
        connected.to_server(random_datagram(rng) if n % 2 else mutated(rng.choice(seeds), rng))
        if n % 50 == 0:
            connected.from_server()
    assert connected.events == [TransportConnected()]
    assert connected.sink.rtp == [] and connected.sink.rtcp == []
    connected.client.send_rtp(rtp(2))
    connected.server.send_rtp(rtp(3))
    connected.exchange()
    assert connected.sink.rtp == [rtp(2)]
    assert connected.client.received_rtp == [rtp(3)]


def test_garbage_between_all_steps_of_the_handshake_does_not_break_it():
    rng = random.Random(3)
    for _ in range(20):
        pair = TransportPair()
        pair.client.handle_timer(now=pair.now)
        for _ in range(10):
            for data in pair.client.datagrams_to_send():
                for _ in range(20):
                    pair.to_server(random_datagram(rng))
                pair.to_server(data)
            for data in pair.from_server():
                pair.client.receive_datagram(data, now=pair.now)
        assert pair.events == [TransportConnected()]
    assert SERVER_CONTEXT.certificate.fingerprint_sha256 == pair.client.remote_fingerprint
    assert isinstance(pair.server.sink, RecordingSink)
