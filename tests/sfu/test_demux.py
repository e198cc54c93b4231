from __future__ import annotations

import pytest

from media.drops import DropCounts, DropReason
from sfu.config import SfuConfig
from sfu.demux import Demux
from sfu.ice.agent import MAX_PATHS
from tests.support.transport_pair import rtp
from tests.support.webrtc_client import ClientContext, WebRtcClient

PATH = ("192.0.2.1", 5000, "198.51.100.1")
OTHER = ("192.0.2.1", 5001, "198.51.100.1")
CONTEXT = ClientContext()


class Session:
    def __init__(self, name: str) -> None:
        self.name = name


ALICE, BOB = Session("alice"), Session("bob")


@pytest.fixture
def drops() -> DropCounts:
    return DropCounts()


@pytest.fixture
def demux(drops: DropCounts) -> Demux[Session]:
    demux: Demux[Session] = Demux(SfuConfig(max_handshakes=4, max_handshakes_per_address=2), drops)
    demux.set_ufrags(ALICE, ("alic",))
    demux.set_ufrags(BOB, ("bobb",))
    return demux


def check(ufrag: str) -> bytes:
    client = WebRtcClient(CONTEXT)
    client.set_remote(ufrag, "p" * 24)
    return client.binding_request()


def test_an_unknown_address_is_found_by_ufrag(demux: Demux[Session]):
    assert demux.route(check("bobb"), PATH) is BOB


def test_an_unknown_ufrag_is_counted(demux: Demux[Session], drops: DropCounts):
    assert demux.route(check("none"), PATH) is None
    assert drops.counts[DropReason.STUN_UNKNOWN_USER] == 1


def test_packets_pass_from_bound_paths_only(demux: Demux[Session], drops: DropCounts):
    assert demux.route(rtp(), PATH) is None
    assert drops.counts[DropReason.UNKNOWN_PATH] == 1
    demux.bind(PATH, ALICE)
    assert demux.route(rtp(), PATH) is ALICE
    assert demux.route(b"\x16\xfe\xfd", PATH) is ALICE
    assert demux.route(rtp(), OTHER) is None


@pytest.mark.parametrize("first", [4, 16, 19, 192, 255])
def test_other_protocols_from_strangers_are_named_so(demux: Demux[Session], drops: DropCounts, first: int):
    assert demux.route(bytes((first, 0, 0)), PATH) is None
    assert drops.counts[DropReason.UNKNOWN_KIND] == 1


def test_nothing_at_all_is_counted(demux: Demux[Session], drops: DropCounts):
    assert demux.route(b"", PATH) is None
    assert drops.counts[DropReason.UNKNOWN_KIND] == 1


def test_stun_without_a_username_goes_by_address(demux: Demux[Session], drops: DropCounts):
    indication = b"\x00\x11\x00\x00\x21\x12\xa4\x42" + bytes(12)
    assert demux.route(indication, PATH) is None
    assert drops.counts[DropReason.STUN_MALFORMED] == 1
    demux.bind(PATH, ALICE)
    assert demux.route(indication, PATH) is ALICE


def test_an_address_can_get_a_new_owner(demux: Demux[Session]):
    demux.bind(PATH, ALICE)
    assert demux.route(check("bobb"), PATH) is BOB
    demux.bind(PATH, BOB)
    assert demux.route(rtp(), PATH) is BOB
    demux.remove(ALICE)
    assert demux.route(rtp(), PATH) is BOB


def test_after_a_restart_a_session_is_found_by_what_is_valid_then(demux: Demux[Session]):
    demux.set_ufrags(ALICE, ("alic", "new0"))
    assert demux.route(check("alic"), PATH) is demux.route(check("new0"), PATH) is ALICE
    demux.set_ufrags(ALICE, ("alic", "new1"))
    assert demux.route(check("alic"), PATH) is demux.route(check("new1"), PATH) is ALICE
    assert demux.route(check("new0"), PATH) is None
    assert len(demux.ufrags) == 3


def test_paths_of_one_session_are_bounded(demux: Demux[Session]):
    for port in range(3 * MAX_PATHS):
        demux.bind(("192.0.2.1", port, ""), ALICE)
    assert len(demux.paths) == MAX_PATHS
    assert demux.route(rtp(), ("192.0.2.1", 3 * MAX_PATHS - 1, "")) is ALICE


def test_a_path_lent_and_returned_is_listed_once(demux: Demux[Session]):
    for _ in range(2 * MAX_PATHS):
        demux.bind(PATH, ALICE)
        demux.bind(PATH, BOB)
    demux.bind(OTHER, BOB)
    assert demux.route(rtp(), PATH) is BOB
    demux.remove(BOB)
    assert demux.paths == {}


def test_handshakes_are_bounded_by_address_and_in_all(demux: Demux[Session], drops: DropCounts):
    sessions = [Session(str(index)) for index in range(6)]
    assert [demux.begin_handshake(s, "192.0.2.1") for s in sessions[:3]] == [True, True, False]
    assert [demux.begin_handshake(s, "192.0.2.2") for s in sessions[3:5]] == [True, True]
    assert demux.begin_handshake(sessions[5], "192.0.2.3") is False
    assert demux.handshakes == 4
    assert drops.counts[DropReason.HANDSHAKE_LIMIT] == 2


def test_a_handshake_counts_once_and_its_end_makes_room(demux: Demux[Session]):
    sessions = [Session(str(index)) for index in range(3)]
    for _ in range(5):
        assert demux.begin_handshake(sessions[0], "192.0.2.1")
    assert demux.begin_handshake(sessions[1], "192.0.2.1")
    demux.end_handshake(sessions[0])
    demux.end_handshake(sessions[0])
    assert demux.begin_handshake(sessions[2], "192.0.2.1")
    assert not demux.begin_handshake(sessions[0], "192.0.2.1")


def test_removal_leaves_nothing(demux: Demux[Session]):
    demux.bind(PATH, ALICE)
    demux.begin_handshake(ALICE, "192.0.2.1")
    for session in (ALICE, BOB, BOB):
        demux.remove(session)
    tables = (demux.paths, demux.ufrags, demux._paths_of, demux._ufrags_of, demux._handshakes, demux._by_address)
    assert not any(tables)
