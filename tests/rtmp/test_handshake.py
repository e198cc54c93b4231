import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import ParseError
from rtmp.handshake import PACKET_LENGTH, ClientHandshake

S1 = bytes(range(8)) + b"s" * (PACKET_LENGTH - 8)


def begin() -> ClientHandshake:
    return ClientHandshake(random_bytes=lambda length: b"r" * length)


def test_the_client_begins_with_version_and_random_data():
    assert begin().data_to_send() == b"\x03" + bytes(8) + b"r" * 1528


@pytest.mark.parametrize("step", [1, 7, 1536, 4000])
def test_it_answers_s1_and_is_done_with_s2(step):
    handshake = begin()
    handshake.data_to_send()
    server, rest, sent = b"\x03" + S1 + b"2" * PACKET_LENGTH + b"rest", b"", b""
    for start in range(0, len(server), step):
        piece = server[start : start + step]
        rest += piece if handshake.done else handshake.receive_data(piece)
        sent += handshake.data_to_send()
    assert handshake.done and rest == b"rest"
    assert sent == S1[:4] + bytes(4) + S1[8:]


def test_c2_does_not_wait_for_s2():
    handshake = begin()
    handshake.data_to_send()
    handshake.receive_data(b"\x03" + S1)
    assert len(handshake.data_to_send()) == PACKET_LENGTH and not handshake.done


@given(st.binary(min_size=1, max_size=50).filter(lambda data: data[0] != 3))
def test_what_is_not_rtmp_is_seen_at_the_first_byte(data):
    with pytest.raises(ParseError):
        begin().receive_data(data)
