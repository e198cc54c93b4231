from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives import hashes, serialization

from sfu.dtls import (
    MAX_DATAGRAM_BYTES,
    Certificate,
    DtlsAssociation,
    DtlsContext,
    DtlsState,
    fingerprint,
    is_dtls,
    split_flight,
)
from tests.support.transport_pair import fragmented
from tests.support.webrtc_client import ClientContext, WebRtcClient

CONTEXT = DtlsContext(Certificate.generate(wall=1_800_000_000.0))


def record(size: int, *, content_type: int = 22, version: int = 0xFEFD) -> bytes:
    return struct.pack("!BHHIHH", content_type, version, 0, 0, 0, size) + bytes(size)


class Pair:
    def __init__(self, context: ClientContext) -> None:
        self.server = DtlsAssociation(CONTEXT)
        self.client = WebRtcClient(context)
        self.client._start_dtls()
        self.application_data: list[bytes] = []

    def exchange(self) -> None:
        while up := self.client.datagrams_to_send():
            for data in up:
                self.application_data += self.server.receive_datagram(data, now=5.0)
            for data in self.server.datagrams_to_send():
                assert len(data) <= MAX_DATAGRAM_BYTES
                self.client.receive_datagram(data, now=5.0)


@pytest.fixture(scope="module")
def client_context() -> ClientContext:
    return ClientContext()


def test_the_certificate_is_p256_and_valid_around_its_making():
    certificate = Certificate.generate(wall=1_800_000_000.0)
    assert certificate.key.curve.name == "secp256r1"
    assert certificate.certificate.not_valid_before_utc.timestamp() < 1_800_000_000.0
    assert certificate.certificate.not_valid_after_utc.timestamp() > 1_800_000_000.0 + 365 * 86400
    assert certificate.fingerprint_sha256 == certificate.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


@pytest.mark.parametrize(
    "algorithm, digest", [("sha-256", hashes.SHA256()), ("SHA-384", hashes.SHA384()), ("sha-512", hashes.SHA512())]
)
def test_fingerprints_of_the_known_hashes(algorithm: str, digest: hashes.HashAlgorithm):
    certificate = CONTEXT.certificate.certificate
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert fingerprint(der, algorithm) == certificate.fingerprint(digest).hex(":").upper()


def test_weak_hashes_are_not_taken():
    assert fingerprint(b"x", "sha-1") is None
    assert fingerprint(b"x", "md5") is None


@pytest.mark.parametrize(
    "profile, length", [("SRTP_AEAD_AES_128_GCM", 56), ("SRTP_AES128_CM_SHA1_80", 60), ("SRTP_AEAD_AES_256_GCM", 88)]
)
def test_both_ends_export_the_same_keys(profile: str, length: int):
    pair = Pair(ClientContext((profile,)))
    pair.exchange()
    assert pair.server.state is DtlsState.CONNECTED
    keys = pair.server.export_keys()
    assert keys is not None
    assert keys[0].name == profile
    assert keys[1] == pair.client._tls.export_keying_material(b"EXTRACTOR-dtls_srtp", length)


def test_the_servers_order_of_profiles_decides():
    pair = Pair(ClientContext(("SRTP_AEAD_AES_256_GCM", "SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM")))
    pair.exchange()
    assert pair.client.profile == "SRTP_AEAD_AES_128_GCM"


def test_without_a_common_profile_there_are_no_keys():
    pair = Pair(ClientContext(()))
    pair.exchange()
    assert pair.server.state is DtlsState.CONNECTED
    assert pair.server.export_keys() is None


def test_a_peer_without_certificate_fails():
    pair = Pair(ClientContext(with_certificate=False))
    pair.exchange()
    assert pair.server.state is DtlsState.FAILED
    assert "certificate" in pair.server.failure


