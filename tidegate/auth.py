"""Tokens: a JWT signed with a project's secret, and what it allows. docs/tokens.md is the description for users.

Every refusal has a code of its own (docs/signalling.md), so that whoever integrates sees what to change.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from media.errors import ParseError, PeerError
from sfu.meeting.permissions import ALL_SOURCES, Grants

if TYPE_CHECKING:
    from tidegate.store import ApiKey, Store

MAX_TOKEN_CHARS = 8192  # bounds what we decode for somebody unknown
MAX_ID_CHARS = 64  # of roomId and participantId; room ids of callers (customRoomId) have the same bound
LAST_TIME = 253_402_300_799  # the year 9999: beyond it nothing can be said as a date
PERMISSIONS = frozenset({"allow_join", "ask_join", "allow_mod"})
ROLES = frozenset({"crawler", "rtc"})
REST = "crawler"
MEETING = "rtc"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: the truth of one token at the moment it was read."""

    project_id: str
    api_key: str
    permissions: frozenset[str]
    roles: frozenset[str]
    room_id: str | None
    """The only room this token is for, by the name the caller chose: a roomId or customRoomId."""
    participant_id: str | None
    grants: Grants
    expires: float
    """Unix seconds."""
    version: int
    allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may use this key; empty: any."""


async def authenticate(
    store: Store, authorization: str | None, now_wall: float, *, leeway: float = 5.0
) -> Identity:
    """Read a token, with or without `Bearer` before it. PeerError says what is wrong with it."""
    token = strip_scheme(authorization)
    payload = _read_unverified(token)
    key_name = payload.get("apikey")
    if not isinstance(key_name, str) or not key_name.isprintable() or not key_name:
        raise PeerError(4001, "INVALID_API_KEY", "the token has no apikey")
    key = await store.keys.find(key_name)
    if key is None:
        raise PeerError(4001, "INVALID_API_KEY", "no such apikey")
    verify_signature(token, key.secret)
    if key.disabled:
        raise PeerError(4053, "APIKEY_DEACTIVATED", "this apikey is disabled")
    return _identity(key, payload, now_wall, leeway)


def strip_scheme(authorization: str | None) -> str:
    """The token of an Authorization header: RFC 6750's `Bearer`, or the bare token of the reference."""
    text = (authorization or "").strip()
    scheme, _, rest = text.partition(" ")
    if scheme.lower() == "bearer":
        text = rest.strip()
    if not text:
        raise PeerError(4002, "INVALID_TOKEN", "no token: send it in the Authorization header")
    if len(text) > MAX_TOKEN_CHARS:
        raise PeerError(4002, "INVALID_TOKEN", f"the token is longer than {MAX_TOKEN_CHARS} characters")
    return text


