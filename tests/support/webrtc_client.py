"""A small WebRTC peer without sockets: controlling ICE agent for one address pair, DTLS client, SRTP. For tests and the load generator.

It shares no code with `sfu`: what both get wrong in the same way would stay unseen. Drive it like a core: `receive_datagram`,
`handle_timer`, `datagrams_to_send`, `get_timer`. A load generator with many peers gives them one `ClientContext` and takes RTP from
`on_rtp` still encrypted, unprotecting only what it wants to look into.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy, Session

CHECK_INTERVAL = 0.25  # before the connection
MAX_DATAGRAM_BYTES = 1200
CONSENT_INTERVAL = 4.0  # RFC 7675 section 5.1: 5 s, randomised

# name: (libsrtp's profile, key length, salt length)
PROFILES = {
    "SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    "SRTP_AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    "SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}


class ClientContext:
    """A certificate and an SSL.Context that many clients share. `profiles` in the client's order."""

    def __init__(self, profiles: tuple[str, ...] = tuple(PROFILES), *, with_certificate: bool = True) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
        start = datetime.now(UTC) - timedelta(days=1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        self.certificate_der = certificate.public_bytes(serialization.Encoding.DER)
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        if with_certificate:
            context.use_certificate(certificate)
            context.use_privatekey(key)
        if profiles:
            context.set_tlsext_use_srtp(":".join(profiles).encode())
        self.ssl_context = context

    def fingerprint(self, algorithm: str = "sha-256") -> tuple[str, str]:
        digest = hashlib.new(algorithm.replace("-", ""), self.certificate_der).digest()
        return algorithm, digest.hex(":").upper()


class WebRtcClient:
    """One peer. `remote_*` are the server's; set them before the first `handle_timer`."""

    def __init__(
        self,
        context: ClientContext,
        *,
        nominate: bool = True,
        on_rtp: Callable[[bytes], None] | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.context = context
        self.ufrag = random_bytes(4).hex()
        self.pwd = random_bytes(12).hex()
        self.remote_ufrag = ""
        self.remote_pwd = ""
        self.remote_fingerprint = ""  # sha-256; "" takes any
        self.nominate = nominate
        self.ice_connected = False
        self.connected = False
        self.closed = False
        self.failure = ""
        self.profile = ""
        self.received_rtp: list[bytes] = []  # decrypted, unless `on_rtp` takes them
        self.received_rtcp: list[bytes] = []
        self.stun_responses: list[stun.Message] = []
        self.mapped_address: tuple[str, int] | None = None
        self.on_rtp = on_rtp
        self._random_bytes = random_bytes
        self._tie_breaker = int.from_bytes(random_bytes(8), "big")
        self._out: list[bytes] = []
        self._next_check = 0.0
        self._pending: dict[bytes, bytes] = {}  # transaction id to the password it was signed with
        self._tls: SSL.Connection | None = None
        self._inbound: Session | None = None
        self._outbound: Session | None = None

    # ICE

    def set_remote(self, ufrag: str, pwd: str, fingerprint: str = "") -> None:
        """Starts to check; again after the server's ICE restart."""
        self.remote_ufrag, self.remote_pwd, self.remote_fingerprint = ufrag, pwd, fingerprint
        self._next_check = 0.0

    def binding_request(self, **attributes: object) -> bytes:
        """One connectivity check; `attributes` (with `_` for `-`) are added, None takes one away."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=self._random_bytes(12))
        message.attributes["USERNAME"] = f"{self.remote_ufrag}:{self.ufrag}"
        message.attributes["PRIORITY"] = 1845501695
        message.attributes["ICE-CONTROLLING"] = self._tie_breaker
        if self.nominate:
            message.attributes["USE-CANDIDATE"] = None
        for name, value in attributes.items():
            message.attributes.pop(name.replace("_", "-"), None)
            if value is not None:
                message.attributes[name.replace("_", "-")] = value
        message.add_message_integrity(self.remote_pwd.encode())
        self._pending[message.transaction_id] = self.remote_pwd.encode()
        if len(self._pending) > 32:
            del self._pending[next(iter(self._pending))]
        return bytes(message)

    def _receive_stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        key = self._pending.pop(message.transaction_id, None)
        if key is None:
            return
        self.stun_responses.append(message)
        del self.stun_responses[:-32]
        if message.message_class is not stun.Class.RESPONSE or not message.check_message_integrity(key):
            return
        self.mapped_address = message.attributes["XOR-MAPPED-ADDRESS"]
        if not self.ice_connected:
            self.ice_connected = True
            self._start_dtls()

    # DTLS

    def _start_dtls(self) -> None:
        self._tls = SSL.Connection(self.context.ssl_context, None)
        self._tls.set_ciphertext_mtu(MAX_DATAGRAM_BYTES)
        self._tls.set_connect_state()
        self._step()

    def _step(self) -> None:
        tls = self._tls
        assert tls is not None
        try:
            if not self.connected:
                tls.do_handshake()
                self._handle_connected(tls)
            while True:
                tls.recv(16384)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error as error:
            self.failure = repr(error)
        self._drain()

    def _drain(self) -> None:
        assert self._tls is not None
        try:
            flight = self._tls.bio_read(65536)
        except SSL.WantReadError:
            return
        start = position = 0
        while position < len(flight):
            size = 13 + int.from_bytes(flight[position + 11 : position + 13], "big")
            if position > start and position + size - start > MAX_DATAGRAM_BYTES:
                self._out.append(flight[start:position])
                start = position
            position += size
        self._out.append(flight[start:])

    def _handle_connected(self, tls: SSL.Connection) -> None:
        certificate = tls.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        if self.remote_fingerprint and fingerprint != self.remote_fingerprint:
            self.failure = "fingerprint mismatch"
            return
        self.connected = True
        self.profile = tls.get_selected_srtp_profile().decode()
        if not self.profile:
            return
        libsrtp_profile, key, salt = PROFILES[self.profile]
        # RFC 5764 section 4.2: client_write_key, server_write_key, client_write_salt, server_write_salt
        material = tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        outbound = Policy(key=client, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=libsrtp_profile)
        outbound.allow_repeat_tx = True
        inbound = Policy(key=server, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=libsrtp_profile)
        inbound.window_size = 1024
        self._outbound, self._inbound = Session(outbound), Session(inbound)

    # Driving

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        first = data[0]
        if 127 < first < 192:
            if self._inbound is None:
                return
            if 191 < data[1] < 224:
                self.received_rtcp.append(self._inbound.unprotect_rtcp(data))
            elif self.on_rtp is not None:
                self.on_rtp(data)
            else:
                self.received_rtp.append(self._inbound.unprotect(data))
        elif first < 4:
            self._receive_stun(data)
        elif self._tls is not None:
            self._tls.bio_write(data)
            self._step()

    def handle_timer(self, *, now: float) -> None:
        if self.remote_ufrag and now >= self._next_check:
            self._out.append(self.binding_request())
            self._next_check = now + (CONSENT_INTERVAL if self.connected else CHECK_INTERVAL)
        if self._tls is not None and not self.connected and not self.failure:
            self._tls.DTLSv1_handle_timeout()
            self._drain()

    def get_timer(self) -> float:
        return self._next_check

    def datagrams_to_send(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    # Packets

    def send_rtp(self, data: bytes) -> None:
        assert self._outbound is not None
        self._out.append(self._outbound.protect(data))

    def send_rtcp(self, data: bytes) -> None:
        assert self._outbound is not None
        self._out.append(self._outbound.protect_rtcp(data))

    def unprotect_rtp(self, data: bytes) -> bytes:
        """Decrypts what `on_rtp` got."""
        assert self._inbound is not None
        return self._inbound.unprotect(data)

    def send_application_data(self, data: bytes) -> None:
        assert self._tls is not None
        self._tls.send(data)
        self._drain()

    def close(self) -> None:
        """Says close_notify."""
        if self._tls is not None:
            try:
                self._tls.shutdown()
            except SSL.Error:
                return
            self._drain()
