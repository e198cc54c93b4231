"""The transport part of a description: ICE, DTLS, BUNDLE. RFC 8839, 8842, 8843, 5763."""

from __future__ import annotations

from sfu.sdp.description import Fingerprint, MediaDescription, Origin, Section, SessionDescription
from sfu.sdp.negotiated import LocalTransport, RemoteTransport, refuse_sdp

# RFC 8122 section 5: older hashes are there for old peers; nobody who speaks DTLS-SRTP today lacks SHA-256.
SAFE_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
RTP_PROTOCOLS = frozenset(  # RFC 8829 section 5.1.2: all of these mean the same
    {"UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"}
)


def read_remote(
    description: SessionDescription, bundled: list[MediaDescription], setups: frozenset[str | None]
) -> RemoteTransport:
    """The peer's transport from the first bundled m-line that has one (the tagged one, RFC 8843 section 7.3.1)."""
    tagged = next((m for m in bundled if m.ice_ufrag or m.fingerprints), None)
    sections: list[Section] = [description] if tagged is None else [tagged, description]
    ufrag = next((s.ice_ufrag for s in sections if s.ice_ufrag), None)
    pwd = next((s.ice_pwd for s in sections if s.ice_pwd), None)
    if ufrag is None or pwd is None:
        refuse_sdp("ICE credentials are missing")
    fingerprints = next((s.fingerprints for s in sections if s.fingerprints), [])
    safe = tuple((f.algorithm, f.value) for f in fingerprints if len(f.value) + 1 == 3 * SAFE_HASHES.get(f.algorithm, 0))
    if not safe:
        refuse_sdp("a SHA-256 fingerprint is missing")
    setup = next((s.setup for s in sections if s.setup), None)
    if setup not in setups:
        refuse_sdp(f"a=setup:{setup} leaves us no passive role")
    candidates = tuple(c for s in (description, *bundled) for c in s.candidates)
    return RemoteTransport(ufrag, pwd, safe, candidates)


def new_description(local: LocalTransport, previous: Origin | None) -> SessionDescription:
    """An empty description of ours; the version counts up from the previous one, RFC 8866 section 5.2."""
    # JSEP wants 63 random bits that stay for the session: the first credentials are random enough.
    session_id = int.from_bytes(local.ufrag.encode()[:7]) if previous is None else previous.session_id
    version = 1 if previous is None else previous.version + 1
    return SessionDescription(
        origin=Origin("-", session_id, version),
        ice_lite=True,
        msid_semantic="WMS *",
        extmap_allow_mixed=True,
    )


def write_transport(media: MediaDescription, local: LocalTransport, setup: str, *, tagged: bool) -> None:
    """Our transport in an m-line; candidates only where they count, in the first bundled one."""
    media.connection = "IN IP4 0.0.0.0"
    media.ice_ufrag = local.ufrag
    media.ice_pwd = local.pwd
    media.ice_options = local.ice_options
    media.fingerprints = [Fingerprint("sha-256", local.fingerprint)]
    media.setup = setup
    media.rtcp_mux = True
    if tagged:
        media.candidates = list(local.candidates)
        media.end_of_candidates = True


def finish_bundle(description: SessionDescription) -> None:
    """Group the m-lines that are not rejected; without any there is no group."""
    mids = tuple(m.mid for m in description.media if m.port and m.mid is not None)
    if mids:
        description.groups.append(("BUNDLE", mids))


def rejected_line(offered: MediaDescription) -> MediaDescription:
    """RFC 3264 section 6: a rejected m-line is answered in its place, with port 0 and some format of the offer."""
    return MediaDescription(
        kind=offered.kind,
        port=0,
        protocol=offered.protocol,
        formats=offered.formats[:1],
        connection="IN IP4 0.0.0.0",
        mid=offered.mid,
    )
