"""Sign-in, invite links, and the development door."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from tests.support.api import running_api
from tidegate.auth import authenticate
from tidegate.http import answers
from tidegate.http.console_guard import COOKIE, find_person, make_cookie

PUBLIC = "https://meet.example.org"


@pytest.fixture
async def public(tmp_path):
    """Bound to an address that others reach, with TLS in front."""
    async with running_api(tmp_path, loopback=False, public_url=PUBLIC) as api:
        yield api


async def sign_in(api, **changes):
    body = {"apiKey": api.key.api_key, "secret": api.key.secret, **changes}
    async with api.request("POST", "/console/sign-in", token=None, json=body) as response:
        return response.status, response.cookies.get(COOKIE), await response.json(content_type=None)


async def test_who_signs_in_gets_a_cookie_that_no_script_reads(public):
    assert (await public.call("GET", "/console/session", token=None))["mode"] == "signed-out"
    status, cookie, body = await sign_in(public)
    answers.ConsoleSession.model_validate(body)
    assert status == 200 and body["mode"] == "signed-in" and body["apiKey"] == public.key.api_key
    assert cookie["httponly"] and cookie["secure"] and cookie["samesite"] == "Strict" and cookie["path"] == "/console"
    assert public.key.secret not in cookie.value


async def as_person(api, method, path, *, status=200, headers=None, **more):
    """A request of the page of somebody who signed in."""
    _, cookie, _ = await sign_in(api)
    headers = {"Cookie": f"{COOKIE}={cookie.value}", **(headers or {})}
    return await api.call(method, path, token=None, headers=headers, status=status, **more)


async def test_without_tls_the_cookie_is_not_marked_secure(tmp_path):
    async with running_api(tmp_path, loopback=False) as api:
        _, cookie, _ = await sign_in(api)
        assert not cookie["secure"]


@pytest.mark.parametrize("changes", [{"secret": "wrong"}, {"apiKey": "wrong"}, {"apiKey": "w\x00"}])
async def test_a_wrong_key_or_secret_is_refused_in_the_same_words(public, changes):
    status, cookie, body = await sign_in(public, **changes)
    assert (status, cookie, body["message"]) == (401, None, "key and secret do not fit")


async def test_a_disabled_key_signs_nobody_in_and_ends_cookies(public):
    _, cookie, _ = await sign_in(public)
    await public.store.keys.set_disabled(public.key.project_id, public.key.api_key, True)
    assert (await sign_in(public))[0] == 401
    headers = {"Cookie": f"{COOKIE}={cookie.value}"}
    await public.call("POST", "/console/token", token=None, headers=headers, json={}, status=401)


async def test_rotating_the_secret_ends_cookies(public):
    _, cookie, _ = await sign_in(public)
    await public.store.keys.rotate(public.key.project_id, public.key.api_key)
    headers = {"Cookie": f"{COOKIE}={cookie.value}"}
    await public.call("POST", "/console/token", token=None, headers=headers, json={}, status=401)


async def test_sign_ins_are_limited_by_address(public):
    for _ in range(10):
        assert (await sign_in(public, secret="wrong"))[0] == 401
    async with public.request("POST", "/console/sign-in", token=None, json={"apiKey": "a", "secret": "b"}) as response:
        assert response.status == 429 and int(response.headers["Retry-After"]) >= 1
    assert (await sign_in(public))[0] == 429
    public.now.time += 6
    assert (await sign_in(public))[0] == 200


async def test_a_person_gets_short_lived_tokens(public):
    room = await public.room("standup")
    token = await as_person(public, "POST", "/console/token", json={"roomId": "standup", "participantId": "ann"})
    answers.Token.model_validate(token)
    identity = await authenticate(public.store, token["token"], public.wall())
    assert (identity.room_id, identity.participant_id, token["roomId"]) == (room.room_id, "ann", room.room_id)
    assert identity.grants.moderate and identity.expires == public.wall() + 7200
    free = await as_person(public, "POST", "/console/token", json={})
    assert (await authenticate(public.store, free["token"], public.wall())).room_id is None
    await as_person(public, "POST", "/console/token", json={"roomId": "unknown"}, status=404)


async def test_a_cookie_ends(public):
    _, cookie, _ = await sign_in(public)
    public.wall.time += 12 * 3600
    headers = {"Cookie": f"{COOKIE}={cookie.value}"}
    await public.call("POST", "/console/token", token=None, headers=headers, json={}, status=401)


async def test_a_cookie_is_no_token_and_a_token_no_cookie(public):
    _, cookie, _ = await sign_in(public)
    await public.call("GET", "/v2/rooms", token=cookie.value, status=401)
    await public.call("GET", "/v2/rooms", token=None, headers={"Cookie": f"{COOKIE}={cookie.value}"}, status=401)
    for forged in (public.token(), public.token(aud="tidegate-console"), "x", "a.b.c"):
        headers = {"Cookie": f"{COOKIE}={forged}"}
        await public.call("POST", "/console/token", token=None, headers=headers, json={}, status=401)


async def test_a_cookie_of_any_bytes_is_nobody(public):
    for value in ("\udcff.a.b", make_cookie(public.key, public.wall.time, 60.0) + "\udcff"):
        request = SimpleNamespace(cookies={COOKIE: value}, headers={}, host="meet.example.org")
        assert await find_person(public.context, request) is None


async def test_sign_out_clears_the_cookie(public):
    async with public.request("POST", "/console/sign-out", token=None, json={}) as response:
        assert response.cookies[COOKIE].value == "" and response.cookies[COOKIE]["max-age"] == "0"


async def test_an_invite_is_a_scoped_expiring_token_in_the_fragment(public):
    room = await public.room("standup")
    invite = await as_person(public, "POST", "/console/invite", json={"roomId": room.room_id, "name": "Ann & Bob"})
    answers.InviteLink.model_validate(invite)
    url = urlsplit(invite["url"])
    assert invite["url"].startswith(f"{PUBLIC}/meeting/{room.room_id}#") and url.query == ""
    fragment = parse_qs(url.fragment)
    assert fragment["name"] == ["Ann & Bob"]
    identity = await authenticate(public.store, fragment["token"][0], public.wall())
    assert (identity.room_id, identity.roles) == (room.room_id, {"rtc"}) and not identity.grants.moderate
    assert identity.expires == public.wall() + 24 * 3600
    long = await as_person(public, "POST", "/console/invite", json={"roomId": room.room_id, "expiresIn": 10**9, "moderator": True})
    claims = jwt.decode(parse_qs(urlsplit(long["url"]).fragment)["token"][0], options={"verify_signature": False})
    assert claims["exp"] == public.wall() + 720 * 3600 and "allow_mod" in claims["permissions"]
    await as_person(public, "POST", "/console/invite", json={"roomId": "unknown"}, status=404)


async def test_a_room_in_one_click(public):
    room = await as_person(public, "POST", "/console/rooms", json={})
    answers.Room.model_validate(room)
    assert await public.store.rooms.find(public.key.project_id, room["roomId"])


async def test_rooms_of_other_projects_are_not_there(public):
    foreign = await public.room("secret", await public.other_key())
    for path in ("/console/token", "/console/invite"):
        await as_person(public, "POST", path, json={"roomId": foreign.room_id}, status=404)


POSTS = [("/console/token", {}), ("/console/rooms", {}), ("/console/invite", {"roomId": "standup"})]


@pytest.mark.parametrize(("path", "body"), POSTS)
async def test_other_sites_cannot_use_the_cookie(public, path, body):
    await public.room("standup")
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "https://other.example.org"},
    ):
        problem = await as_person(public, "POST", path, json=body, headers=headers, status=403)
        assert problem["name"] == "OTHER_ORIGIN"
    await as_person(public, "POST", path, json=body, headers={"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"})


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_form_is_not_taken_for_a_request_of_ours(public, kind):
    await as_person(public, "POST", "/console/token", data=b"{}", headers={"Content-Type": kind}, status=415)
    await as_person(public, "POST", "/console/token", data=b"", headers={"Content-Type": kind}, status=415)


async def test_no_other_origin_may_read_the_console(public):
    async with public.request("OPTIONS", "/console/token", token=None, headers=PREFLIGHT) as response:
        assert response.status == 405 and "Access-Control-Allow-Origin" not in response.headers
    async with public.request("GET", "/console/session", token=None) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"


PREFLIGHT = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}


# The development door


async def is_open(api, **headers):
    async with api.request("POST", "/console/token", token=None, headers=headers, json={}) as response:
        return response.status == 200


async def test_on_loopback_the_page_gets_tokens_by_itself(api):
    session = await api.call("GET", "/console/session", token=None)
    assert session["mode"] == "dev"
    token = await api.call("POST", "/console/token", token=None, json={})
    assert (await authenticate(api.store, token["token"], api.wall())).project_id == api.key.project_id
    assert await is_open(api, Host="localhost:8080") and await is_open(api, Host="[::1]:8080")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.5", "", "[", "meet.example.org"])
async def test_a_rebound_name_does_not_open_the_door(api, host):
    assert not await is_open(api, Host=host)
    for path, body in POSTS:
        async with api.request("POST", path, token=None, headers={"Host": host}, json=body) as response:
            assert response.status in (400, 401)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "x-forwarded-port", "Forwarded", "X-Real-IP", "Via"])
async def test_what_comes_through_a_proxy_is_not_from_this_machine(api, header):
    assert not await is_open(api, **{header: "1.2.3.4"})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "meet.example.org", "10.0.0.1"])
async def test_on_any_other_binding_the_door_is_shut(public, tmp_path, host):
    assert not await is_open(public, Host=host)
    assert (await public.call("GET", "/console/session", token=None))["mode"] == "signed-out"


async def test_a_public_address_shuts_the_door_on_loopback(tmp_path):
    async with running_api(tmp_path, loopback=True, public_url=PUBLIC) as api:
        assert not await is_open(api, Host="127.0.0.1")


async def test_dev_opens_it_for_addresses_and_known_names_only(tmp_path):
    async with running_api(tmp_path, loopback=False, dev=True) as api:
        for host in ("127.0.0.1", "192.168.1.5:8080", "meet.example.org"):
            assert await is_open(api, Host=host)
        assert not await is_open(api, Host="evil.example")


async def test_a_door_without_any_key_stays_shut(api):
    await api.store.keys.set_disabled(api.key.project_id, api.key.api_key, True)
    assert not await is_open(api)