@pytest.mark.parametrize("order", [1, -1])
def test_a_client_hello_may_come_in_pieces_in_any_order(client_context: ClientContext, order: int):
    pair = Pair(client_context)
    (client_hello,) = pair.client.datagrams_to_send()
    for data in fragmented(client_hello, 3)[::order]:
        assert pair.server.datagrams_to_send() == []
        pair.server.receive_datagram(data, now=5.0)
    for data in pair.server.datagrams_to_send():
        pair.client.receive_datagram(data, now=5.0)
    pair.exchange()
    assert pair.server.state is DtlsState.CONNECTED


def test_a_flight_waiting_for_an_answer_has_a_timer(client_context: ClientContext):
    pair = Pair(client_context)
    for data in pair.client.datagrams_to_send():
        pair.server.receive_datagram(data, now=5.0)
    timer = pair.server.get_timer()
    assert timer is not None and 5.0 < timer <= 6.1
    pair.server.handle_timer(now=5.0)
    assert pair.server.get_timer() == timer
    pair.server.handle_timer(now=timer)  # OpenSSL's own clock says it is early: armed again
    assert pair.server.get_timer() is not None and pair.server.get_timer() > timer
    for data in pair.server.datagrams_to_send():
        pair.client.receive_datagram(data, now=5.0)
    pair.exchange()
    assert pair.server.get_timer() is None


def test_fingerprints_are_compared_without_case_and_any_one_will_do(client_context: ClientContext):
    pair = Pair(client_context)
    assert not pair.server.matches((client_context.fingerprint(),))
    pair.exchange()
    algorithm, value = client_context.fingerprint("sha-512")
    assert pair.server.matches((("sha-1", "AA"), (algorithm.upper(), value.lower())))
    assert not pair.server.matches(())
    assert not pair.server.matches((("sha-256", value), ("sha-1", value)))


def test_application_data_is_handed_out(client_context: ClientContext):
    pair = Pair(client_context)
    pair.exchange()
    pair.client.send_application_data(b"sctp")
    pair.exchange()
    assert pair.application_data == [b"sctp"]


def test_close_is_said_and_heard(client_context: ClientContext):
    pair = Pair(client_context)
    pair.exchange()
    pair.server.close()
    for data in pair.server.datagrams_to_send():
        pair.client.receive_datagram(data, now=6.0)
    assert pair.client.closed
    assert pair.server.state is DtlsState.CLOSED


def test_the_peers_close_notify_closes(client_context: ClientContext):
    pair = Pair(client_context)
    pair.exchange()
    pair.client.close()
    pair.exchange()
    assert pair.server.state is DtlsState.CLOSED
    assert pair.server.receive_datagram(record(10), now=7.0) == []


def test_close_before_the_end_of_the_handshake_says_nothing(client_context: ClientContext):
    server = DtlsAssociation(CONTEXT)
    server.close()
    assert server.datagrams_to_send() == []
    assert server.get_timer() is None


def test_one_associations_failure_leaves_others_alone(client_context: ClientContext):
    """OpenSSL's error queue belongs to the thread."""
    good = Pair(client_context)
    for size in range(1, 80):
        bad = DtlsAssociation(CONTEXT)
        bad.receive_datagram(record(size), now=5.0)
        bad.receive_datagram(record(2, content_type=21), now=5.0)
    good.exchange()
    assert good.server.state is DtlsState.CONNECTED


@pytest.mark.parametrize(
    "data", [record(0), record(100), record(3, content_type=20) + record(5), record(3, version=0xFEFF)]
)
def test_whole_records_are_dtls(data: bytes):
    assert is_dtls(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x16",
        record(5)[:-1],
        record(5) + b"\x16",
        record(5, content_type=19),
        record(5, content_type=26),
        record(5, version=0x0303),
    ],
)
def test_anything_else_is_not(data: bytes):
    assert not is_dtls(data)


def test_flights_are_cut_at_records():
    flight = record(600) + record(574) + record(1) + record(1500) + record(10)
    datagrams = split_flight(flight)
    assert b"".join(datagrams) == flight
    assert [len(data) for data in datagrams] == [1200, 14, 1513, 23]
    assert all(is_dtls(data) for data in datagrams)
