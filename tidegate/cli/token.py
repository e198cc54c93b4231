"""`tidegate token`: signs a token with the first project's key. Needs no running server."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated, Any

import typer

from media.errors import ConfigError, ParseError
from tidegate.cli.options import ConfigOption, DataDirOption, load_config

PERMISSIONS = ("allow_join", "ask_join", "allow_mod")
ROLES = ("rtc", "crawler")
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def token(
    room: Annotated[str | None, typer.Option(metavar="ROOM", help="Good for this room only.", show_default=False)] = None,
    participant: Annotated[str | None, typer.Option(metavar="ID", help="Good for this participant only.", show_default=False)] = None,
    permissions: Annotated[
        str, typer.Option(metavar="LIST", help="Comma-separated: allow_join, allow_mod; or ask_join alone.")
    ] = "allow_join,allow_mod",
    roles: Annotated[
        str, typer.Option(metavar="LIST", help="rtc: meetings only; crawler: REST only; empty: both.", show_default=False)
    ] = "",
    expires: Annotated[str, typer.Option(metavar="TIME", help="Seconds, or 15m, 2h, 7d.")] = "2h",
    grants: Annotated[
        str | None,
        typer.Option(metavar="JSON", help='Finer than permissions: \'{"publish": ["mic"], "record": false}\'.', show_default=False),
    ] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print a token for the API, the SDK or WHIP.

    curl -X POST -H "Authorization: $(tidegate token)" http://127.0.0.1:8080/v2/rooms

    The key and secret are those of <data-dir>/keys.toml, or of TIDEGATE_API_KEY and TIDEGATE_API_SECRET.
    """
    from tidegate import keysfile

    effective = load_config(config, data_dir=data_dir)
    credentials = keysfile.find(effective)
    if credentials is None:
        raise ConfigError(
            str(effective.keys_path), "is not there: start `tidegate serve` once, or set TIDEGATE_API_KEY and TIDEGATE_API_SECRET"
        )
    claims = make_claims(
        api_key=credentials.api_key,
        room=room,
        participant=participant,
        permissions=_words("--permissions", permissions, PERMISSIONS),
        roles=_words("--roles", roles, ROLES),
        grants=_grants(grants),
        now=int(time.time()),
        lifetime=seconds("--expires", expires),
    )
    import jwt

    print(jwt.encode(claims, credentials.secret, algorithm="HS256"))


def make_claims(
    *,
    api_key: str,
    room: str | None,
    participant: str | None,
    permissions: list[str],
    roles: list[str],
    grants: dict[str, Any] | None,
    now: int,
    lifetime: int,
) -> dict[str, Any]:
    """The claims of docs/tokens.md; what is not limited is left out."""
    if not permissions:
        raise ConfigError("--permissions", "name at least one of " + ", ".join(PERMISSIONS))
    if "ask_join" in permissions and len(permissions) > 1:
        raise ConfigError("--permissions", "ask_join stands alone: whoever must ask can neither join nor moderate")
    claims: dict[str, Any] = {"apikey": api_key, "permissions": permissions, "version": 2, "iat": now, "exp": now + lifetime}
    optional = {"roles": roles or None, "roomId": room, "participantId": participant, "grants": grants}
    return claims | {name: value for name, value in optional.items() if value is not None}


def seconds(option: str, text: str) -> int:
    """`900`, `15m`, `2h`, `7d`, `1w`, `1y` as seconds."""
    found = re.fullmatch(r"(\d{1,9})([smhdwy]?)", text.strip())
    if not found or not int(found[1]):
        raise ConfigError(option, f"{text!r} is neither seconds nor a number with s, m, h, d, w or y")
    return int(found[1]) * UNITS[found[2]]


def _words(option: str, text: str, known: tuple[str, ...]) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise ConfigError(option, f"{word!r} is not one of {', '.join(known)}")
    return words


def _grants(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        raise ConfigError("--grants", "is not JSON") from None
    if not isinstance(value, dict):
        raise ConfigError("--grants", 'is not a JSON object: {"publish": ["mic"]}')
    from sfu.meeting.permissions import Grants

    try:
        Grants.from_wire(value)  # the server would refuse the token, later and far away
    except ParseError as error:
        raise ConfigError("--grants", str(error)) from None
    return value
