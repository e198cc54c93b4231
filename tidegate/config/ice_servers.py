"""`rtc.ice_servers` as browsers take them (RTCIceServer), with time-limited TURN credentials.

The credentials are those of draft-uberti-behave-turn-rest-00, which coturn calls `use-auth-secret`: the name is when they
expire, the password an HMAC of the name. So nothing is shared with coturn but one secret, and no browser learns it.
"""

from __future__ import annotations

import hmac
from base64 import b64encode

from tidegate.config.model import RtcConfig

TURN_SECONDS = 86400  # longer than a call; TURN checks it again at every allocation only


def ice_servers(rtc: RtcConfig, *, wall: float) -> list[dict[str, str]]:
    """`{urls}` or `{urls, username, credential}` for each configured URL. `wall` is Unix seconds."""
    out: list[dict[str, str]] = []
    for url in rtc.ice_servers:
        server = {"urls": url}
        if rtc.turn_secret and url.startswith(("turn:", "turns:")):
            server["username"] = str(int(wall) + TURN_SECONDS)
            digest = hmac.digest(rtc.turn_secret.encode(), server["username"].encode(), "sha1")
            server["credential"] = b64encode(digest).decode()
        out.append(server)
    return out
