"""The DTLS side of a peer, always passive (server), over memory BIOs. RFC 6347, RFC 5763, RFC 5764, RFC 8122.

Here: our certificate, one SSL.Context for all peers, an association for each, keys for SRTP, fingerprint checks.
Not here: who may talk to it. The transport hands over datagrams only from a path that ICE has authenticated, which is why no
HelloVerifyRequest cookie is asked for: a spoofed source cannot get this far, and the first flight saves a round trip.

OpenSSL keeps its own clock and randomness. Its retransmission timeout is mapped to `get_timer()`; under a virtual clock no lost
flight is sent again.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sfu.srtp import PROFILES, PROFILES_BY_NAME, SrtpProfile

MAX_DATAGRAM_BYTES = 1200  # what every path of the Internet is taken to carry
MAX_RECORD_BYTES = 16384  # RFC 6347 section 4.1
MAX_FLIGHT_BYTES = 65536  # ours is about 1 KB: one P-256 certificate
RECORD_HEADER_LENGTH = 13  # RFC 6347 section 4.1
CONTENT_TYPES = range(20, 26)  # change_cipher_spec .. heartbeat; TLS 1.2 and extensions
CONTENT_HANDSHAKE = 22
EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"  # RFC 5764 section 4.2

CERTIFICATE_DAYS = (
    3650  # browsers check the fingerprint, not the dates; one certificate serves as long as the process lives
)

# RFC 8827 section 6.5: "All implementations MUST support DTLS 1.2 with the TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 cipher suite".
CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"

DTLS1_2_VERSION = 0xFEFD  # pyOpenSSL has no name for it

_DIGESTS = {"sha-256": hashlib.sha256, "sha-384": hashlib.sha384, "sha-512": hashlib.sha512}  # RFC 8122 section 5


class DtlsState(Enum):
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    CLOSED = "closed"
    FAILED = "failed"


def fingerprint(certificate_der: bytes, algorithm: str) -> str | None:
    """`AA:BB:...` of a certificate; None for an algorithm we do not take."""
    digest = _DIGESTS.get(algorithm.lower())
    return None if digest is None else digest(certificate_der).digest().hex(":").upper()


class Certificate:
    """A key and a self-signed certificate (ECDSA P-256)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.key = key
        self.certificate = certificate
        self.fingerprint_sha256 = fingerprint(certificate.public_bytes(serialization.Encoding.DER), "sha-256") or ""

    @classmethod
    def generate(cls, *, wall: float) -> Certificate:
        """`wall` is Unix time. The key comes from OpenSSL's own randomness."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "WebRTC")])
        start = datetime.fromtimestamp(wall, UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - timedelta(days=1))
            .not_valid_after(start + timedelta(days=CERTIFICATE_DAYS))
        )
        return cls(key, builder.sign(key, hashes.SHA256()))


class DtlsContext:
    """The one SSL.Context of a node: certificate, ciphers, SRTP profiles in our order."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        # The exporter and record layout above are DTLS 1.2's; a newer OpenSSL must not move on by itself.
        context.set_max_proto_version(DTLS1_2_VERSION)
        context.set_min_proto_version(DTLS1_2_VERSION)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        # Self-signed by design (RFC 5763 section 5): the signature is checked, the chain is not; the fingerprint decides.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        context.set_cipher_list(CIPHERS)
        context.set_tlsext_use_srtp(":".join(profile.name for profile in PROFILES).encode())
        self.ssl_context = context


