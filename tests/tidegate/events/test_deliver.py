"""Webhooks from the log to a receiver, over real connections; what takes hours goes by a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.clock import Clock
from tests.support.webhook_receiver import WebhookReceiver, running_receiver
from tidegate.config.egress import WebhookConfig
from tidegate.config.model import OutgoingConfig
from tidegate.events.bus import EventBus
from tidegate.events.deliver import Deliverer
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.send import MAX_ANSWER, Sender
from tidegate.events.sign import ProjectSecrets, RsaSigner
from tidegate.outgoing import OutgoingGuard
from tidegate.store import RoomOptions, Store

MINUTE, HOUR = 60.0, 3600.0


@dataclass
class Post:
    """A store, its log, and what sends: of one project."""

    store: Store
    events: EventLog
    deliverer: Deliverer
    rsa: RsaSigner
    secrets: ProjectSecrets
    wall: Clock
    project_id: str

    async def write(self, kind: str, url: str | None = None, **more: Any) -> None:
        fields = {"room_id": None, "session_id": "s1", "data": {"n": more.pop("n", 0)}, **more}
        await self.events.write(NewEvent(kind, self.project_id, webhook_url=url, **fields))

    async def deliver(self, after: float = 0.0) -> int:
        """Everything that is due after so many seconds; how many attempts that were."""
        self.wall.time += after
        attempts = 0
        while done := await self.deliverer.deliver_due():
            attempts += done
        return attempts

    async def log(self, **filters: Any) -> list[Any]:
        """Deliveries, oldest event first."""
        return (await self.store.deliveries.list(self.project_id, per_page=100, **filters)).rows[::-1]

    async def states(self) -> list[str]:
        return [row.state for row in await self.log()]

    async def attempts(self, number: int = 0) -> list[Any]:
        delivery = (await self.log())[number]
        return (await self.store.deliveries.attempts([delivery.id]))[delivery.id]

    async def receiver_knows(self, receiver: WebhookReceiver) -> WebhookReceiver:
        receiver.public_key = self.rsa.public_pem
        receiver.secret = await self.secrets.current(self.project_id)
        return receiver


def make_deliverer(store, wall, rsa, *, allow=("127.0.0.0/8",), sender=None, **config):
    config = WebhookConfig(**{"timeout": 5.0, **config})
    secrets = ProjectSecrets(store.settings, os.urandom)
    sender = sender or Sender(OutgoingGuard(OutgoingConfig(allow=allow)), config.timeout)
    return Deliverer(store, sender, rsa, secrets, config, wall, random=lambda: 0.0)


@pytest.fixture(scope="session")
def rsa(tmp_path_factory) -> RsaSigner:
    return RsaSigner.load_or_create(tmp_path_factory.mktemp("key"))


@pytest.fixture
async def post(store, wall, rsa):
    wall.time = float(int(time.time()))  # Standard Webhooks refuses what is not from these minutes
    project_id = (await store.first_key()).project_id
    deliverer = make_deliverer(store, wall, rsa)
    return Post(store, EventLog(store, EventBus()), deliverer, rsa, deliverer._secrets, wall, project_id)


@pytest.fixture
async def receiver(post):
    async with running_receiver() as receiver:
        yield await post.receiver_knows(receiver)


async def test_an_event_arrives_signed_twice(post, receiver):
    await post.write("recording-started", receiver.url, data={"meetingId": "m", "name": "日本 <ä>"}, subject="r1")
    assert await post.deliver() == 1
    assert receiver.forged == []
    got = receiver.seen[0]
    assert got.json == {
        "webhookType": "recording-started", "data": {"meetingId": "m", "name": "日本 <ä>"}, "id": "1", "time": got.json["time"],
    }  # fmt: skip
    assert got.headers["content-type"] == "application/json" and "tidegate-out-of-order" not in got.headers
    [delivery] = await post.log()
    assert (delivery.state, delivery.attempts, delivery.id) == ("delivered", 1, got.id)
    assert await post.deliver() == 0
    assert await post.store.events.webhook_summary("r1") == {
        "totalCount": 1, "successCount": 1, "data": [{"type": "recording-started", "success": True}],
    }  # fmt: skip


# Receivers as they are


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


@pytest.mark.parametrize("location", ["rtmp://93.184.216.34/live", "file:///etc/passwd", "http://[::1", "//", "http://169.254.169.254/latest/"])
async def test_redirects_to_nowhere(post, receiver, location):
    receiver.answer = web.Response(status=307, headers={"Location": location})
    await post.write("a", receiver.url)
    await post.deliver()
    [attempt] = await post.attempts()
    assert attempt.error.startswith("refused by this server") and len(receiver.seen) == 1


async def test_a_retry_after_that_is_a_date(post, receiver):
    when = datetime.fromtimestamp(post.wall.time + 300, UTC)
    receiver.script.append(web.Response(status=503, headers={"Retry-After": format_datetime(when, usegmt=True)}))
    receiver.script.append(web.Response(status=503, headers={"Retry-After": "soon"}))
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


# Order, pauses, the end


async def test_later_events_of_a_session_wait_for_earlier_ones(post, receiver):
    receiver.script.append(500)
    for number, session in enumerate(("s1", "s1", "s2", "s1")):
        await post.write(f"{session}-{number}", receiver.url, session_id=session)
    await post.deliver()
    assert receiver.types == ["s1-0", "s2-2"], "s1 waits for its first; s2 waits for nobody"
    await post.deliver(after=5)
    assert receiver.types[2:] == ["s1-0", "s1-1", "s1-3"]


async def test_an_hour_later_they_go_and_say_so(post, receiver):
    async def not_the_first(request):
        body = await request.json()
        return web.Response(status=500 if body["webhookType"] == "first" else 200)

    receiver.answer, receiver.secret = not_the_first, None  # the other library knows only the true time
    await post.write("first", receiver.url)
    await post.write("second", receiver.url)
    await post.write("third", receiver.url)
    while post.wall.time < (await post.log())[0].created_at / 1000 + HOUR - 60:
        await post.deliver(after=60)
    assert set(receiver.types) == {"first"}
    await post.deliver(after=60)
    assert [one.type for one in receiver.seen if one.type != "first"] == ["second", "third"]
    late = [one.headers.get("tidegate-out-of-order") for one in receiver.seen if one.type != "first"]
    assert late == ["true", "true"]
    assert [one.out_of_order for one in await post.attempts(1)] == [True]
    receiver.answer = 200
    await post.deliver(after=HOUR)
    assert receiver.types[-1] == "first" and await post.states() == ["delivered"] * 3


async def test_a_failing_endpoint_is_paused_as_a_whole_and_holds_up_no_other(post, receiver):
    async with running_receiver() as good:
        receiver.answer = 500
        for number in range(30):
            await post.write(f"bad-{number}", receiver.url, session_id=f"s{number}")
        await post.write("good", good.url, session_id="x")
        await post.deliver()
        assert good.types == ["good"]
        assert 5 <= len(receiver.seen) <= 8, "the ones that were under way together, and no more"
        assert post.deliverer.endpoints.paused == 1
        seen = len(receiver.seen)
        await post.deliver(after=5)
        assert len(receiver.seen) == seen + 1, "one probe"
        await post.deliver(after=29)
        assert len(receiver.seen) == seen + 1
        await post.write("good again", good.url, session_id="x")
        receiver.answer = 200
        await post.deliver(after=1)
        assert good.types == ["good", "good again"]
        assert set(await post.states()) == {"delivered"}, "a probe got through: everything that waited followed it"
        assert post.deliverer.endpoints.paused == 0


async def test_nothing_is_tried_for_ever_and_dead_ones_can_be_sent_again(post, receiver):
    receiver.answer, receiver.secret = 500, None  # the other library knows only the true time
    await post.write("a", receiver.url)
    began = post.wall.time
    while (await post.states())[0] == "waiting":
        await post.deliver(after=HOUR / 2)
        assert post.wall.time < began + 80 * HOUR
    [delivery] = await post.log()
    assert post.wall.time - began >= 72 * HOUR and "72 hours" in delivery.reason
    attempts = await post.attempts()
    assert 70 < len(attempts) < 90
    receiver.answer = 200
    assert await post.store.deliveries.send_again(
        post.project_id, delivery.id, now_ms=int(post.wall.time * 1000), give_up_ms=1000
    )
    await post.deliver()
    [delivery] = await post.log()
    assert (delivery.state, delivery.reason) == ("delivered", None)
    assert receiver.seen[-1].id == receiver.seen[0].id


async def test_what_waits_for_a_paused_endpoint_is_given_up_too(post, receiver):
    receiver.answer = 500
    for number in range(8):
        await post.write("a", receiver.url, session_id=f"s{number}")
    await post.deliver()
    post.wall.time += 73 * HOUR
    for _ in range(4):
        await post.deliver(after=10)
    assert await post.states() == ["dead"] * 8
    assert {row.reason for row in await post.log()} <= {"no success within 72 hours", "its time was up while the endpoint was paused, since nothing got through"}


# Addresses


async def test_who_gets_what(post, receiver):
    room, _ = await post.store.rooms.create(
        post.project_id, "key", RoomOptions(webhook={"endPoint": f"{receiver.url}/room", "events": ["session*"]})
    )
    own = await post.store.webhook_endpoints.create(post.project_id, f"{receiver.url}/own", ["*-started"], "whsec_" + "aa" * 16)
    other = await post.store.projects.create("other")
    await post.store.webhook_endpoints.create(other.id, f"{receiver.url}/other", ["*"], "whsec_" + "bb" * 16)
    events = EventLog(post.store, EventBus(), WebhookConfig(url=f"{receiver.url}/account", events=("session-ended", "x*")))

    async def write(kind, **more):
        await events.write(NewEvent(kind, post.project_id, room.room_id, "s1", {}, **more))
        return {row.url.rsplit("/", 1)[1] for row in await post.log(type=kind)}

    assert await write("session-started") == {"room", "own"}
    assert await write("session-ended") == {"room", "account"}
    assert await write("participant-left") == set()
    assert await write("participant-joined", webhook_url=f"{receiver.url}/call") == {"call"}
    assert await write("session-x", webhook_url=f"{receiver.url}/room") == {"room"}
    assert len(await post.log(type="session-x")) == 1, "an address that is named twice gets it once"
    assert await write("session-hidden", hidden=True) == set()

    receiver.secret = None
    await post.deliver()
    receiver.public_key, receiver.secret = None, own.secret
    assert {one.path for one in receiver.seen} == {"/hook/room", "/hook/own", "/hook/account", "/hook/call"}
    from standardwebhooks import Webhook

    [mine] = [one for one in receiver.seen if one.path == "/hook/own"]
    Webhook(own.secret).verify(mine.body, mine.headers)
    assert await post.store.webhook_endpoints.delete(post.project_id, own.id)
    assert await write("recording-started") == set()


async def test_what_waits_for_an_endpoint_that_is_deleted_is_dead(post, receiver):
    own = await post.store.webhook_endpoints.create(post.project_id, receiver.url, ["*"], "whsec_" + "aa" * 16)
    await post.write("a")
    await post.store.webhook_endpoints.delete(post.project_id, own.id)
    assert await post.deliver() == 0 and receiver.seen == []
    [delivery] = await post.log()
    assert (delivery.state, delivery.reason) == ("dead", "the endpoint was deleted")


async def test_a_rotated_secret_signs_for_another_day(post, receiver):
    old = receiver.secret
    new = await post.secrets.rotate(post.project_id, int(post.wall.time * 1000))
    assert new != old
    for secret in (old, new):
        receiver.secret = secret
        await post.write("a", receiver.url)
        await post.deliver()
    assert len(receiver.seen) == 2 and receiver.forged == []
    assert await post.secrets.signing(post.project_id, int((post.wall.time + 25 * HOUR) * 1000)) == [new]


# The task


async def test_the_task_sends_what_is_written_and_survives_its_end(post, receiver, store, wall, rsa):
    post.events.on_deliveries = post.deliverer.wake
    task = asyncio.create_task(post.deliverer.run())
    await post.write("a", receiver.url)
    await receiver.wait_for("a")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await post.write("b", receiver.url)  # nobody sends
    await store.recover()  # what the next start does
    later = make_deliverer(store, wall, rsa)
    task = asyncio.create_task(later.run())
    await receiver.wait_for("b")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_was_being_sent_at_the_end_is_sent_again(post, store, wall, rsa):
    hangs = asyncio.Event()

    async def hang(request):
        hangs.set()
        await asyncio.Event().wait()

    async with running_receiver() as receiver:
        receiver.script.append(hang)
        await post.write("a", receiver.url)
        task = asyncio.create_task(post.deliverer.run())
        await asyncio.wait_for(hangs.wait(), 20)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await post.deliver() == 0, "the lease of the one that died still holds"
        await store.recover()
        post.deliverer = make_deliverer(store, wall, rsa)
        assert await post.deliver() == 1
        assert receiver.types == ["a", "a"] and receiver.seen[0].id == receiver.seen[1].id


def test_the_key_is_kept_and_nobody_else_can_read_it(tmp_path: Path):
    from media.errors import ConfigError

    first = RsaSigner.load_or_create(tmp_path)
    assert RsaSigner.load_or_create(tmp_path).public_pem == first.public_pem
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError):
        RsaSigner.load_or_create(tmp_path)
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(ConfigError):
        RsaSigner.load_or_create(tmp_path)
