"""The WebSocket of docs/signalling.md between a real server and real clients, over a media server without media."""

import asyncio
import json

import aiohttp
import pytest

from sfu.config import SfuConfig
from sfu.io.signalling_config import SignallingConfig
from sfu.meeting.participant import CloseReason, ParticipantState
from sfu.meeting.permissions import Grants
from tests.support.signalling import stage


@pytest.fixture
async def at():
    async with stage() as found:
        yield found


async def publish(client, source="mic", kind="audio", **more):
    track_id = (await client.request("announce", source=source, kind=kind, **more))["trackId"]
    await client.request("publish", sdp="offer", tracks=[{"mid": "0", "trackId": track_id}])
    return track_id


# Joining


async def test_join_tells_who_and_what_is_there(at):
    ann = await at.join("ann", displayName="Ann", metaData={"a": [1]}, attributes={"k": "v"}, sdk={"type": "js", "x": 1})
    track_id = await publish(ann)
    ben = await at.join("ben", room="custom", token="guest", mode="RECV_ONLY")
    room = at.rooms["room"]
    assert ben.joined == {
        "version": 1,
        "roomId": "room",
        "sessionId": room.session_id,
        "participantId": "ben",
        "resumeToken": room.participants["ben"].resume_token,
        "resumed": False,
        "resumeWindow": 15.0,
        "participant": {
            "participantId": "ben", "displayName": "", "mode": "RECV_ONLY",
            "joinedAt": ben.joined["participant"]["joinedAt"], "metaData": None, "attributes": {}, "version": 1, "tracks": [],
        },
        "participants": [
            {
                "participantId": "ann", "displayName": "Ann", "mode": "SEND_AND_RECV",
                "joinedAt": ann.joined["participant"]["joinedAt"], "metaData": {"a": [1]}, "attributes": {"k": "v"}, "version": 1,
                "tracks": [
                    {"trackId": track_id, "source": "mic", "kind": "audio", "name": "", "muted": False,
                     "simulcast": False, "codec": "opus"},
                ],
            }
        ],
        "grants": {**Grants.full().to_wire(), "moderate": False, "end": False},
        "iceServers": [],
        "activeSpeakerId": None,
        "pins": [],
        "state": {},
    }  # fmt: skip
    assert ben.joined["participant"]["joinedAt"].endswith("Z")
    joined = await ann.skip_to("participant-joined")
    assert joined == ben.joined["participant"]
    assert ann.joined["participants"] == []


async def test_the_answer_comes_before_what_follows_from_it(at):
    ann = await at.join("ann")
    await publish(ann)
    ben = await at.connect()
    await ben.send("join", token="full", roomId="room", participantId="ben")
    assert (await ben.receive())["id"] == 1
    assert (await ben.receive())["event"] == "subscribe-offer"


async def test_ids_are_the_callers_the_tokens_or_made(at):
    assert len((await at.join()).joined["participantId"]) == 8
    assert (await at.join("x")).joined["participantId"] == "x"
    assert (await at.join(token="ann")).joined["participantId"] == "ann"


async def test_refused_joins_have_their_codes_and_may_be_tried_again(at):
    client = await at.connect()
    assert await client.refused("join", token="no", roomId="room") == 4002
    assert await client.refused("join", token="full", roomId="nowhere") == 4003
    assert await client.refused("join", token="full", roomId="room", participantId="a b") == 4004
    assert await client.refused("join", token="full", roomId="room", participantId="") == 4004
    assert await client.refused("announce", source="mic", kind="audio") == 4096
    assert at.rooms == {}
    await client.request("join", token="small", roomId="room")
    assert await client.refused("join", token="full", roomId="room") == 4097
    other = await at.connect()
    assert await other.refused("join", token="small", roomId="room") == 4009


async def test_the_subprotocol_is_spoken_if_asked_for(at):
    client = await at.connect(protocols=("tidegate.1",))
    assert client.ws.protocol == "tidegate.1"
    assert (await at.connect()).ws.protocol is None


async def test_a_page_of_another_origin_is_refused(at):
    evil = await at.connect(headers={"Origin": "https://evil.example"})
    assert await evil.refused("join", token="page", roomId="room") == 4025
    good = await at.connect(headers={"Origin": "https://app.example"})
    await good.request("join", token="page", roomId="room")
    await at.join(token="page")  # no browser
    ours = await at.connect(headers={"Origin": str(at.base.make_url("/").origin())})
    await ours.request("join", token="page", roomId="room")
    await evil.request("join", token="full", roomId="room")


