"""Recordings and broadcasts asked for by signalling; pins, speakers and states told. Real sockets, an application that can wait."""

import asyncio
import logging

import pytest

from media.errors import PeerError
from sfu.io import signalling_egress
from sfu.io.signalling_egress import GRANTS, MAX_PARAMS_BYTES
from sfu.io.signalling_ports import Admission
from sfu.meeting.permissions import Grants
from sfu.meeting.refusals import Refusal
from tests.support.levels import heard
from tests.support.signalling import TOKENS, stage


class FakeEgress:
    """Answers with what it was asked; a command named in `held` waits until `release`."""

    def __init__(self):
        self.asked = []
        self.cancelled = 0
        self.held = set()
        self.release = asyncio.Event()

    async def command(self, participant, method, params):
        self.asked.append((participant.participant_id, method, params))
        try:
            if method in self.held:
                await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if params.get("refuse"):
            raise Refusal.START_RECORDING_FAILED("there is no worker free")
        if params.get("bug"):
            raise ZeroDivisionError("secret words")
        return {"did": method}


@pytest.fixture
async def egress():
    return FakeEgress()


@pytest.fixture
async def at(egress, monkeypatch):
    monkeypatch.setitem(TOKENS, "recorder", Admission("room", Grants(join=True, record=True)))
    monkeypatch.setitem(TOKENS, "broadcaster", Admission("room", Grants(join=True, broadcast=True)))
    async with stage(egress=egress) as found:
        yield found


@pytest.mark.parametrize("method", sorted(GRANTS))
async def test_the_application_is_asked_with_the_whole_object(at, egress, method):
    ann = await at.join("ann")
    params = {"config": {"layout": {"type": "GRID", "gridSize": 9}}, "model_config": 1, "root": None, "ünï": [1.5, "x"]}
    assert await ann.request(method, **params) == {"did": method}
    assert egress.asked == [("ann", method, params)]


async def test_grants_are_looked_at_first(at, egress):
    nobody, recorder, broadcaster = [await at.join(name, token=name) for name in ("listener", "recorder", "broadcaster")]
    for method, needed in GRANTS.items():
        assert await nobody.refused(method) == 4025
        for client, grant in ((recorder, "record"), (broadcaster, "broadcast")):
            if grant in needed:
                assert await client.request(method) == {"did": method}
            else:
                assert await client.refused(method) == 4025
    assert len(egress.asked) == 6


async def test_grants_that_were_taken_away_are_gone(at, egress):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.request("set-grants", participantId="ben", grants={"record": False})
    assert await ben.refused("start-recording") == 4025
    assert egress.asked == []


async def test_without_an_application_it_is_refused_in_words():
    async with stage() as at:
        ann = await at.join("ann")
        message = await ann.answer(await ann.send("start-recording"))
        assert message["error"]["code"] == 4099 and "records" in message["error"]["message"]


async def test_other_requests_do_not_wait(at, egress):
    egress.held.add("start-recording")
    ann = await at.join("ann")
    slow = await ann.send("start-recording")
    await ann.request("ping")
    await ann.request("update", displayName="Ann")
    egress.release.set()
    assert (await ann.answer(slow))["result"] == {"did": "start-recording"}


async def test_one_at_a_time_even_over_two_sockets(at, egress):
    egress.held.add("start-recording")
    ann = await at.join("ann")
    slow = await ann.send("start-recording")
    assert await ann.refused("stop-recording") == 4091
    ben = await at.join("ben")
    assert await ben.request("stop-livestream") == {"did": "stop-livestream"}
    again = await at.join("ann", resumeToken=ann.joined["resumeToken"])
    assert again.joined["resumed"]
    assert await again.refused("start-livestream") == 4091
    egress.release.set()
    await at.until(lambda: not at.signalling._desk._running)
    assert await again.request("start-livestream") == {"did": "start-livestream"}
    assert slow and len(egress.asked) == 3


async def test_they_are_bounded_in_all_whoever_leaves_and_comes_back(at, egress, monkeypatch):
    monkeypatch.setattr(signalling_egress, "MAX_RUNNING", 2)
    egress.held.add("start-recording")
    for _ in range(2):
        ann = await at.join("ann")
        await ann.send("start-recording")
        await ann.request("leave")
    ann = await at.join("ann")
    assert await ann.refused("stop-recording") == 4098
    egress.release.set()
    await at.until(lambda: not at.signalling._desk._running)
    assert await ann.request("stop-recording") == {"did": "stop-recording"}


async def test_who_leaves_meanwhile_changes_nothing_for_the_command(at, egress):
    egress.held.add("start-recording")
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.send("start-recording")
    await ann.send("leave")
    await ben.skip_to("participant-left")
    egress.release.set()
    await at.until(lambda: not at.signalling._desk._running)
    assert egress.cancelled == 0 and await ben.request("ping")


async def test_the_applications_refusals_and_bugs_are_answers(at, egress, caplog):
    ann = await at.join("ann")
    message = await ann.answer(await ann.send("start-recording", refuse=True))
    assert message["error"] == {"code": 4011, "name": "START_RECORDING_FAILED", "message": "there is no worker free"}
    with caplog.at_level(logging.ERROR):
        message = await ann.answer(await ann.send("start-recording", bug=True))
    assert message["error"]["code"] == 5000 and "secret" not in message["error"]["message"]
    assert message["error"]["message"].split()[-1] in caplog.text
    assert await ann.request("start-recording") == {"did": "start-recording"}, "the socket stays"


