"""One POST at receivers as they are: down, slow, redirecting, cutting the connection, talking without end."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from aiohttp import web

from tests.support.webhook_post import HOUR, make_deliverer
from tests.support.webhook_receiver import running_receiver
from tidegate.events import send
from tidegate.events.send import MAX_ANSWER


async def test_a_receiver_that_answers_500_and_then_200(post, receiver):
    receiver.script.extend([500, web.Response(status=503, text="not now"), 204])
    await post.write("a", receiver.url)
    assert await post.deliver() == 1
    assert await post.deliver(after=4.9) == 0
    assert await post.deliver(after=0.1) == 1
    assert await post.deliver(after=29.9) == 0
    assert await post.deliver(after=0.1) == 1
    assert await post.states() == ["delivered"]
    attempts = await post.attempts()
    assert [(one.status, one.error, one.answer) for one in attempts] == [
        (500, "answered 500", ""), (503, "answered 503", "not now"), (204, None, ""),
    ]  # fmt: skip
    assert len({one.id for one in receiver.seen}) == 1, "one webhook-id for all attempts"
    stamps = [int(one.headers["webhook-timestamp"]) for one in receiver.seen]
    assert stamps[0] < stamps[1] < stamps[2], "each attempt has a timestamp of its own"


async def test_a_receiver_that_is_down_at_first(post):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        await post.write("a", f"http://127.0.0.1:{port}/hook")
        assert await post.deliver() == 1  # nobody listens
    assert [one.error for one in await post.attempts()] == ["no connection: Connection refused"]
    async with running_receiver(port) as receiver:
        await post.deliver(after=5)
        assert receiver.types == ["a"]
    assert await post.states() == ["delivered"]


async def test_an_answer_whose_end_never_comes_is_an_answer(store, wall, rsa, post, monkeypatch):
    """The status says that it arrived: sent again it would be there twice."""
    monkeypatch.setattr(send, "ANSWER_PATIENCE", 0.5)
    release = asyncio.Event()

    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"well,")
        await release.wait()
        return response

    post.deliverer = make_deliverer(store, wall, rsa, timeout=0.4)
    async with running_receiver(answer=endless) as receiver:
        await post.write("a", receiver.url)
        await post.deliver()
        release.set()
    assert [(one.status, one.error, one.answer) for one in await post.attempts()] == [(200, None, "well,")]
    assert await post.states() == ["delivered"]


async def test_a_slow_receiver_is_not_waited_for(store, wall, rsa, post):
    release = asyncio.Event()

    async def slow(request):
        await release.wait()
        return web.Response()

    post.deliverer = make_deliverer(store, wall, rsa, timeout=0.2)
    async with running_receiver(answer=slow) as receiver:
        await post.write("a", receiver.url)
        await post.deliver()
        assert [one.error for one in await post.attempts()] == ["no answer within 0.2 s"]
        release.set()
        receiver.answer = 200
        await post.deliver(after=5)
    assert await post.states() == ["delivered"]


async def test_redirects_that_keep_the_post_are_followed(post, receiver):
    async with running_receiver() as other:
        receiver.script.extend([web.Response(status=308, headers={"Location": "/second"}), web.Response(status=307, headers={"Location": other.url})])
        await post.write("a", receiver.url)
        await post.deliver()
        assert [one.path for one in receiver.seen] == ["/hook", "/second"]
        assert other.seen[0].body == receiver.seen[0].body and other.seen[0].headers["webhook-signature"]
    assert await post.states() == ["delivered"]


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_redirects_that_lose_the_post_are_said_so(post, receiver, status):
    receiver.answer = web.Response(status=status, headers={"Location": "/elsewhere"})
    await post.write("a", receiver.url)
    await post.deliver()
    [attempt] = await post.attempts()
    assert attempt.status == status and "would turn the POST into a GET" in attempt.error
    assert len(receiver.seen) == 1 and await post.states() == ["waiting"]


async def test_a_redirect_to_a_forbidden_address_is_not_followed(store, wall, rsa, post):
    """127.0.0.1 is allowed, 127.0.0.2 is not: somebody listens there, and must hear nothing."""
    heard = []
    server = await asyncio.start_server(lambda reader, writer: heard.append(writer) or writer.close(), "127.0.0.2", 0)
    port = server.sockets[0].getsockname()[1]
    post.deliverer = make_deliverer(store, wall, rsa, allow=("127.0.0.1/32",))
    async with server, running_receiver() as receiver:
        receiver.answer = web.Response(status=307, headers={"Location": f"http://127.0.0.2:{port}/"})
        await post.write("a", receiver.url)
        await post.deliver()
    [attempt] = await post.attempts()
    assert attempt.error.startswith("refused by this server") and heard == [] and len(receiver.seen) == 1


@pytest.mark.parametrize("location", ["rtmp://93.184.216.34/live", "file:///etc/passwd", "http://[::1", "http://169.254.169.254/latest/"])
async def test_redirects_to_nowhere(post, receiver, location):
    receiver.answer = web.Response(status=307, headers={"Location": location})
    await post.write("a", receiver.url)
    await post.deliver()
    [attempt] = await post.attempts()
    assert attempt.error.startswith("refused by this server") and len(receiver.seen) == 1


@pytest.mark.parametrize("nonsense", ["soon", "Mon, 01 Jan 2024 00:00:00 +999999999999999999"])
async def test_a_retry_after_that_is_a_date(post, receiver, nonsense):
    receiver.secret = None  # the other library knows only the true time
    when = datetime.fromtimestamp(post.wall.time + 300, UTC)
    receiver.script.append(web.Response(status=503, headers={"Retry-After": format_datetime(when, usegmt=True)}))
    receiver.script.append(web.Response(status=503, headers={"Retry-After": nonsense}))
    await post.write("a", receiver.url)
    await post.deliver()
    assert await post.deliver(after=290) == 0
    assert await post.deliver(after=11) == 1
    assert await post.deliver(after=30) == 1, "what is neither seconds nor a date counts for nothing"
    assert await post.states() == ["delivered"]


async def test_redirects_have_an_end(post, receiver):
    async def again(request):
        return web.Response(status=307, headers={"Location": "/hook"})

    receiver.answer = again
    await post.write("a", receiver.url)
    await post.deliver()
    assert len(receiver.seen) == 4
    assert (await post.attempts())[0].error == "redirects more than 3 times"


async def test_410_is_the_end(post, receiver):
    receiver.answer = 410
    await post.write("a", receiver.url)
    await post.deliver()
    [delivery] = await post.log()
    assert delivery.state == "dead" and "410" in delivery.reason
    assert await post.deliver(after=HOUR) == 0


async def test_retry_after_is_kept_for_the_whole_endpoint(post, receiver):
    receiver.script.append(web.Response(status=429, headers={"Retry-After": "120"}))
    await post.write("a", receiver.url)
    await post.deliver()
    await post.write("b", receiver.url, session_id="s2")
    assert await post.deliver(after=119) == 0
    assert await post.deliver(after=1) == 2
    assert await post.states() == ["delivered", "delivered"]


async def test_a_connection_that_is_cut(post, receiver):
    async def cut(request):
        request.transport.abort()
        return web.Response()

    receiver.script.append(cut)
    await post.write("a", receiver.url)
    await post.deliver()
    assert [one.error for one in await post.attempts()] == ["the connection broke off before the answer"]
    await post.deliver(after=5)
    assert await post.states() == ["delivered"]


async def test_a_huge_answer_is_not_read(post, receiver):
    sent = Counter()

    async def huge(request):
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(10_000):
                await response.write(b"x" * 65_536)
                sent["bytes"] += 65_536
        return response

    receiver.answer = huge
    await post.write("a", receiver.url)
    await post.deliver()
    [attempt] = await post.attempts()
    assert attempt.answer == "x" * MAX_ANSWER and await post.states() == ["delivered"]
    assert sent["bytes"] < 100 * 65_536


async def test_what_is_kept_of_an_answer_has_no_secrets(post, receiver):
    receiver.answer = web.Response(status=500, text="you sent token=abcdef123456 \x00 and \ud83d".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    await post.write("a", receiver.url)
    await post.deliver()
    [attempt] = await post.attempts()
    assert "abcdef" not in attempt.answer and "\0" not in attempt.answer


async def test_something_that_is_no_http(post):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        await post.write("a", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await post.deliver()
    [attempt] = await post.attempts()
    assert attempt.error.startswith("no proper HTTP answer") and await post.states() == ["waiting"]


