from __future__ import annotations

import pytest
from aioice import stun as codec

from media.drops import DropCounts, DropReason
from sfu.ice import stun
from sfu.ice.agent import MAX_PATHS, IceAgent
from tests.support.webrtc_client import ClientContext, WebRtcClient

WIFI = ("192.0.2.1", 50000, "198.51.100.1")
MOBILE = ("2001:db8::9", 40000, "2001:db8::1")
CONTEXT = ClientContext()


class Pair:
    def __init__(self) -> None:
        self.drops = DropCounts()
        self.agent = IceAgent(local_ufrag="srv", local_pwd="p" * 24, drops=self.drops)
        self.client = WebRtcClient(CONTEXT, nominate=False)
        self.client.set_remote("srv", "p" * 24)

    def check(self, path=WIFI, *, now: float = 1.0, **attributes: object) -> codec.Message | None:
        answer = self.agent.receive_datagram(self.client.binding_request(**attributes), path, now=now)
        return None if answer is None else codec.parse_message(answer)

    def nominate(self, path, *, now: float = 1.0) -> None:
        answer = self.agent.receive_datagram(self.nomination(), path, now=now)
        assert answer is not None and codec.parse_message(answer).message_class is codec.Class.RESPONSE

    def nomination(self) -> bytes:
        self.client.nominate = True
        data = self.client.binding_request()
        self.client.nominate = False
        return data

    def refused(self, reason: DropReason) -> bool:
        return self.drops.counts[reason] == 1 and self.agent.selected is None and self.agent.last_request_at is None


def test_an_authenticated_request_is_answered_with_its_address():
    pair = Pair()
    answer = pair.check(MOBILE, now=7.0)
    assert answer is not None
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == ("2001:db8::9", 40000)
    assert answer.check_message_integrity(b"p" * 24)
    assert pair.agent.last_request_at == 7.0
    assert list(pair.agent.paths) == [MOBILE]


def test_a_wrong_password_is_401_and_opens_nothing():
    pair = Pair()
    pair.client.remote_pwd = "wrong"
    answer = pair.check()
    assert answer is not None and answer.error_code == 401
    assert pair.refused(DropReason.STUN_UNAUTHENTICATED)
    assert not pair.agent.paths


def test_a_foreign_ufrag_is_401():
    pair = Pair()
    pair.client.remote_ufrag = "other"
    answer = pair.check()
    assert answer is not None and answer.error_code == 401
    assert pair.refused(DropReason.STUN_UNAUTHENTICATED)


def test_no_username_is_400():
    pair = Pair()
    answer = pair.check(USERNAME=None)
    assert answer is not None and answer.error_code == 400
    assert pair.refused(DropReason.STUN_UNAUTHENTICATED)


def test_no_integrity_is_400():
    pair = Pair()
    message = codec.Message(codec.Method.BINDING, codec.Class.REQUEST, attributes={"USERNAME": "srv:x"})
    message.add_fingerprint()
    answer = pair.agent.receive_datagram(bytes(message), WIFI, now=1.0)
    assert answer is not None and codec.parse_message(answer).error_code == 400
    assert pair.refused(DropReason.STUN_UNAUTHENTICATED)


def test_no_fingerprint_is_malformed():
    pair = Pair()
    message = codec.parse_message(pair.client.binding_request())
    del message.attributes["FINGERPRINT"]
    assert pair.agent.receive_datagram(bytes(message), WIFI, now=1.0) is None
    assert pair.refused(DropReason.STUN_MALFORMED)


def test_an_unknown_required_attribute_is_420():
    pair = Pair()
    message = codec.parse_message(pair.client.binding_request())
    for name in ("MESSAGE-INTEGRITY", "FINGERPRINT"):
        del message.attributes[name]
    body = bytes(message)[20:] + b"\x00\x33\x00\x00"
    data = stun._finish(stun.BINDING_REQUEST, message.transaction_id, body, b"p" * 24)
    answer = pair.agent.receive_datagram(data, WIFI, now=1.0)
    assert answer is not None and codec.parse_message(answer).error_code == 420
    assert b"\x00\x0a\x00\x02\x00\x33" in answer
    assert pair.agent.selected is None


def test_a_controlled_peer_is_told_to_switch():
    pair = Pair()
    answer = pair.check(ICE_CONTROLLING=None, ICE_CONTROLLED=(1 << 64) - 1)
    assert answer is not None and answer.error_code == 487
    assert answer.check_message_integrity(b"p" * 24)
    assert pair.agent.selected is None


@pytest.mark.parametrize("message_class", [codec.Class.RESPONSE, codec.Class.ERROR])
def test_responses_are_for_nobody(message_class: codec.Class):
    pair = Pair()
    message = codec.Message(codec.Method.BINDING, message_class)
    message.add_fingerprint()
    assert pair.agent.receive_datagram(bytes(message), WIFI, now=1.0) is None
    assert pair.refused(DropReason.STUN_MALFORMED)


def test_an_indication_is_no_consent():
    pair = Pair()
    message = codec.Message(codec.Method.BINDING, codec.Class.INDICATION)
    message.add_fingerprint()
    assert pair.agent.receive_datagram(bytes(message), WIFI, now=1.0) is None
    assert pair.agent.last_request_at is None
    assert not any(pair.drops.counts.values())


def test_before_a_nomination_the_last_valid_request_leads():
    pair = Pair()
    pair.check(WIFI)
    assert pair.agent.selected == WIFI
    pair.check(MOBILE)
    assert pair.agent.selected == MOBILE


def test_the_newest_nomination_wins():
    pair = Pair()
    pair.nominate(WIFI)
    pair.check(MOBILE)
    assert pair.agent.selected == WIFI
    pair.nominate(MOBILE)
    assert pair.agent.selected == MOBILE
    pair.nominate(WIFI)
    assert pair.agent.selected == WIFI


def test_paths_are_bounded_and_the_selected_one_stays():
    pair = Pair()
    pair.nominate(WIFI)
    for port in range(3 * MAX_PATHS):
        pair.check(("192.0.2.2", port, "198.51.100.1"))
    assert len(pair.agent.paths) == MAX_PATHS
    assert WIFI in pair.agent.paths
    assert ("192.0.2.2", 3 * MAX_PATHS - 1, "198.51.100.1") in pair.agent.paths


def test_after_a_restart_old_credentials_hold_until_the_new_ones_are_used():
    pair = Pair()
    pair.nominate(WIFI)
    pair.agent.restart("new", "q" * 24)
    assert pair.agent.selected == WIFI
    assert pair.check(WIFI, now=2.0).message_class is codec.Class.RESPONSE
    pair.client.set_remote("new", "q" * 24)
    pair.nominate(MOBILE, now=3.0)
    assert pair.agent.selected == MOBILE
    pair.client.set_remote("srv", "p" * 24)
    assert pair.check(WIFI, now=4.0).error_code == 401
    assert pair.agent.last_request_at == 3.0


def test_two_restarts_in_a_row_keep_what_the_peer_still_uses():
    pair = Pair()
    pair.check()
    pair.agent.restart("second", "q" * 24)
    pair.agent.restart("third", "r" * 24)
    assert pair.check().message_class is codec.Class.RESPONSE
    pair.client.set_remote("second", "q" * 24)
    assert pair.check().error_code == 401
    pair.client.set_remote("third", "r" * 24)
    assert pair.check().message_class is codec.Class.RESPONSE