async def test_a_socket_that_does_not_join_is_closed():
    async with stage(SignallingConfig(join_timeout=0.05)) as at:
        client = await at.connect()
        message = await client.receive()
        assert (message["id"], message["error"]["code"]) == (None, 4002)
        assert await client.end() == 4002


async def test_a_join_that_takes_too_long_is_not_carried_out():
    asked = asyncio.Event()

    async def never(token, room_id, participant_id):
        asked.set()
        await asyncio.Event().wait()

    async with stage(SignallingConfig(join_timeout=0.05, close_timeout=0.2), authorize=never) as at:
        client = await at.connect()
        await client.send("join", token="full", roomId="room")
        await asked.wait()
        assert (await client.receive())["error"]["code"] == 4002
        assert at.rooms == {}


# Leaving and ending


async def test_leave_is_answered_and_the_socket_closed(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.event("participant-joined")
    assert await ben.request("leave") == {}
    assert await ben.event("left") == {"reason": {"code": 1101, "name": "MANUAL_LEAVE_CALLED"}}
    assert await ben.end() == 1000
    left = await ann.event("participant-left")
    assert left == {"participantId": "ben", "reason": {"code": 1101, "name": "MANUAL_LEAVE_CALLED"}}


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_close_frame_is_a_leave(at, code):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.event("participant-joined")
    await ben.ws.close(code=code)
    assert (await ann.event("participant-left"))["reason"]["code"] == 1101


async def test_another_close_code_is_a_drop(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.event("participant-joined")
    await ben.ws.close(code=4999)
    assert await ann.event("participant-disconnected") == {"participantId": "ben"}


async def test_end_puts_everybody_out(at):
    ann, ben, cid = await at.join("ann"), await at.join("ben", token="guest"), await at.join("cid")
    assert await ben.refused("end") == 4025
    assert await ann.request("end") == {}
    for client in (ann, ben, cid):
        assert (await client.skip_to("left"))["reason"] == {"code": 1008, "name": "REMOVE_ALL"}
        assert await client.end() == 1000
    await at.until(lambda: at.signalling.connections == 0)
    assert at.rooms == {}
    assert (await at.join("ann")).joined["participants"] == []


async def test_nothing_is_kept_of_who_has_gone(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    await publish(ann)
    ben.drop()
    await at.until(lambda: at.signalling.connections == 1)
    await ann.ws.close()
    await at.until(lambda: at.signalling.connections == 0)
    at.server.let_pass(15.0)
    signalling = at.signalling
    assert at.rooms == {}
    assert not signalling._resumable and not signalling._tokens and not signalling._outbox.channels
    assert not signalling._unjoined


async def test_drain_tells_everybody(at):
    ann, stranger = await at.join("ann"), await at.connect()
    drained = asyncio.create_task(at.signalling.drain(60.0))
    assert await ann.event("left") == {"reason": {"code": 1012, "name": "SERVER_SHUTDOWN"}}
    assert await ann.end() == 1000
    assert (await stranger.receive())["error"]["code"] == 4098
    assert await stranger.end() == 4098
    await drained
    assert at.signalling.connections == 0
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await at.connect()
    assert caught.value.status == 503


# Dropping and coming back


async def test_a_dropped_participant_comes_back_with_its_token(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    track_id = await publish(ben)
    ben.drop()
    assert await ann.skip_to("participant-disconnected") == {"participantId": "ben"}
    cid = await at.join("cid")
    assert [one["participantId"] for one in cid.joined["participants"]] == ["ann", "ben"]
    again = await at.connect()
    # the token may have expired meanwhile
    result = await again.request("join", token="expired", roomId="room", resumeToken=ben.joined["resumeToken"])
    assert result["resumed"] is True
    assert result["participantId"] == "ben"
    assert result["resumeToken"] == ben.joined["resumeToken"]
    assert [one["participantId"] for one in result["participants"]] == ["ann", "cid"]
    assert [one["trackId"] for one in result["participant"]["tracks"]] == [track_id]
    assert await ann.skip_to("participant-reconnected") == {"participantId": "ben"}
    at.server.let_pass(100.0)
    assert at.rooms["room"].participants["ben"].state is ParticipantState.JOINED
    await again.request("mute", trackId=track_id, muted=True)


async def test_coming_back_before_the_loss_was_noticed_takes_the_place(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.event("participant-joined")
    again = await at.connect()
    result = await again.request("join", token="full", roomId="room", resumeToken=ben.joined["resumeToken"])
    assert result["resumed"] is True
    assert await ben.end() in (1006, None)
    await at.until(lambda: at.signalling.connections == 2)
    await ann.quiet()  # nobody else noticed anything
    assert not at.signalling._unjoined


@pytest.mark.parametrize("change", [{"resumeToken": "wrong"}, {"roomId": "elsewhere"}, {"participantId": "cid"}])
async def test_a_token_resumes_only_its_own_stay(at, change):
    await at.join("ann")
    ben = await at.join("ben")
    ben.drop()
    await at.until(lambda: at.signalling.connections == 1)
    again = await at.connect()
    params = {"token": "full", "roomId": "room", "resumeToken": ben.joined["resumeToken"], **change}
    assert (await again.request("join", **params))["resumed"] is False


async def test_after_the_window_everything_starts_anew(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    ben.drop()
    await ann.skip_to("participant-disconnected")
    at.server.let_pass(15.0)
    assert (await ann.event("participant-left"))["reason"] == {"code": 1001, "name": "WEBSOCKET_DISCONNECTED"}
    again = await at.join("ben", resumeToken=ben.joined["resumeToken"])
    assert again.joined["resumed"] is False
    assert again.joined["resumeToken"] != ben.joined["resumeToken"]


async def test_a_second_join_ejects_the_first(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.event("participant-joined")
    second = await at.join("ben")
    assert second.joined["resumed"] is False
    assert await ben.event("left") == {"reason": {"code": 1011, "name": "DUPLICATE_PARTICIPANT"}}
    assert await ben.end() == 4005
    assert (await ann.event("participant-left"))["reason"]["code"] == 1011
    assert (await ann.event("participant-joined"))["participantId"] == "ben"
    await second.quiet()  # it does not hear of its own former self
    await at.until(lambda: at.signalling.connections == 2)
    assert at.rooms["room"].participants["ben"].state is ParticipantState.JOINED


async def test_a_client_that_answers_no_ping_has_dropped():
    async with stage(SignallingConfig(ping_interval=0.1)) as at:
        ann = await at.join("ann", autoSubscribe=False)
        ws = await at.session.ws_connect(at.base.make_url("/v2/signal"), autoping=False)
        await ws.send_json({"id": 1, "method": "join", "params": {"token": "full", "roomId": "room", "participantId": "mute"}})
        # autoping is off: pings are received and not answered
        assert await ann.skip_to("participant-disconnected") == {"participantId": "mute"}
        assert ann.ws.closed is False


# Tracks


async def test_a_track_from_announcement_to_end(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    await ann.event("participant-joined")
    announced = {"source": "screen", "kind": "video", "name": "slides", "width": 1920, "height": 1080, "simulcast": True}
    track_id = (await ann.request("announce", **announced))["trackId"]
    await ben.quiet()
    result = await ann.request("publish", sdp="offer", tracks=[{"mid": "0", "trackId": track_id}])
    assert result == {"sdp": "answer to offer"}
    assert await ann.event("connection") == {"connection": "publish", "state": "connected"}
    published = await ben.event("track-published")
    assert published == {
        "participantId": "ann",
        "track": {"trackId": track_id, "muted": False, "codec": "opus", **announced},
    }
    offer = await ben.event("subscribe-offer")
    assert offer == {
        "sdp": "offer",
        "serial": 1,
        "connectionId": "connection",
        "tracks": [{"mid": "0", "trackId": track_id, "participantId": "ann", "source": "screen", "kind": "video"}],
    }
    assert await ben.request("subscribe-answer", sdp="answer", serial=1) == {}
    assert await ben.request("subscribe-answer", sdp="answer", serial=0) == {"stale": True}
    await ann.request("mute", trackId=track_id, muted=True)
    assert await ben.event("track-muted") == {"participantId": "ann", "trackId": track_id, "muted": True}
    assert await ben.request("subscribe", trackId=track_id, enabled=True, quality="low", priority=3) == {}
    assert await ben.request("restart-subscribe") == {}
    assert (await ben.event("subscribe-offer"))["serial"] == 2
    await ann.request("unpublish", trackId=track_id)
    assert await ben.event("track-unpublished") == {"participantId": "ann", "trackId": track_id}
    assert await ann.refused("unpublish", trackId=track_id) == 4095


async def test_refusals_of_tracks(at):
    ann, ear = await at.join("ann"), await at.join("ear", token="listener")
    assert await ear.refused("announce", source="mic", kind="audio") == 4093
    assert await ann.refused("announce", source="mic", kind="video") == 4092
    assert await ann.refused("publish", sdp="bad", tracks=[]) == 4090
    assert await ann.refused("publish", sdp="x", tracks=[{"mid": "0", "trackId": "TR_no"}]) == 4095
    twice = [{"mid": "0", "trackId": "TR_1"}, {"mid": "0", "trackId": "TR_2"}]
    assert await ann.refused("publish", sdp="x", tracks=twice) == 4092
    assert await ann.refused("mute", trackId="TR_no", muted=True) == 4095
    assert await ann.refused("subscribe", trackId="TR_no", enabled=True) == 4095
    for _ in range(SfuConfig().max_tracks):
        await ann.request("announce", source="mic", kind="audio")
    assert await ann.refused("announce", source="mic", kind="audio") == 4091


async def test_trickled_candidates_are_accepted(at):
    ann = await at.join("ann")
    assert await ann.request("candidate", connection="publish", candidate="candidate:1 1 udp 1 ::1 9 typ host", sdpMid="0",
                             sdpMLineIndex=0) == {}  # fmt: skip


# People


async def test_update(at):
    ann, ben = await at.join("ann", displayName="Ann", attributes={"a": "1"}), await at.join("ben")
    await ann.event("participant-joined")
    assert await ann.request("update", metaData=None, attributes={"a": None, "b": "2"}) == {"version": 2}
    assert await ben.event("participant-updated") == {
        "participantId": "ann", "version": 2, "displayName": "Ann", "metaData": None, "attributes": {"b": "2"},
    }  # fmt: skip
    assert await ann.refused("update", displayName="x", ifVersion=1) == 4094
    await ben.quiet()


async def test_moderation(at):
    ann, ben = await at.join("ann"), await at.join("ben", token="guest")
    await ann.event("participant-joined")
    track_id = await publish(ben)
    await ben.skip_to("connection")
    assert await ben.refused("moderate", participantId="ann", source="mic", enabled=False) == 4025
    assert await ann.request("moderate", participantId="ben", source="mic", enabled=False) == {}
    assert await ben.event("moderated") == {"source": "mic", "enabled": False, "by": "ann"}
    assert await ann.skip_to("track-muted") == {"participantId": "ben", "trackId": track_id, "muted": True}
    assert await ann.refused("set-grants", participantId="ben", grants={"publish": ["nose"]}) == 4092
    assert await ann.refused("set-grants", participantId="nobody", grants={}) == 4066
    assert await ann.request("set-grants", participantId="ben", grants={"publish": ["webcam"]}) == {}
    changed = await ben.event("grants-changed")
    assert changed["grants"] == {**ben.joined["grants"], "publish": ["webcam"]}
    assert await ann.skip_to("track-unpublished") == {"participantId": "ben", "trackId": track_id}
    assert await ann.request("remove", participantId="ben") == {}
    assert await ben.event("left") == {"reason": {"code": 1002, "name": "REMOVE_PEER"}}
    assert await ben.end() == 1000
    assert await ann.refused("remove", participantId="ben") == 4066


async def test_the_hidden_are_announced_to_nobody(at):
    ann = await at.join("ann")
    ghost = await at.join("ghost", token="hidden")
    ben = await at.join("ben")
    assert [one["participantId"] for one in ben.joined["participants"]] == ["ann"]
    await ghost.request("update", displayName="Boo")
    await ghost.event("participant-joined")
    ghost.drop()
    await at.until(lambda: at.rooms["room"].participants["ghost"].state is ParticipantState.DISCONNECTED)
    at.server.let_pass(15.0)
    assert (await ann.event("participant-joined"))["participantId"] == "ben"
    await ann.quiet()
    await ben.quiet()


async def test_the_operators_commands_reach_clients_by_events(at):
    ann, ben = await at.join("ann"), await at.join("ben")
    room = at.rooms["room"]
    room.remove(None, "ben", now=at.server.now())
    at.server.pump()
    assert (await ben.event("left"))["reason"]["code"] == CloseReason.REMOVE_PEER_API.code
    room.end(CloseReason.MEETING_END_API, now=at.server.now())
    at.server.pump()
    assert (await ann.skip_to("left"))["reason"]["code"] == CloseReason.MEETING_END_API.code


async def test_ping_tells_the_time(at):
    assert (await (await at.join()).request("ping"))["time"] > 1_600_000_000_000


async def test_rooms_do_not_hear_each_other(at):
    ann, ben = await at.join("ann"), await at.join("ben", room="elsewhere")
    await publish(ben)
    await at.join("cid", room="elsewhere")
    await ann.quiet()


# What a faulty or hostile client costs


@pytest.mark.parametrize(
    ("text", "request_id"),
    [
        ("", None),
        ("{", None),
        ("[]", None),
        ('"x"', None),
        ("{}", None),
        ('{"id": true, "method": "ping"}', None),
        ('{"id": -1, "method": "ping"}', None),
        ('{"id": 1.0, "method": "ping"}', None),
        ('{"id": 9007199254740992, "method": "ping"}', None),
        ('{"id": 7}', 7),
        ('{"id": 7, "method": "fly"}', 7),
        ('{"id": 7, "method": ["ping"]}', 7),
        ('{"id": 7, "method": "ping", "params": null}', 7),
        ('{"id": 7, "method": "ping", "params": {"x": 1}}', 7),
        ('{"id": 7, "method": "ping", "more": 1}', 7),
        ('{"id": 7, "method": "mute", "params": {"trackId": "x", "muted": "yes"}}', 7),
        ('{"id": 7, "method": "update", "params": {"metaData": NaN}}', None),
        ('{"id": 7, "method": "update", "params": {"metaData": 1e999}}', 7),
        ('{"id": 7, "method": "update", "params": {"metaData": "\\u0000"}}', 7),
        ('{"id": 7, "method": "update", "params": {"metaData": "\\ud800"}}', 7),
        ('{"id": 7, "method": "update", "params": {"metaData": ' + "[" * 40 + "]" * 40 + "}}", 7),
        ('{"id": 7, "method": "update", "params": {"metaData": ' + "[" * 60000 + "]" * 60000 + "}}", None),
        ('{"id": ' + "9" * 5000 + "}", None),
    ],
)  # fmt: skip
async def test_a_message_that_is_none_is_answered_and_costs_nothing_else(at, text, request_id):
    ann = await at.join("ann")
    await ann.ws.send_str(text)
    message = await ann.answer(request_id)
    assert (message["error"]["code"], message["error"]["name"]) == (4092, "INVALID_MESSAGE")
    await ann.request("ping")


async def test_errors_name_the_field_and_never_repeat_the_token(at):
    client = await at.connect()
    await client.ws.send_json({"id": 1, "method": "join", "params": {"token": ["secret"], "roomId": "r", "x": 1}})
    message = (await client.answer(1))["error"]["message"]
    assert "params.token: " in message and "params.x: " in message
    assert "secret" not in message


async def test_binary_messages_are_none(at):
    ann = await at.join("ann")
    await ann.ws.send_bytes(b"{}")
    assert (await ann.answer(None))["error"]["code"] == 4092


async def test_too_long_a_message_ends_the_socket(at):
    ann = await at.join("ann")
    await ann.ws.send_str('"' + "x" * 131072 + '"')
    assert (await ann.answer(None))["error"]["code"] == 4091
    assert await ann.end() == 4091
    await at.until(lambda: at.rooms["room"].participants["ann"].state is ParticipantState.DISCONNECTED)


async def test_far_too_long_a_message_is_not_even_read(at):
    ann = await at.join("ann")
    await ann.ws.send_str('"' + "x" * 400_000 + '"')
    assert await ann.end() == 1009  # RFC 6455 section 7.4.1: too big to process


async def test_the_longest_message_is_fine(at):
    ann = await at.join("ann")
    text = json.dumps({"id": 1, "method": "fly", "params": {"x": ""}})
    await ann.ws.send_str(text.replace('""', '"' + "x" * (131072 - len(text)) + '"'))
    assert (await ann.answer(1))["error"]["code"] == 4092


@pytest.mark.parametrize("kind", ["messages", "pings"])
async def test_too_many_messages_end_the_socket(kind):
    async with stage(SignallingConfig(messages_per_second=0.001, message_burst=5)) as at:
        ann = await at.join("ann")
        for _ in range(4):
            await ann.request("ping")
        await (ann.send("ping") if kind == "messages" else ann.ws.ping())
        assert (await ann.answer(None))["error"]["code"] == 4091
        assert await ann.end() == 4091


async def test_a_long_message_counts_as_several():
    async with stage(SignallingConfig(messages_per_second=0.001, message_burst=6)) as at:
        ann = await at.join("ann")
        await ann.ws.send_str(json.dumps({"id": 7, "method": "publish", "params": {"sdp": "x" * 65536, "tracks": []}}))
        await ann.answer(7)
        await ann.send("ping")
        assert (await ann.answer(None))["error"]["code"] == 4091


async def test_messages_are_counted_over_time():
    async with stage(SignallingConfig(messages_per_second=1.0, message_burst=2)) as at:
        ann = await at.join("ann")
        for _ in range(20):
            at.server.skew += 1.0
            await ann.request("ping")


async def test_a_client_that_does_not_read_is_cut_off_and_the_others_notice_nothing():
    config = SignallingConfig(messages_per_second=1e6, message_burst=100_000, max_waiting_messages=8)
    async with stage(config) as at:
        ann, ben, deaf = await at.join("ann"), await at.join("ben"), await at.join("deaf")
        deaf.ws._response.connection.transport.pause_reading()
        fat = "x" * 16000
        updates = 0
        while at.signalling.stats.not_reading == 0:
            updates += 1
            assert updates < 5000
            await ann.request("update", metaData=fat)
        assert (await ben.skip_to("participant-disconnected")) == {"participantId": "deaf"}
        assert ann.ws.closed is False
        await at.until(lambda: at.signalling.connections == 2)


async def test_so_many_sockets_and_so_many_that_have_not_joined():
    async with stage(SignallingConfig(max_unjoined=2, max_sockets=3)) as at:
        async def refused():
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await at.connect()
            assert caught.value.status == 503
            assert caught.value.headers["Retry-After"]

        one, _ = await at.connect(), await at.connect()
        await refused()
        await one.request("join", token="full", roomId="room")
        two = await at.connect()
        await two.request("join", token="full", roomId="room")
        await refused()
        await two.ws.close()
        await at.until(lambda: at.signalling.connections == 2)
        await at.connect()


async def test_a_bug_of_ours_ends_that_socket_only(at, caplog):
    ann, ben = await at.join("ann"), await at.join("ben")
    message = await ann.answer(await ann.send("publish", sdp="bug", tracks=[]))
    assert message["error"]["code"] == 5000
    reference = message["error"]["message"].split()[-1]
    assert reference in caplog.text
    ann.events.clear()
    assert await ann.end() == 1011
    assert await ben.skip_to("participant-disconnected") == {"participantId": "ann"}


async def test_secrets_are_not_logged(at, caplog):
    caplog.set_level("DEBUG")
    ann = await at.join("ann", token="full")
    ann.drop()
    await at.until(lambda: at.signalling.connections == 0)
    again = await at.join("ann", token="full", resumeToken=ann.joined["resumeToken"])
    await again.ws.send_str('{"id": 1, "method": "join", "params": {"token": "full", "resumeToken": 1}}')
    await again.answer(1)
    assert "joined" in caplog.text and "resumed" in caplog.text
    assert ann.joined["resumeToken"] not in caplog.text


async def test_requests_are_carried_out_in_order_and_each_is_answered_once(at):
    ann = await at.join("ann")
    sent = [await ann.send(method) for method in ["ping", "fly", "update", "ping", "leave", "ping"]]
    answered = []
    while (message := await ann.receive()) is not None:
        answered.append(message.get("id", message.get("event")))
    assert answered == [*sent[:5], "left"] or answered == [*sent, "left"]
    assert ann.ws.close_code == 1000


async def test_one_address_cannot_take_all_the_places():
    async with stage(SignallingConfig(max_unjoined_per_address=2)) as at:
        one, _ = await at.connect(), await at.connect()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await at.connect()
        assert caught.value.status == 503
        await one.request("join", token="full", roomId="room")
        await at.connect()