def _read_unverified(token: str) -> dict[str, Any]:
    """The payload, before its signature is looked at: it names the key. Refuses every algorithm but HS256."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():  # what is not ASCII cannot even be compared with a signature
        raise PeerError(4002, "INVALID_TOKEN", "not a JWT")
    header, payload = _json_part(parts[0]), _json_part(parts[1])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm.lower() == "none":
        raise PeerError(4102, "TOKEN_UNSIGNED", "the token is not signed")
    if algorithm != "HS256":
        raise PeerError(4103, "TOKEN_ALGORITHM", "sign tokens with HS256")
    return payload


def _json_part(text: str) -> dict[str, Any]:
    try:
        part = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise PeerError(4002, "INVALID_TOKEN", "not a JWT") from None
    if not isinstance(part, dict):
        raise PeerError(4002, "INVALID_TOKEN", "not a JWT")
    return part


def verify_signature(token: str, secret: str) -> None:
    """PeerError 4002 unless `secret` signed it. Times and claims are checked apart, each with its code."""
    try:
        jwt.decode(token, secret, algorithms=["HS256"], options=_SIGNATURE_ONLY)
    except jwt.PyJWTError:
        raise PeerError(4002, "INVALID_TOKEN", "the signature does not fit this apikey's secret") from None


_SIGNATURE_ONLY: Any = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_iss": False,
    "verify_sub": False, "verify_jti": False, "enforce_minimum_key_length": False,
}  # fmt: skip


def _identity(key: ApiKey, payload: dict[str, Any], now_wall: float, leeway: float) -> Identity:
    expires = _check_times(payload, now_wall, leeway)
    permissions = _permissions(payload)
    roles = _roles(payload)
    room_id = _identifier(payload, "roomId")
    participant_id = _identifier(payload, "participantId")
    version = payload.get("version", 1)
    if version not in (1, 2) or isinstance(version, bool):
        raise PeerError(4002, "INVALID_TOKEN", "version must be 2")
    if version != 2 and any(name in payload for name in ("roles", "roomId", "participantId", "grants")):
        # Taking no notice of a restriction would give more than its issuer meant.
        raise PeerError(4002, "INVALID_TOKEN", "a token with roles, roomId, participantId or grants needs version 2")
    return Identity(
        project_id=key.project_id,
        api_key=key.api_key,
        permissions=permissions,
        roles=roles,
        room_id=room_id,
        participant_id=participant_id,
        grants=_grants(payload, permissions, roles),
        expires=expires,
        version=version,
        allowed_origins=tuple(key.allowed_origins),
    )


def _check_times(payload: dict[str, Any], now_wall: float, leeway: float) -> float:
    times = {}
    for name in ("exp", "iat", "nbf"):
        value = payload.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_TIME:
            raise PeerError(4002, "INVALID_TOKEN", f"{name} must be a number of seconds")
        times[name] = float(value)
    if "exp" not in times:
        raise PeerError(4002, "INVALID_TOKEN", "the token has no exp: tokens must expire")
    if times["exp"] + leeway <= now_wall:
        raise PeerError(4100, "TOKEN_EXPIRED", "the token has expired")
    for name in ("iat", "nbf"):
        if times.get(name, 0) > now_wall + leeway:
            raise PeerError(4101, "TOKEN_NOT_YET_VALID", f"{name} is in the future: compare the clocks")
    return times["exp"]


def _permissions(payload: dict[str, Any]) -> frozenset[str]:
    value = payload.get("permissions")
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise PeerError(4008, "INVALID_PERMISSIONS", "permissions must be a list of allow_join, ask_join, allow_mod")
    permissions = frozenset(value)
    unknown = sorted(permissions - PERMISSIONS)
    if unknown:
        raise PeerError(4008, "INVALID_PERMISSIONS", f"unknown permission {unknown[0][:40]!r}")
    if "ask_join" in permissions and len(permissions) > 1:
        raise PeerError(4008, "INVALID_PERMISSIONS", "ask_join stands alone")
    return permissions


def _roles(payload: dict[str, Any]) -> frozenset[str]:
    value = payload.get("roles")
    if value is None:
        return ROLES
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise PeerError(4024, "UNAUTHORIZED_ROLE", "roles must be a list of crawler, rtc")
    roles = frozenset(value)
    if not roles <= ROLES:
        raise PeerError(4024, "UNAUTHORIZED_ROLE", "roles must be a list of crawler, rtc")
    return roles


def _identifier(payload: dict[str, Any], name: str) -> str | None:
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_identifier(value):
        raise PeerError(4002, "INVALID_TOKEN", f"{name} must be text without spaces, at most {MAX_ID_CHARS} characters")
    return value


def is_identifier(text: str) -> bool:
    """The form of participantId and customRoomId: visible characters, no spaces."""
    return 0 < len(text) <= MAX_ID_CHARS and text.isprintable() and " " not in text


def permission_grants(permissions: frozenset[str], roles: frozenset[str]) -> Grants:
    """What the permissions mean where a token has no `grants`: the table of docs/tokens.md."""
    if "ask_join" in permissions:
        return Grants(ask=True, publish=ALL_SOURCES, subscribe=True, data=True)
    if roles == frozenset({REST}):
        return Grants.full()  # signed for a server: it holds the secret anyway
    moderate = "allow_mod" in permissions
    return Grants(
        join=True, publish=ALL_SOURCES, subscribe=True, data=True, record=True, broadcast=True, hls=True,
        stream=moderate, upload=moderate, moderate=moderate, end=moderate,
    )  # fmt: skip


def _grants(payload: dict[str, Any], permissions: frozenset[str], roles: frozenset[str]) -> Grants:
    base = permission_grants(permissions, roles)
    if payload.get("grants") is None:
        return base
    try:
        return Grants.from_wire(payload["grants"], base)
    except ParseError as error:
        raise PeerError(4008, "INVALID_PERMISSIONS", str(error)) from None


def require_role(identity: Identity, role: str) -> None:
    """PeerError 4024 unless the token may be used for that (`REST` or `MEETING`)."""
    if role not in identity.roles:
        use = "REST" if role == REST else "meetings"
        raise PeerError(4024, "UNAUTHORIZED_ROLE", f"the token's roles do not allow {use}")


def require_participant(identity: Identity, participant_id: str) -> None:
    """PeerError 4023 when the token is for another participant."""
    if identity.participant_id is not None and identity.participant_id != participant_id:
        raise PeerError(4023, "UNAUTHORIZED_PARTICIPANT_ID", "the token is for another participant")


def require_room(identity: Identity, room_id: str, custom_room_id: str | None) -> None:
    """PeerError 4022 when the token is for another room; it may name its room either way."""
    if identity.room_id is not None and identity.room_id not in (room_id, custom_room_id):
        raise PeerError(4022, "UNAUTHORIZED_MEETING_ID", "the token is for another room")


def sign_token(api_key: str, secret: str, claims: dict[str, Any], *, now_wall: float, seconds: float) -> str:
    """A token of ours: for the page, invite links and `tidegate token`."""
    times = {"iat": int(now_wall), "exp": int(now_wall + seconds)}
    return jwt.encode({"apikey": api_key, "version": 2, **claims, **times}, secret, algorithm="HS256")


def is_origin_allowed(identity: Identity, origin: str | None, own_origin: str) -> bool:
    """Whether a page of `origin` may use the key. No Origin header: no page, so nothing to hold it to."""
    if origin is None or not identity.allowed_origins:
        return True
    return origin == own_origin or origin in identity.allowed_origins
