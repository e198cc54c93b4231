from __future__ import annotations

import pytest

from sfu.meeting.participant import CloseReason
from sfu.meeting.permissions import Grants
from tidegate.http import answers

END = "/v2/sessions/end"
REMOVE = "/v2/sessions/participants/remove"
GRANTS = "/v2/sessions/participants/grants"


@pytest.fixture
async def room(api):
    return await api.room("standup")


async def test_one_session(api, room):
    session_id = await api.session(room, "ann", "bob")
    api.wall.time += 90
    session = await api.call("GET", f"/v2/sessions/{session_id}")
    answers.OneSession.model_validate(session)
    assert (session["status"], session["end"], session["activeDuration"]) == ("ongoing", None, 90.0)
    assert (session["roomId"], session["customRoomId"]) == (room.room_id, "standup")
    assert [person["participantId"] for person in session["participants"]] == ["ann", "bob"]
    assert session["participants"][0]["timelog"] == [{"start": "2023-11-14T22:13:20.000Z", "end": None}]


async def test_lists_and_filters(api, room):
    await api.session(room, "ann", session_id="1" * 24)
    await api.store.sessions.end("1" * 24, int(api.wall.time * 1000) + 1000, "ROOM_CLOSE")
    api.wall.time += 3600
    await api.session(room, "bob", session_id="2" * 24)
    listed = await api.call("GET", "/v2/sessions")
    answers.Page[answers.Session].model_validate(listed)
    assert [session["id"] for session in listed["data"]] == ["2" * 24, "1" * 24]

    async def ids(query):
        return [session["id"][0] for session in (await api.call("GET", f"/v2/sessions?{query}"))["data"]]

    assert await ids("status=ended") == ["1"]
    assert await ids(f"roomId={room.room_id}&status=ongoing") == ["2"]
    assert await ids("customRoomId=standup&perPage=1&page=2") == ["1"]
    assert await ids(f"startDate={int(api.wall.time * 1000)}") == ["2"]
    assert await ids(f"endDate={int(api.wall.time * 1000) - 1}") == ["1"]
    assert await ids("query=" + "1" * 24) == ["1"]
    assert await ids("roomId=elsewhere") == []
    await api.call("GET", "/v2/sessions?status=over", status=400)
    await api.call("GET", "/v2/sessions?startDate=yesterday", status=400)


async def test_participants(api, room):
    session_id = await api.session(room, "ann", "bob")
    await api.store.sessions.left(session_id, "ann", int(api.wall.time * 1000) + 5000)
    everybody = await api.call("GET", f"/v2/sessions/{session_id}/participants?perPage=1")
    answers.SessionPage.model_validate(everybody)
    assert everybody["pageInfo"]["total"] == 2 and len(everybody["data"]["participants"]) == 1
    active = await api.call("GET", f"/v2/sessions/{session_id}/participants/active")
    answers.ActivePage.model_validate(active)
    assert [person["participantId"] for person in active["data"][0]["participants"]] == ["bob"]
    ann = await api.call("GET", f"/v2/sessions/{session_id}/participants/ann")
    answers.Participant.model_validate(ann)
    assert ann["timelog"][0]["end"] == "2023-11-14T22:13:25.000Z"
    await api.call("GET", f"/v2/sessions/{session_id}/participants/eve", status=404)


async def test_a_hidden_participant_is_for_moderators_only(api, room):
    session_id = await api.session(room, "ann", "ghost")
    plain = api.token(permissions=["allow_join"])
    for token, seen in (("", {"ann", "ghost"}), (plain, {"ann"})):
        session = await api.call("GET", f"/v2/sessions/{session_id}", token=token)
        listed = (await api.call("GET", "/v2/sessions", token=token))["data"][0]
        page = await api.call("GET", f"/v2/sessions/{session_id}/participants", token=token)
        for shown in (session, listed, page["data"]):
            assert {person["participantId"] for person in shown["participants"]} == seen
            assert shown["participantCount"] == len(seen)
    await api.call("GET", f"/v2/sessions/{session_id}/participants/ghost", token=plain, status=404)


async def test_a_token_for_one_participant_sees_no_other(api, room):
    session_id = await api.session(room, "ann", "bob")
    token = api.token(participantId="ann")
    session = await api.call("GET", f"/v2/sessions/{session_id}", token=token)
    assert [person["participantId"] for person in session["participants"]] == ["ann"]
    page = await api.call("GET", f"/v2/sessions/{session_id}/participants", token=token)
    assert [person["participantId"] for person in page["data"]["participants"]] == ["ann"]
    await api.call("GET", f"/v2/sessions/{session_id}/participants/ann", token=token)
    for method, path, body in (
        ("GET", f"/v2/sessions/{session_id}/participants/bob", None),
        ("POST", REMOVE, {"roomId": "standup", "participantId": "bob"}),
        ("POST", GRANTS, {"roomId": "standup", "participantId": "bob", "grants": {}}),
    ):
        assert (await api.call(method, path, token=token, json=body, status=403))["code"] == 4023


