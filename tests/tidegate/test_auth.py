"""Each refusal of a token has its own code; what is left out means what docs/tokens.md says."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import PeerError
from sfu.meeting.permissions import ALL_SOURCES, WIRE_NAMES, Source
from tidegate import auth
from tidegate.auth import authenticate, permission_grants
from tidegate.store import open_store

NOW = 1_700_000_000.0
SECRET = "s" * 32


@pytest.fixture
async def store(tmp_path):
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await store.first_key("key", SECRET)
    yield store
    await store.close()


def sign(claims=None, *, secret=SECRET, algorithm="HS256", **changes):
    payload = {"apikey": "key", "permissions": ["allow_join"], "version": 2, "iat": NOW, "exp": NOW + 60}
    payload = {**payload, **(claims or {}), **changes}
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, secret, algorithm)


def raw(header, payload, signature=b"x"):
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def code_of(store, token):
    with pytest.raises(PeerError) as caught:
        await authenticate(store, token, NOW)
    return caught.value.code


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer ", "  BEARER   "])
async def test_a_good_token_with_and_without_bearer(store, prefix):
    identity = await authenticate(store, prefix + sign(roomId="standup", participantId="ann", roles=["rtc"]), NOW)
    assert (identity.api_key, identity.room_id, identity.participant_id) == ("key", "standup", "ann")
    assert (identity.permissions, identity.roles) == ({"allow_join"}, {"rtc"})
    assert (identity.expires, identity.version) == (NOW + 60, 2)
    assert identity.project_id == (await store.keys.find("key")).project_id


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (sign(apikey=None), 4001),
        (sign(apikey=""), 4001),
        (sign(apikey=7), 4001),
        (sign(apikey="other"), 4001),
        (sign(apikey="k\x00"), 4001),
        (None, 4002),
        ("", 4002),
        ("Bearer", 4002),
        ("Bearer ", 4002),
        ("no-jwt", 4002),
        ("a.b.c", 4002),
        ("é.é.é", 4002),
        (raw([], {}), 4002),
        (raw({"alg": "HS256"}, "text"), 4002),
        (raw({"alg": "HS256"}, {"apikey": "key"}), 4002),
        (sign(secret="t" * 32), 4002),
        (sign() + "x", 4002),
        ("x" * 9000, 4002),
        (sign(exp=None), 4002),
        (sign(exp="soon"), 4002),
        (sign(exp=True), 4002),
        (sign(exp=float("inf")), 4002),
        (sign(exp=float("nan")), 4002),
        (sign(exp=10**400), 4002),
        (sign(iat=-1), 4002),
        (sign(version=3), 4002),
        (sign(version="2"), 4002),
        (sign(version=True), 4002),
        (sign(version=None, roomId="r"), 4002),
        (sign(version=1, roles=["rtc"]), 4002),
        (sign(version=None, grants={}), 4002),
        (sign(roomId=""), 4002),
        (sign(roomId=5), 4002),
        (sign(participantId="a b"), 4002),
        (sign(participantId="x" * 65), 4002),
        (sign(permissions=None), 4008),
        (sign(permissions=[]), 4008),
        (sign(permissions="allow_join"), 4008),
        (sign(permissions=["allow_fly"]), 4008),
        (sign(permissions=["ask_join", "allow_join"]), 4008),
        (sign(permissions=["ask_join", "allow_mod"]), 4008),
        (sign(grants={"fly": True}), 4008),
        (sign(grants={"publish": ["nose"]}), 4008),
        (sign(grants=[]), 4008),
        (sign(grants={"join": True}), 4008),
        (sign(grants={"recorder": True}), 4008),
        (sign(roles=[]), 4024),
        (sign(roles="rtc"), 4024),
        (sign(roles=["rtc", "king"]), 4024),
        (sign(exp=NOW - 6), 4100),
        (sign(iat=NOW + 6), 4101),
        (sign(nbf=NOW + 6), 4101),
        (sign() + "\udcff", 4002),  # a byte that is not UTF-8, as aiohttp reads headers
        (raw({"alg": "none"}, {"apikey": "key"}, b""), 4102),
        (raw({"alg": "NoNe"}, {"apikey": "key"}, b""), 4102),
        (raw({}, {"apikey": "key"}), 4102),
        (sign(algorithm="HS512"), 4103),
        (raw({"alg": "RS256"}, {"apikey": "key"}), 4103),
    ],
)
async def test_refusals(store, token, code):
    assert await code_of(store, token) == code


async def test_a_disabled_key_has_its_own_code_and_only_for_its_owner(store):
    key = await store.keys.find("key")
    await store.keys.set_disabled(key.project_id, "key", True)
    assert await code_of(store, sign()) == 4053
    assert await code_of(store, sign(secret="t" * 32)) == 4002


async def test_a_rotated_secret_ends_old_tokens(store):
    token = sign()
    await authenticate(store, token, NOW)
    key = await store.keys.find("key")
    await store.keys.rotate(key.project_id, "key")
    assert await code_of(store, token) == 4002


async def test_clocks_may_differ_by_the_leeway(store):
    for token in (sign(exp=NOW - 4), sign(iat=NOW + 4), sign(nbf=NOW + 4)):
        await authenticate(store, token, NOW)
    with pytest.raises(PeerError):
        await authenticate(store, sign(iat=NOW + 4), NOW, leeway=0)


async def test_audience_and_issuer_of_the_caller_do_not_matter(store):
    await authenticate(store, sign(aud="somebody", iss="else", jti=5, sub=7, extra={"a": 1}), NOW)


def test_what_permissions_mean_without_grants():
    both = auth.ROLES
    join = permission_grants(frozenset({"allow_join"}), both)
    assert join.join and join.publish == ALL_SOURCES and join.subscribe and join.data and join.record
    assert join.broadcast and join.hls and not (join.moderate or join.end or join.stream or join.upload or join.hidden)
    mod = permission_grants(frozenset({"allow_join", "allow_mod"}), both)
    assert mod.moderate and mod.end and mod.stream and mod.upload and join.is_subset_of(mod)
    ask = permission_grants(frozenset({"ask_join"}), both)
    assert ask.ask and not (ask.join or ask.record or ask.moderate or ask.end)
    server = permission_grants(frozenset({"allow_join"}), frozenset({"crawler"}))
    assert server.join and server.moderate and server.end and server.upload and not (server.hidden or server.recorder)
    assert not permission_grants(frozenset({"ask_join"}), frozenset({"crawler"})).join


def test_the_table_of_the_docs_is_true():
    text = (Path(__file__).parents[2] / "docs" / "tokens.md").read_text(encoding="utf-8")
    both = auth.ROLES
    columns = [
        permission_grants(frozenset({"allow_join"}), both),
        permission_grants(frozenset({"allow_join", "allow_mod"}), both),
        permission_grants(frozenset({"ask_join"}), both),
        permission_grants(frozenset({"allow_join"}), frozenset({"crawler"})),
    ]
    rows = {}
    for line in text.partition("## What permissions mean")[2].partition("## Refusals")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = cells[2:]
    assert set(rows) == set(WIRE_NAMES)
    for name, cells in rows.items():
        for cell, grants in zip(cells, columns, strict=True):
            assert {"yes": True, "no": False, "all": ALL_SOURCES}[cell] == getattr(grants, name), (name, cell)


async def test_grants_replace_what_they_name(store):
    token = sign(permissions=["allow_join", "allow_mod"], grants={"publish": ["mic"], "record": False, "hidden": True})
    grants = (await authenticate(store, token, NOW)).grants
    assert grants.publish == {Source.MIC} and not grants.record and grants.hidden and grants.moderate and grants.join


def test_scopes():
    def identity(**changes):
        base = {"project_id": "p", "api_key": "k", "permissions": frozenset(), "roles": frozenset({"rtc"}),
                "room_id": None, "participant_id": None, "grants": permission_grants(frozenset(), auth.ROLES),
                "expires": 0.0, "version": 2}  # fmt: skip
        return auth.Identity(**{**base, **changes})

    auth.require_room(identity(), "abcd-efgh-ijkl", None)
    auth.require_room(identity(room_id="standup"), "abcd-efgh-ijkl", "standup")
    auth.require_room(identity(room_id="abcd-efgh-ijkl"), "abcd-efgh-ijkl", "standup")
    auth.require_participant(identity(participant_id="ann"), "ann")
    auth.require_role(identity(), auth.MEETING)
    for call, code in (
        (lambda: auth.require_room(identity(room_id="other"), "abcd-efgh-ijkl", None), 4022),
        (lambda: auth.require_participant(identity(participant_id="ann"), "bob"), 4023),
        (lambda: auth.require_role(identity(), auth.REST), 4024),
    ):
        with pytest.raises(PeerError) as caught:
            call()
        assert caught.value.code == code


def test_origins():
    def allowed(origins, origin):
        who = auth.Identity("p", "k", frozenset(), frozenset(), None, None, permission_grants(frozenset(), frozenset()), 0, 2, origins)
        return auth.is_origin_allowed(who, origin, "https://us.example")

    assert allowed((), "https://any.example") and allowed(("https://a.example",), "https://a.example")
    assert allowed(("https://a.example",), None) and allowed(("https://a.example",), "https://us.example")
    assert not allowed(("https://a.example",), "https://b.example") and not allowed(("https://a.example",), "null")


async def test_our_own_tokens_are_good(store):
    token = auth.sign_token("key", SECRET, {"permissions": ["allow_join"], "roomId": "r"}, now_wall=NOW, seconds=60)
    identity = await authenticate(store, token, NOW)
    assert (identity.room_id, identity.expires) == ("r", NOW + 60)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["apikey", "permissions", "version", "roles", "roomId", "participantId", "iat", "exp", "nbf", "grants"])


class OneKey:
    """A store with one key, for fuzzing without a database."""

    class keys:
        @staticmethod
        async def find(name):
            class Key:
                project_id, api_key, secret, disabled, allowed_origins = "p", "key", SECRET, False, ()

            return Key if name == "key" else None


@settings(max_examples=300, deadline=None)
@given(claims=st.dictionaries(NAMES, JSON), header=JSON, text=st.text(max_size=80), how=st.integers(0, 2))
def test_any_token_is_read_or_refused(claims, header, text, how):
    import asyncio

    token = (sign(claims), raw(header, claims), text)[how]
    try:
        asyncio.run(authenticate(OneKey, token, NOW))
    except PeerError:
        pass
