"""Endpoints whose handlers are given to `create_app` by name: WHIP, WHEP, signalling and metrics take the bare request."""

from __future__ import annotations

from tidegate.http.endpoint import Access, Endpoint

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


def _raw(method: str, path: str, name: str, summary: str, tag: str, **more) -> Endpoint:
    return Endpoint(method, path, None, summary, tag, raw=name, **more)


def _ingest(protocol: str, verb: str) -> tuple[Endpoint, ...]:
    tag, session = protocol.upper(), f"/v2/{protocol}/sessions/{{sessionId}}"
    sdp = {"request": SDP, "answer": SDP}
    return (
        _raw("POST", f"/v2/{protocol}", protocol, f"{verb}; the session's address is in Location", tag,
             status=201, content_types=sdp, parameters=PARAMETERS[protocol]),
        _raw("OPTIONS", f"/v2/{protocol}", "whip-options", "What may be posted", tag, access=Access.ANYBODY, status=204),
        _raw("PATCH", session, "whip-patch", "Trickle ICE, or restart it", tag,
             content_types={"request": FRAGMENT, "answer": FRAGMENT}),
        _raw("DELETE", session, "whip-delete", "End the session", tag),
        _raw("OPTIONS", session, "whip-session-options", "What may be done with a session", tag,
             access=Access.ANYBODY, status=204),
    )  # fmt: skip


PARAMETERS = {
    "whip": ("roomId", "participantId", "displayName", "useExistingPeer"),
    "whep": ("roomId", "participantId", "remotePeerId"),
}

ENDPOINTS = (
    *_ingest("whip", "Publish into a room (RFC 9725)"),
    *_ingest("whep", "Play somebody of a room"),
    _raw("GET", "/v2/signal", "signal", "Signalling: a WebSocket, described in docs/signalling.md", "Signalling",
         access=Access.ANYBODY, status=101),
    _raw("GET", "/metrics", "metrics", "Measurements for Prometheus", "About", access=Access.ANYBODY,
         content_types={"answer": "text/plain"}),
)  # fmt: skip