async def test_end(api, room):
    session_id = await api.session(room, "ann")
    written = []

    async def flush():
        if api.meetings.calls and not written:
            written.append(await api.store.sessions.end(session_id, int(api.wall.time * 1000) + 1, "MEETING_END_API"))

    api.context.flush = flush
    session = await api.call("POST", END, json={"roomId": "standup"})
    answers.OneSession.model_validate(session)
    assert session["status"] == "ended" and api.meetings.calls == [("end", room.room_id, CloseReason.MEETING_END_API)]
    await api.call("POST", END, json={"roomId": "standup"}, status=404)
    await api.call("POST", END, json={"roomId": "standup", "sessionId": session_id}, status=409)
    again = {"roomId": "standup", "sessionId": session_id, "ignoreClosed": True}
    assert (await api.call("POST", END, json=again))["id"] == session_id
    await api.call("POST", END, json={"roomId": "unknown"}, status=404)
    await api.call("POST", END, json={}, status=400)


async def test_a_session_that_no_room_knows_is_ended_all_the_same(api, room):
    session_id = await api.session(room, "ann")
    api.meetings.rooms.clear()
    assert (await api.call("POST", END, json={"roomId": "standup", "sessionId": session_id}))["status"] == "ended"


async def test_end_of_a_session_of_another_room(api, room):
    session_id = await api.session(room, "ann")
    other = await api.room("other")
    await api.call("POST", END, json={"roomId": other.room_id, "sessionId": session_id}, status=404)
    assert api.meetings.calls == []


@pytest.mark.parametrize("by", ["room", "session"])
async def test_remove(api, room, by):
    session_id = await api.session(room, "ann", "bob")
    where = {"roomId": "standup"} if by == "room" else {"sessionId": session_id}
    session = await api.call("POST", REMOVE, json={"participantId": "bob", **where})
    assert session["id"] == session_id
    assert api.meetings.calls == [("remove", room.room_id, "bob", CloseReason.REMOVE_PEER_API)]
    assert (await api.call("POST", REMOVE, json={"participantId": "bob", **where}, status=404))["code"] == 4066


async def test_remove_needs_to_know_where(api, room):
    session_id = await api.session(room, "ann")
    await api.call("POST", REMOVE, json={"participantId": "ann"}, status=400)
    both = {"participantId": "ann", "roomId": "standup", "sessionId": session_id}
    await api.call("POST", REMOVE, json=both, status=400)
    await api.store.sessions.end(session_id, int(api.wall.time * 1000), "ROOM_CLOSE")
    await api.call("POST", REMOVE, json={"participantId": "ann", "sessionId": session_id}, status=404)
    assert api.meetings.calls == []


async def test_grants_change_while_the_call_runs(api, room):
    await api.session(room, "ann")
    body = {"roomId": "standup", "participantId": "ann", "grants": {"publish": ["mic"], "record": False}}
    changed = await api.call("POST", GRANTS, json=body)
    answers.ChangedGrants.model_validate(changed)
    assert changed["grants"]["publish"] == ["mic"] and not changed["grants"]["record"] and changed["grants"]["end"]
    assert api.meetings.rooms[room.room_id]["ann"] != Grants.full()
    await api.call("POST", GRANTS, json={**body, "participantId": "eve"}, status=404)
    problem = await api.call("POST", GRANTS, json={**body, "grants": {"fly": True}}, status=400)
    assert problem["errors"] == [{"path": "grants.fly", "message": "unknown grant"}]


async def test_nobody_gives_what_they_lack(api, room):
    await api.session(room, "ann")
    token = api.token(grants={"record": False})
    body = {"roomId": "standup", "participantId": "ann", "grants": {"record": True}}
    assert (await api.call("POST", GRANTS, token=token, json=body, status=403))["code"] == 4025
    await api.call("POST", GRANTS, token=token, json={**body, "grants": {"record": False}})


async def test_a_participants_data_can_be_deleted(api, room):
    session_id = await api.session(room, "ann", "bob")
    path = f"/v2/sessions/{session_id}/participants/ann"
    await api.call("DELETE", path, status=409)
    await api.store.sessions.left(session_id, "ann", int(api.wall.time * 1000))
    session = await api.call("DELETE", path)
    answers.OneSession.model_validate(session)
    assert [person["participantId"] for person in session["participants"]] == ["bob"]
    await api.call("GET", path, status=404)
    await api.call("DELETE", path, status=404)
