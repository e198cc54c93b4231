from __future__ import annotations

import gc

import pytest
from pylibsrtp import Policy, Session

from media.drops import DropCounts, DropReason
from sfu import srtp
from sfu.srtp import PROFILES, SrtpProfile, SrtpSession, split_keys
from tests.support.transport_pair import rtcp, rtp


class Peer:
    """The client's end of a session, made with pylibsrtp directly."""

    def __init__(self, profile: SrtpProfile, *, max_ssrcs: int = 8) -> None:
        material = bytes(range(profile.keying_length))
        self.drops = DropCounts()
        self.session = SrtpSession(profile, material, max_ssrcs=max_ssrcs, drops=self.drops)
        client, server = split_keys(profile, material)
        self.outbound = self._session(client, Policy.SSRC_ANY_OUTBOUND, profile)
        self.inbound = self._session(server, Policy.SSRC_ANY_INBOUND, profile)

    def _session(self, key: bytes, ssrc_type: int, profile: SrtpProfile) -> Session:
        policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_profile)
        policy.allow_repeat_tx = True
        return Session(policy)


@pytest.fixture(params=PROFILES, ids=lambda profile: profile.name)
def peer(request: pytest.FixtureRequest) -> Peer:
    return Peer(request.param)


def test_profiles_stand_in_the_order_of_the_design():
    assert [p.name for p in PROFILES] == ["SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_256_GCM"]
    assert [p.keying_length for p in PROFILES] == [56, 60, 88]  # RFC 7714 section 12, RFC 5764 section 4.1.2


def test_keys_are_cut_as_rfc_5764_says():
    profile = PROFILES[1]
    material = b"C" * 16 + b"S" * 16 + b"c" * 14 + b"s" * 14
    assert split_keys(profile, material) == (b"C" * 16 + b"c" * 14, b"S" * 16 + b"s" * 14)


def test_packets_pass_both_ways(peer: Peer):
    protected = peer.session.protect_rtp(rtp(5))
    assert protected is not None and b"payload" not in protected
    assert peer.inbound.unprotect(protected) == rtp(5)
    assert peer.session.unprotect_rtp(peer.outbound.protect(rtp(6))) == rtp(6)
    report = peer.session.protect_rtcp(rtcp())
    assert report is not None and peer.inbound.unprotect_rtcp(report) == rtcp()
    assert peer.session.unprotect_rtcp(peer.outbound.protect_rtcp(rtcp())) == rtcp()
    assert not any(peer.drops.counts.values())


def test_a_result_is_not_touched_by_the_next_call(peer: Peer):
    first = peer.session.protect_rtp(rtp(1, payload=b"a" * 100))
    peer.session.protect_rtp(rtp(2, payload=b"b" * 200))
    assert first is not None and peer.inbound.unprotect(first) == rtp(1, payload=b"a" * 100)


def test_sessions_do_not_mix():
    one, other = Peer(PROFILES[0]), Peer(PROFILES[1])
    first, second = one.session.protect_rtp(rtp(1)), other.session.protect_rtp(rtp(1))
    assert one.inbound.unprotect(first) == other.inbound.unprotect(second) == rtp(1)


def test_the_same_packet_may_be_sent_again(peer: Peer):
    assert peer.session.protect_rtp(rtp(7)) == peer.session.protect_rtp(rtp(7)) is not None


def test_a_packet_sent_again_too_late_is_counted(peer: Peer):
    for n in range(1, 1101):
        assert peer.session.protect_rtp(rtp(n)) is not None
    assert peer.session.protect_rtp(rtp(101)) is not None
    assert peer.session.protect_rtp(rtp(1)) is None
    assert peer.drops.counts[DropReason.SRTP_REPLAY] == 1


def test_a_stream_that_is_over_is_not_kept(peer: Peer):
    for n in range(1, 1101):
        peer.session.protect_rtp(rtp(n))
    peer.session.protect_rtp(rtp(1, ssrc=9))
    kept = peer.session.protect_rtp(rtp(2, ssrc=9))
    peer.session.forget_stream(int.from_bytes(rtp(1)[8:12], "big"))
    assert peer.session.protect_rtp(rtp(1)) is not None  # nothing is known of it any more
    assert peer.session.protect_rtp(rtp(2, ssrc=9)) == kept


