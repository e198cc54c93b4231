"""Every route, one by one: it is described, and it is shut to whoever has no right to it."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.support.api import running_api
from tidegate.http.endpoint import Access, Endpoint
from tidegate.http.openapi import document, operation_id
from tidegate.http.routes import ENDPOINTS
from tidegate.store.event_models import Delivery, Event, WebhookEndpoint

TOKEN_ENDPOINTS = [
    endpoint
    for endpoint in ENDPOINTS
    if endpoint.access is Access.TOKEN and endpoint.raw is None and endpoint.path != "/v2/transcodings/hls-to-mp4"  # 501 always
]
SESSION = "5" * 24

# Rows of the room `standup`, one of each kind. DONE has ended.
RECORDING, COMPOSITE, PARTICIPANT, TRACK, BROADCAST, MERGE, DONE = (digit * 24 for digit in "1234678")
WEBHOOK, DELIVERY = "a" * 24, "b" * 24
IDS = {
    "/v2/recordings/composite/": COMPOSITE,
    "/v2/recordings/participant/track/": TRACK,
    "/v2/recordings/participant/": PARTICIPANT,
    "/v2/recordings/": RECORDING,
}
ANN = {"roomId": "standup", "participantId": "ann"}
LOOK = {"config": {"theme": "LIGHT"}}
TARGET = {"url": "rtmp://target.example/live", "streamKey": "k"}

# A good body for each POST and PATCH.
BODIES = {
    "/v2/rooms": {},
    "/v2/rooms/deactivate": {"roomId": "standup"},
    "/v2/rooms/{roomId}": {"status": "disabled"},
    "/v2/sessions/end": {"roomId": "standup"},
    "/v2/sessions/participants/remove": {"roomId": "standup", "participantId": "ann"},
    "/v2/sessions/participants/grants": {"roomId": "standup", "participantId": "ann", "grants": {"record": False}},
    "/v2/recordings/start": {"roomId": "standup"},
    "/v2/recordings/end": {"roomId": "standup"},
    "/v2/recordings/stop": {"roomId": "standup"},
    "/v2/recordings/{recordingId}": LOOK,
    "/v2/recordings/composite/start": {"roomId": "standup"},
    "/v2/recordings/composite/stop": {"roomId": "standup", "recordingId": COMPOSITE},
    "/v2/recordings/composite/end": {"roomId": "standup", "recordingId": COMPOSITE},
    "/v2/recordings/participant/start": ANN,
    "/v2/recordings/participant/stop": ANN,
    "/v2/recordings/participant/end": ANN,
    "/v2/recordings/participant/track/start": ANN | {"kind": "audio"},
    "/v2/recordings/participant/track/stop": ANN | {"kind": "audio"},
    "/v2/recordings/participant/track/end": ANN | {"kind": "audio"},
    "/v2/recordings/participant/merge": {
        "sessionId": SESSION, "channel1": [{"participantId": "ann", "recordingId": DONE}],
        "channel2": [{"participantId": "ann", "recordingId": DONE}],
    },
    "/v2/livestreams/start": {"roomId": "standup", "outputs": [TARGET]},
    "/v2/livestreams/end": {"roomId": "standup"},
    "/v2/livestreams/stop": {"roomId": "standup"},
    "/v2/livestreams/{livestreamId}": LOOK,
    "/v2/livestreams/{livestreamId}/outputs": TARGET,
    "/v2/transcodings/merge": {"recordingIds": [DONE]},
    "/v2/transcodings/meeting-recording-merge": {"recordingIds": [DONE]},
    "/v2/transcodings/{transcodingId}/cancel": {},
    "/v2/webhooks": {"endPoint": "https://example.org/hook"},
    "/v2/webhooks/secret/rotate": {},
    "/v2/webhooks/deliveries/{deliveryId}/send-again": {},
}  # fmt: skip
# What concerns no room or session that exists: another project's caller gets an answer of their own.
OWN_LISTS = {"POST /v2/rooms", "POST /v2/webhooks", "POST /v2/webhooks/secret/rotate"} | {
    f"GET {endpoint.path}" for endpoint in TOKEN_ENDPOINTS if endpoint.method == "GET" and "{" not in endpoint.path
}


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def address(endpoint: Endpoint) -> str:
    path = endpoint.path.replace("{roomId}", "standup").replace("{sessionId}", SESSION)
    path = path.replace("{participantId}", "ann").replace("{livestreamId}", BROADCAST).replace("{outputId}", "out0")
    path = path.replace("{transcodingId}", MERGE).replace("{webhookId}", WEBHOOK).replace("{deliveryId}", DELIVERY)
    for root, row_id in IDS.items():
        path = path.replace(root + "{recordingId}", root + row_id)
    return path


async def call(api, endpoint, token, status, **more):
    body = {"json": BODIES[endpoint.path]} if endpoint.method in ("POST", "PATCH") else {}
    return await api.call(endpoint.method, address(endpoint), token=token, status=status, **body, **more)


@pytest.fixture
async def standup(api):
    room = await api.room("standup")
    await api.session(room, "ann")
    await add_media(api, room)
    await add_webhook(api)
    return room


async def add_webhook(api):
    """An endpoint, and an event on its way to it."""
    project_id, url, at = api.key.project_id, "https://example.org/standup", int(api.wall() * 1000)
    async with api.store.events.transaction() as tx:
        tx.add(WebhookEndpoint(id=WEBHOOK, project_id=project_id, url=url, events=["*"], secret="whsec_x", created_at=at))
        event = Event(project_id=project_id, type="a", hidden=False, data={}, created_at=at)
        tx.add(event)
        await tx.flush()
        tx.add(Delivery(id=DELIVERY, event_id=event.id, project_id=project_id, type="a", endpoint_id=WEBHOOK, url=url, endpoint_key=WEBHOOK,
                        state="waiting", attempts=0, created_at=at, next_at=at, give_up_at=at, lease_until=0))  # fmt: skip


async def add_media(api, room):
    place = {"project_id": room.project_id, "room_id": room.room_id, "custom_room_id": "standup", "session_id": SESSION}
    ann = {"participant_id": "ann", "participant_name": "Ann", "file_format": "webm"}
    kept = {"name": "a.mp4", "path": "a/a.mp4", "size": 1, "duration": 1.0, "kind": "audio-video"}
    inputs = [{"recordingId": DONE, "name": "a.mp4", "channel": 0}]
    async with api.store.recordings.transaction() as tx:
        for row_id, kind, more in (
            (RECORDING, "room", {"file_format": "mp4"}),
            (COMPOSITE, "composite", {"file_format": "mp4"}),
            (PARTICIPANT, "participant", ann),
            (TRACK, "track", ann | {"track_kind": "audio"}),
        ):
            await api.store.recordings.add(tx, id=row_id, kind=kind, state="recording", **place, **more)
        await api.store.recordings.add(
            tx, id=DONE, kind="participant", state="stopped", files=[kept], end=api.store.recordings.now_ms(), **place, **ann
        )
        await api.store.broadcasts.add(
            tx, id=BROADCAST, state="live", outputs=[{"id": "out0", "url": "rtmp://a.example/live", "state": "live"}], **place
        )
        await api.store.transcodings.add(
            tx, id=MERGE, task="stereo-merge", state="processing", inputs=inputs, file_format="mp4", **place
        )


every_token_endpoint = pytest.mark.parametrize("endpoint", TOKEN_ENDPOINTS, ids=name)


@every_token_endpoint
async def test_no_token_or_a_bad_one(api, standup, endpoint):
    key = api.key
    bad = {
        None: 4002,
        "nonsense": 4002,
        api.token(apikey=None): 4001,
        api.token(apikey="unknown"): 4001,
        api.token(exp=int(api.wall()) - 60): 4100,
        api.token(iat=int(api.wall()) + 600): 4101,
        api.token(permissions=["ask_join", "allow_mod"]): 4008,
        api.token(version=None): 4002,
        api.token(signed=False): 4102,
    }
    for token, code in bad.items():
        problem = await call(api, endpoint, token, 401)
        assert problem["code"] == code, (token, problem)
    await api.store.keys.set_disabled(key.project_id, key.api_key, True)
    assert (await call(api, endpoint, "", 401))["code"] == 4053


@every_token_endpoint
async def test_a_meeting_token_calls_no_rest(api, standup, endpoint):
    assert (await call(api, endpoint, api.token(roles=["rtc"]), 403))["code"] == 4024


@every_token_endpoint
async def test_another_project_finds_nothing(api, standup, endpoint):
    token = api.token(await api.other_key())
    if name(endpoint) in OWN_LISTS:
        if endpoint.path != "/v2/events":
            answer = await call(api, endpoint, token, 200)
            assert answer.get("data", []) == [] and answer.get("customRoomId") is None
        if endpoint.query is not None and "room_id" in endpoint.query.model_fields and endpoint.path != "/v2/sessions":
            await api.call("GET", f"{endpoint.path}?roomId=standup", token=token, status=404)
        return
    await call(api, endpoint, token, 404)
    assert "standup" in [room.custom_room_id for room in (await api.store.rooms.list(api.key.project_id)).rows]
    assert api.meetings.calls == [] and api.meetings.rooms[standup.room_id]["ann"].record
    assert api.egress.calls == []


@every_token_endpoint
async def test_a_token_for_another_room_reaches_nothing_of_this_one(api, standup, endpoint):
    await api.room("elsewhere")
    token = api.token(roomId="elsewhere")
    if endpoint.tag == "Webhooks":  # of the whole project
        assert (await call(api, endpoint, token, 403))["code"] == 4022
        assert (await call(api, endpoint, api.token(participantId="ann"), 403))["code"] == 4023
        return
    if name(endpoint) in OWN_LISTS - {"POST /v2/rooms"}:
        if endpoint.query is not None and "room_id" in endpoint.query.model_fields and endpoint.path != "/v2/sessions":
            problem = await api.call("GET", f"{endpoint.path}?roomId=standup", token=token, status=403)
            assert problem["code"] == 4022
        elif endpoint.path != "/v2/events":
            listed = await call(api, endpoint, token, 200)
            assert "standup" not in str(listed)
        return
    assert (await call(api, endpoint, token, 403))["code"] == 4022
    assert api.meetings.calls == [] and api.egress.calls == []


@every_token_endpoint
async def test_a_token_for_this_room_does(api, standup, endpoint):
    if name(endpoint) in OWN_LISTS or endpoint.tag == "Webhooks":
        return
    for scope in ("standup", standup.room_id):
        answer = await call(api, endpoint, api.token(roomId=scope), None)
        assert answer.get("code") in (None, 404, 409, 4018, 4019, 4066)  # the second time it may be over, or run already


@every_token_endpoint
async def test_who_must_ask_to_join_may_only_look_at_a_room(api, standup, endpoint):
    token = api.token(permissions=["ask_join"])
    if endpoint.needs == ("join|ask",):
        await call(api, endpoint, token, 200)
    else:
        assert (await call(api, endpoint, token, 403))["code"] == 4025


@pytest.mark.parametrize("endpoint", [e for e in TOKEN_ENDPOINTS if e.needs in (("record",), ("broadcast",))], ids=name)
async def test_media_needs_its_grant(api, standup, endpoint):
    without = api.token(grants={endpoint.needs[0]: False})
    assert (await call(api, endpoint, without, 403))["code"] == 4025
    assert api.egress.calls == []


@pytest.mark.parametrize("endpoint", [e for e in TOKEN_ENDPOINTS if e.path.startswith("/v2/recordings/participant/")], ids=name)
async def test_a_token_for_one_participant_reaches_no_other(api, standup, endpoint):
    if endpoint.path.endswith(("/track", "/merge")) and endpoint.method == "GET":
        listed = await call(api, endpoint, api.token(participantId="bob"), 200 if endpoint.path.endswith("track") else 403)
        assert listed.get("data", []) == []
        return
    assert (await call(api, endpoint, api.token(participantId="bob"), 403))["code"] == 4023
    assert api.egress.calls == []


@pytest.mark.parametrize("endpoint", [e for e in TOKEN_ENDPOINTS if e.needs in (("end",), ("moderate",))], ids=name)
async def test_commands_need_their_grant(api, standup, endpoint):
    plain = api.token(permissions=["allow_join"])
    assert (await call(api, endpoint, plain, 403))["code"] == 4025
    without = api.token(grants={endpoint.needs[0]: False})
    assert (await call(api, endpoint, without, 403))["code"] == 4025
    granted = api.token(permissions=["allow_join"], grants={endpoint.needs[0]: True, "record": True})
    still_there = endpoint.method == "DELETE" and "{participantId}" in endpoint.path
    await call(api, endpoint, granted, 409 if still_there else 200)


def test_every_post_has_a_body_here():
    assert {e.path for e in TOKEN_ENDPOINTS if e.method in ("POST", "PATCH")} == set(BODIES)


# The description


def test_operations_have_names_of_their_own():
    ids = [operation_id(endpoint) for endpoint in ENDPOINTS]
    assert len(set(ids)) == len(ids)


async def test_every_route_is_described_and_every_description_is_served(tmp_path):
    async def raw(request: web.Request) -> web.Response:
        return web.Response()

    handlers = {endpoint.raw: raw for endpoint in ENDPOINTS if endpoint.raw}
    async with running_api(tmp_path, raw_handlers=handlers) as api:
        served = {
            (route.method, route.resource.canonical) for route in api.client.app.router.routes() if route.method != "HEAD"
        }
        described = await api.call("GET", "/openapi.json", token=None)
    listed = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert served == listed
    assert described == document()


def test_bodies_are_described_by_the_models_that_validate_them():
    paths = document()["paths"]
    for endpoint in ENDPOINTS:
        operation = paths[endpoint.path][endpoint.method.lower()]
        assert ("requestBody" in operation) == (endpoint.body is not None or "request" in endpoint.content_types)
        if endpoint.body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{endpoint.body.__name__}"}


def test_references_lead_somewhere():
    described = document()
    schemas = described["components"]["schemas"]

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str) and node["$ref"].startswith("#/components/schemas/"):
                assert node["$ref"].rpartition("/")[2] in schemas
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(described)
    room = schemas["CreateRoom"]
    assert room["additionalProperties"] is False and room["properties"]["webhook"]
    assert schemas["AutoCloseConfig"]["properties"]["duration"]["default"] == 480
