"""The bounds of one socket's queue, and the rate of its messages."""

from typing import Any

import pytest

from sfu.io.signalling_config import SignallingConfig
from sfu.io.signalling_connection import Connection, SignallingStats, TokenBucket
from sfu.meeting.refusals import Refusal


class FakeTransport:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


class FakeSocket:
    """Reads nothing before it is closed."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.code: int | None = None

    async def send_frame(self, data: bytes, kind: Any) -> None:
        self.sent.append(data)

    async def close(self, *, code: int) -> None:
        self.code = code


def connect(**limits: Any) -> Connection:
    ws: Any = FakeSocket()
    transport: Any = FakeTransport()
    return Connection(ws, transport, SignallingConfig(**limits), SignallingStats(), peer="x", origin=None, own_origin="", now=0.0)


@pytest.mark.parametrize(("limits", "fits"), [({"max_waiting_messages": 3}, 3), ({"max_waiting_bytes": 40}, 4)])
async def test_who_does_not_read_is_cut_off_at_the_bound(limits, fits):
    connection = connect(**limits)
    for _ in range(fits):
        connection.send(b"x" * 10)
    assert not connection.ending
    connection.send(b"x" * 10)
    assert connection.ending and connection._transport.aborted
    assert not connection._waiting
    connection.send(b"more")
    assert not connection._waiting
    await connection.write()
    assert connection.ws.sent == []
    assert connection._stats.not_reading == 1


async def test_what_waits_is_sent_before_the_close_and_nothing_after():
    connection = connect()
    connection.send(b"1")
    connection.fail(Refusal.TOO_MUCH("slower"))
    connection.send(b"3")
    connection.finish(1000)
    await connection.write()
    connection._transport.close = lambda: None
    await connection.close()
    assert connection.ws.sent[0] == b"1" and b"TOO_MUCH" in connection.ws.sent[1] and len(connection.ws.sent) == 2
    assert connection.ws.code == 4091
    assert connection._deadline.cancelled()


async def test_errors_of_ours_end_with_a_code_that_websockets_have():
    connection = connect()
    connection.fail(Refusal.INTERNAL("oh"))
    assert connection._close_code == 1011
    connection._deadline.cancel()


def test_a_bucket_fills_with_time_up_to_its_size():
    bucket = TokenBucket(2.0, 3, now=0.0)
    assert [bucket.take(now=0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(now=0.4) is False
    assert bucket.take(now=0.5) is True
    assert [bucket.take(now=1000.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(5, now=2000.0), "what was begun is taken"
    assert not bucket.take(now=2001.4) and bucket.take(now=2001.5)
