"""Webhooks from the log to receivers, over real connections; what takes hours goes by a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from tests.support.clock import Clock
from tests.support.webhook_post import HOUR, make_deliverer
from tests.support.webhook_receiver import running_receiver
from tidegate.config.egress import WebhookConfig
from tidegate.events.bus import EventBus
from tidegate.events.deliver import SWEEP
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.policy import PAUSE_AFTER
from tidegate.store import RoomOptions
from tidegate.store.deliveries import PAUSED


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
    assert (await post.store.events.webhook_summaries(subjects=["r1"]))["r1"] == {
        "totalCount": 1, "successCount": 1, "data": [{"type": "recording-started", "success": True}],
    }  # fmt: skip


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


async def test_what_waited_while_no_node_ran_is_tried_before_it_is_given_up(post, receiver, store, wall, rsa):
    await post.write("a", receiver.url)
    wall.time += 100 * HOUR
    receiver.secret = None  # the other library knows only the true time
    post.deliverer = make_deliverer(store, wall, rsa)
    assert await post.deliver() == 1
    assert await post.states() == ["delivered"] and receiver.types == ["a"]


async def test_a_clock_that_is_set_back_prolongs_no_pause(post, receiver):
    monotonic = Clock()
    post.deliverer._monotonic, post.deliverer._swept = monotonic, monotonic()
    receiver.secret, receiver.answer = None, 500
    for number in range(PAUSE_AFTER):
        await post.write("a", receiver.url, session_id=f"s{number}")
    await post.deliver()
    assert post.deliverer.endpoints.paused == 1
    post.wall.time -= 1000 * HOUR
    receiver.answer = 200
    monotonic.time += SWEEP  # what was put off to then is brought back
    assert await post.deliver() == PAUSE_AFTER
    assert await post.states() == ["delivered"] * PAUSE_AFTER


async def test_what_waits_for_a_paused_endpoint_is_given_up_too(post, receiver):
    receiver.answer = 500
    for number in range(8):
        await post.write("a", receiver.url, session_id=f"s{number}")
    await post.deliver()
    post.wall.time += 73 * HOUR
    for _ in range(4):
        await post.deliver(after=10)
    assert await post.states() == ["dead"] * 8
    assert {row.reason for row in await post.log()} <= {"no success within 72 hours", PAUSED}


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