class DtlsAssociation:
    """One peer's handshake and what comes after it. Make it when its first handshake record arrives: it costs 78 KB."""

    __slots__ = ("_connection", "_deadline", "_outgoing", "failure", "state")

    def __init__(self, context: DtlsContext) -> None:
        connection = SSL.Connection(context.ssl_context, None)
        connection.set_ciphertext_mtu(MAX_DATAGRAM_BYTES)
        connection.set_accept_state()
        self._connection = connection
        self._deadline: float | None = None
        self._outgoing: list[bytes] = []
        self.state = DtlsState.HANDSHAKING
        self.failure = ""  # why, once the state is FAILED

    def receive_datagram(self, data: bytes, *, now: float) -> list[bytes]:
        """Gives the application data in it. `data` has passed `is_dtls`."""
        received: list[bytes] = []
        if self.state in (DtlsState.CLOSED, DtlsState.FAILED):
            return received
        self._connection.bio_write(data)
        try:
            if self.state is DtlsState.HANDSHAKING:
                self._connection.do_handshake()
                self.state = DtlsState.CONNECTED
            while True:
                received.append(self._connection.recv(MAX_RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._end("close_notify during the handshake")
        except SSL.Error as error:
            self._end(_reason(error))
        self._drain()
        self._arm(now)
        return received

    def handle_timer(self, *, now: float) -> None:
        if self._deadline is None or now < self._deadline:
            return
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self._end(_reason(error))
        self._drain()
        self._arm(now)

    def get_timer(self) -> float | None:
        return self._deadline

    def datagrams_to_send(self) -> list[bytes]:
        out, self._outgoing = self._outgoing, []
        return out

    def matches(self, fingerprints: tuple[tuple[str, str], ...]) -> bool:
        """Whether the peer's certificate is one that its description names. RFC 8122 section 5: any one known hash will do."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None:
            return False
        der = certificate.public_bytes(serialization.Encoding.DER)
        return any(fingerprint(der, algorithm) == value.upper() for algorithm, value in fingerprints)

    def export_keys(self) -> tuple[SrtpProfile, bytes] | None:
        """The SRTP profile and its keying material; None if the peer did not offer a profile of ours."""
        profile = PROFILES_BY_NAME.get(self._connection.get_selected_srtp_profile().decode("ascii"))
        if profile is None:
            return None
        return profile, self._connection.export_keying_material(EXPORTER_LABEL, profile.keying_length)

    def close(self) -> None:
        """Says close_notify if there is somebody to say it to."""
        if self.state is DtlsState.CONNECTED:
            self.state = DtlsState.CLOSED
            try:
                self._connection.shutdown()
            except SSL.Error:
                pass  # the peer's own alert came first
            self._drain()
        elif self.state is DtlsState.HANDSHAKING:
            self.state = DtlsState.CLOSED
        self._deadline = None

    def _end(self, reason: str) -> None:
        """The peer ended it, or made OpenSSL end it: after the handshake both are an orderly end."""
        if self.state is DtlsState.CONNECTED:
            self.state = DtlsState.CLOSED
        else:
            self.state = DtlsState.FAILED
            self.failure = reason

    def _drain(self) -> None:
        try:
            flight = self._connection.bio_read(MAX_FLIGHT_BYTES)
        except SSL.WantReadError:
            pass
        else:
            self._outgoing.extend(split_flight(flight))

    def _arm(self, now: float) -> None:
        if self.state is DtlsState.HANDSHAKING:
            timeout = self._connection.DTLSv1_get_timeout()
            self._deadline = None if timeout is None else now + timeout
        else:
            self._deadline = None


def is_dtls(data: bytes) -> bool:
    """Whether `data` is whole records of DTLS 1.0 or 1.2 (the first ClientHello says 1.0). RFC 6347 section 4.1."""
    position, end = 0, len(data)
    while position < end:
        if end - position < RECORD_HEADER_LENGTH or data[position] not in CONTENT_TYPES or data[position + 1] != 0xFE:
            return False
        position += RECORD_HEADER_LENGTH + int.from_bytes(data[position + 11 : position + 13], "big")
    return position == end and end > 0


def split_flight(flight: bytes) -> list[bytes]:
    """Cuts what OpenSSL wrote into datagrams at record boundaries. A single longer record stays whole."""
    datagrams: list[bytes] = []
    start = position = 0
    while position < len(flight):
        size = RECORD_HEADER_LENGTH + int.from_bytes(flight[position + 11 : position + 13], "big")
        if position > start and position + size - start > MAX_DATAGRAM_BYTES:
            datagrams.append(flight[start:position])
            start = position
        position += size
    datagrams.append(flight[start:])
    return datagrams


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for the last entry of its queue ("no shared cipher"); the queue belongs to the error by now."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return entries[-1][2] if entries else "unexpected end"