def test_forgetting_what_never_was_is_nothing(peer: Peer):
    peer.session.forget_stream(12345)
    assert peer.session.protect_rtp(rtp(1)) is not None


def test_a_flipped_bit_is_counted(peer: Peer):
    data = bytearray(peer.outbound.protect(rtp()))
    data[-1] ^= 1
    assert peer.session.unprotect_rtp(bytes(data)) is None
    assert peer.drops.counts[DropReason.SRTP_AUTH] == 1


def test_a_replay_is_counted(peer: Peer):
    data = peer.outbound.protect(rtp(9))
    assert peer.session.unprotect_rtp(data) is not None
    assert peer.session.unprotect_rtp(data) is None
    assert peer.drops.counts[DropReason.SRTP_REPLAY] == 1


def test_the_replay_window_is_1024_packets(peer: Peer):
    packets = [peer.outbound.protect(rtp(n)) for n in range(1, 1101)]
    assert peer.session.unprotect_rtp(packets[-1]) is not None
    assert peer.session.unprotect_rtp(packets[-1000]) is not None
    assert peer.session.unprotect_rtp(packets[0]) is None
    assert peer.drops.counts[DropReason.SRTP_REPLAY] == 1


@pytest.mark.parametrize("start", [0, 1, 127, 32767, 65535])
def test_sequence_numbers_wrap(peer: Peer, start: int):
    for n in range(start, start + 70_000, 7000):
        plain = rtp(n % 65536)
        assert peer.session.unprotect_rtp(peer.outbound.protect(plain)) == plain
        assert peer.inbound.unprotect(peer.session.protect_rtp(plain)) == plain


@pytest.mark.parametrize("size", [0, 1, 11, 12, 2048, 2049, 65535])
def test_odd_sizes_are_counted_not_raised(peer: Peer, size: int):
    data = (b"\x80" * 12 + bytes(65535))[:size]
    functions = (peer.session.unprotect_rtp, peer.session.unprotect_rtcp)
    assert [function(data) for function in functions] == [None, None]
    assert sum(peer.drops.counts.values()) == 2


@pytest.mark.parametrize("size", [0, 1, 11, 2049])
def test_what_cannot_be_protected_is_counted(peer: Peer, size: int):
    data = bytes((0x80, 96)) * (size // 2) + b"\0" * (size % 2)
    assert peer.session.protect_rtp(data) is None
    assert peer.drops.counts[DropReason.RTP_MALFORMED] == 1


def test_the_longest_packet_passes(peer: Peer):
    plain = rtp(payload=bytes(srtp.MAX_PACKET_BYTES - 12))
    assert len(peer.session.protect_rtp(plain) or b"") > srtp.MAX_PACKET_BYTES


def test_a_peer_cannot_make_us_keep_more_ssrcs_than_the_bound():
    peer = Peer(PROFILES[0], max_ssrcs=3)
    results = [peer.session.unprotect_rtp(peer.outbound.protect(rtp(1, ssrc=ssrc))) for ssrc in range(1, 6)]
    assert [result is not None for result in results] == [True, True, True, False, False]
    assert peer.session.unprotect_rtcp(peer.outbound.protect_rtcp(rtcp(ssrc=9))) is None
    assert peer.session.unprotect_rtp(peer.outbound.protect(rtp(2, ssrc=1))) is not None
    assert peer.drops.counts[DropReason.RTP_SSRC_LIMIT] == 3


def test_garbage_takes_no_place_among_the_ssrcs():
    peer = Peer(PROFILES[0], max_ssrcs=2)
    for ssrc in range(50):
        peer.session.unprotect_rtp(rtp(1, ssrc=ssrc, payload=bytes(50)))
    assert peer.session.unprotect_rtp(peer.outbound.protect(rtp(1, ssrc=99))) is not None
    assert peer.drops.counts[DropReason.SRTP_AUTH] == 50


def test_a_function_keeps_its_session_alive():
    """libsrtp's memory is freed with pylibsrtp's object; whoever holds the function must not be left with a pointer to it."""
    peer = Peer(PROFILES[0])
    function = peer.session.protect_rtp
    peer.session = None  # type: ignore[assignment]
    gc.collect()
    for n in range(1, 50):
        Peer(PROFILES[0])  # would take the place of what was freed
        protected = function(rtp(n))
        assert protected is not None and peer.inbound.unprotect(protected) == rtp(n)
