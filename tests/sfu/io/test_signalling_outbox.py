"""Broadcasts leave in slices, in order, and rooms take turns."""

import asyncio

import pytest

from media.codecs import Kind
from sfu.io import signalling_events
from sfu.io.signalling_outbox import SLICE, Outbox
from sfu.meeting.participant import Participant
from sfu.meeting.permissions import Grants
from tests.support.meeting import enter, make_room, publish
from tests.support.signalling import stage


class Wire:
    """Stands in for Connection: what it was told, and in which turn of the loop."""

    turn = 0

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.turns: list[int] = []
        self.code: int | None = None

    def send(self, data: bytes) -> None:
        self.told.append(data)
        self.turns.append(Wire.turn)

    def finish(self, code: int) -> None:
        self.code = code


async def turns(count: int) -> None:
    for _ in range(count):
        Wire.turn += 1
        await asyncio.sleep(0)


def fill(outbox: Outbox, room_id: str, count: int) -> list[Wire]:
    wires = [Wire() for _ in range(count)]
    room = make_room()
    room._config = room._config.__class__(max_participants=count)
    for index, wire in enumerate(wires):
        outbox.channel(room_id).add(enter(room, f"{room_id}-{index}"), wire)
    return wires


async def test_a_turn_of_the_loop_sends_one_slice():
    outbox = Outbox(1000)
    wires = fill(outbox, "a", 50)
    channel = outbox.channel("a")
    outbox.broadcast(channel, b"1")
    outbox.broadcast(channel, b"2", skip=wires[0])
    assert channel.backlog == 100
    assert not any(wire.told for wire in wires)
    await turns(20)
    assert channel.backlog == 0
    assert wires[0].told == [b"1"]
    assert all(wire.told == [b"1", b"2"] for wire in wires[1:])
    by_turn: dict[int, int] = {}
    for wire in wires:
        for turn in wire.turns:
            by_turn[turn] = by_turn.get(turn, 0) + 1
    assert max(by_turn.values()) == SLICE
    assert len(by_turn) == 7


async def test_the_text_is_one_object_for_all():
    outbox = Outbox(1000)
    wires = fill(outbox, "a", 20)
    outbox.broadcast(outbox.channel("a"), bytes(b"x" * 10))
    await turns(5)
    assert len({id(wire.told[0]) for wire in wires}) == 1


async def test_what_one_is_told_keeps_its_place_between_broadcasts():
    outbox = Outbox(1000)
    wires = fill(outbox, "a", 40)
    channel = outbox.channel("a")
    outbox.broadcast(channel, b"before")
    outbox.tell(channel, wires[39], b"left", close_code=1000)
    outbox.broadcast(channel, b"after")
    await turns(20)
    assert wires[39].told == [b"before", b"left", b"after"]
    assert wires[39].code == 1000


async def test_a_loud_room_does_not_delay_the_others():
    outbox = Outbox(100_000)
    fill(outbox, "loud", 100)
    quiet = fill(outbox, "quiet", 1)
    for _ in range(50):
        outbox.broadcast(outbox.channel("loud"), b"noise")
    outbox.broadcast(outbox.channel("quiet"), b"word")
    await turns(3)
    assert quiet[0].told == [b"word"]
    outbox.close()


async def test_whoever_comes_later_does_not_hear_what_was_said_before():
    outbox = Outbox(1000)
    fill(outbox, "a", 3)
    channel = outbox.channel("a")
    outbox.broadcast(channel, b"1")
    late = Wire()
    channel.add(enter(make_room(), "late"), late)
    outbox.broadcast(channel, b"2")
    await turns(3)
    assert late.told == [b"2"]


async def test_a_full_room_is_waited_for():
    outbox = Outbox(10)
    fill(outbox, "a", 40)
    channel = outbox.channel("a")
    await outbox.wait_for_room(channel)
    outbox.broadcast(channel, b"1")
    waiting = asyncio.create_task(outbox.wait_for_room(channel))
    await asyncio.sleep(0)
    assert not waiting.done()
    await waiting
    assert channel.backlog <= 10
    outbox.close()


async def test_an_empty_room_is_forgotten_and_still_says_its_last_words():
    outbox = Outbox(1000)
    wires = fill(outbox, "a", 1)
    participant: Participant = enter(make_room(), "a-0")
    channel = outbox.channel("a")
    outbox.tell(channel, wires[0], b"left", close_code=1000)
    for inner_id in list(channel.connections):
        channel.discard(participant.participant_id, inner_id)
    outbox.drop_if_empty("a")
    assert outbox.channels == {}
    await turns(2)
    assert wires[0].code == 1000


@pytest.mark.parametrize("people", [40])
async def test_an_event_is_written_once_for_a_whole_room(monkeypatch, people):
    written = []
    write = signalling_events.messages.event
    monkeypatch.setattr(signalling_events.messages, "event", lambda *args: written.append(args[0]) or write(*args))
    async with stage() as at:
        clients = [await at.join(f"p{index}", token="full", autoSubscribe=False) for index in range(people)]
        written.clear()
        await clients[0].request("update", displayName="new")
        for client in clients[1:]:
            assert (await client.skip_to("participant-updated"))["displayName"] == "new"
    assert written[0] == "participant-updated"
    assert written.count("participant-updated") == 1


async def test_ending_a_room_tells_each_once_and_nobody_of_the_others():
    async with stage() as at:
        clients = [await at.join(f"p{index}") for index in range(20)]
        room = at.rooms["room"]
        publish(room, room.participants["p0"])
        at.server.pump()
        for client in clients:
            await client.request("ping")
            await client.request("ping")
            client.events.clear()
        await clients[0].request("end")
        for client in clients:
            assert (await client.event("left"))["reason"]["code"] == 1008
            assert await client.end() == 1000


def test_hidden_participants_have_no_notices():
    room = make_room()
    enter(room, "ghost", grants=Grants(join=True, hidden=True))
    told = []
    while (event := room.next_event()) is not None:
        told += signalling_events.notices(event)
    assert told == []


def test_a_muted_track_that_nobody_knows_is_not_told():
    room = make_room()
    ann = enter(room, "ann")
    track = room.announce(ann, source=next(iter(Grants.full().publish)), now=0.0)
    assert track.kind in Kind
    while room.next_event() is not None:
        pass
    room.mute(ann, track.track_id, True, now=0.0)
    event = room.next_event()
    assert event is not None and signalling_events.notices(event) == []