async def test_an_object_that_is_too_large_is_refused(at, egress):
    ann = await at.join("ann")
    assert await ann.refused("start-recording", x="y" * MAX_PARAMS_BYTES) == 4091
    assert await ann.request("start-recording", x="y" * (MAX_PARAMS_BYTES - 20))
    assert await ann.request("start-recording", x="\u0645" * (MAX_PARAMS_BYTES // 2 - 20)), "two bytes as UTF-8"


@pytest.mark.parametrize("params", [[], "x", 3, None])
async def test_what_is_no_object_is_no_message(at, egress, params):
    ann = await at.join("ann")
    await ann.ws.send_json({"id": 7, "method": "start-recording", "params": params})
    assert (await ann.answer(7))["error"]["code"] == 4092
    assert egress.asked == []


async def test_before_join_nothing_is_asked(at, egress):
    client = await at.connect()
    assert await client.refused("start-recording") == 4096
    assert egress.asked == []


async def test_what_is_not_done_when_the_server_closes_is_cancelled():
    egress = FakeEgress()
    egress.held.add("start-recording")
    async with stage(egress=egress) as at:
        ann = await at.join("ann")
        await ann.send("start-recording")
        await at.until(lambda: bool(egress.asked))
    assert egress.cancelled == 1


# What everybody is told


async def test_states_are_told_to_everybody_and_to_late_joiners(at):
    ann, ghost = await at.join("ann"), await at.join("ghost", token="hidden")
    room = at.rooms["room"]
    for status in ("RECORDING_STARTING", "RECORDING_STARTED"):
        room.state.set("recording", {"status": status, "recordingId": "r1"})
    room.state.set("livestream", {"status": "LIVESTREAM_STARTING"})
    room.state.set("hls", {"status": "HLS_STARTED"})
    room.state.set("hls", None)
    at.server.pump()
    for client in (ann, ghost):
        for status in ("RECORDING_STARTING", "RECORDING_STARTED"):
            assert await client.event("recording-state-changed") == {"status": status, "recordingId": "r1"}
        assert await client.event("livestream-state-changed") == {"status": "LIVESTREAM_STARTING"}
        assert await client.event("hls-state-changed") == {"status": "HLS_STARTED"}
    late = await at.join("late")
    state = {
        "recording": {"status": "RECORDING_STARTED", "recordingId": "r1"}, "livestream": {"status": "LIVESTREAM_STARTING"}
    }  # fmt: skip
    assert late.joined["state"] == state
    ann.drop()
    await late.skip_to("participant-disconnected")
    back = await at.join("ann", resumeToken=ann.joined["resumeToken"])
    assert back.joined["resumed"] and back.joined["state"] == state


async def test_pins_are_told_to_everybody_and_to_late_joiners(at):
    ann, ben = await at.join("ann"), await at.join("ben", token="guest")
    await ann.skip_to("participant-joined")
    assert await ann.request("pin", participantId="ben") == {}
    pinned = {"participantId": "ben", "state": {"cam": True, "share": True}, "pinnedBy": "ann"}
    assert await ann.event("pin-state-changed") == await ben.event("pin-state-changed") == pinned
    assert await ann.request("unpin", participantId="ben", type="SHARE") == {}
    pinned = {"participantId": "ben", "state": {"cam": True, "share": False}, "pinnedBy": "ann"}
    assert await ben.event("pin-state-changed") == pinned
    late = await at.join("late")
    assert late.joined["pins"] == [pinned]
    assert await ann.request("unpin", participantId="ben", type="CAM") == {}
    assert (await late.event("pin-state-changed"))["state"] == {"cam": False, "share": False}
    assert (await at.join("later")).joined["pins"] == []


async def test_pins_are_refused(at):
    ann, ben = await at.join("ann"), await at.join("ben", token="guest")
    assert await ben.refused("pin", participantId="ann") == 4072
    assert await ben.refused("unpin", participantId="ann") == 4071
    assert await ann.refused("pin", participantId="nobody", type="CAM") == 4072
    assert await ann.refused("unpin", participantId="nobody") == 4071
    for params in ({}, {"participantId": "ben", "type": "cam"}, {"participantId": 3}, {"participantId": "ben", "x": 1}):
        assert await ann.refused("pin", **params) == 4092
    assert at.rooms["room"].pins.pins == {}


async def test_the_speaker_is_told_to_everybody_and_to_late_joiners(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.skip_to("participant-joined")
    assert ann.joined["activeSpeakerId"] is None
    room = at.rooms["room"]

    def speak(name):
        for _ in range(10):
            room.speakers.hear([heard(name, iter([25] * 5))], now=at.server.now())
        at.server.pump()

    speak("ann")
    for client in (ann, ben):
        assert await client.event("speaker-changed") == {"participantId": "ann"}
    late = await at.join("late")
    assert late.joined["activeSpeakerId"] == "ann"
    for _ in range(50):
        room.speakers.hear([], now=at.server.now())
    at.server.pump()
    assert await late.event("speaker-changed") == {"participantId": None}


def test_refusals_of_the_application_have_the_references_numbers():
    error = Refusal.PREV_RECORDING_PROCESSING("there is one")
    assert isinstance(error, PeerError) and error.code == 4018
