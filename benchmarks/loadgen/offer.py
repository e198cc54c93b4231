"""WHIP and WHEP over plain HTTP: an offer of one video m-line, and what is needed of the answer. RFC 9725, draft-ietf-wish-whep."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from benchmarks.loadgen.stream import CLOCK_RATE, EXTENSION_URIS, PAYLOAD_TYPE, RTX_PAYLOAD_TYPE

HTTP_TIMEOUT = 10.0


class Refused(Exception):
    """The server's answer is of no use; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Where the server is and how it authenticates; `resource` is the session's URL."""

    ufrag: str
    pwd: str
    fingerprint: str
    address: tuple[str, int]
    resource: str


def make_offer(*, ufrag: str, pwd: str, fingerprint: str, sends: bool, ssrc: int = 0, rtx_ssrc: int = 0) -> str:
    lines = [
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
        f"m=video 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE} {RTX_PAYLOAD_TYPE}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{pwd}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        "a=mid:0",
        *(f"a=extmap:{ident} {uri}" for ident, uri in EXTENSION_URIS.items()),
        "a=sendonly" if sends else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=rtpmap:{PAYLOAD_TYPE} VP8/{CLOCK_RATE}",
        *(f"a=rtcp-fb:{PAYLOAD_TYPE} {feedback}" for feedback in ("transport-cc", "ccm fir", "nack", "nack pli")),
        f"a=rtpmap:{RTX_PAYLOAD_TYPE} rtx/{CLOCK_RATE}",
        f"a=fmtp:{RTX_PAYLOAD_TYPE} apt={PAYLOAD_TYPE}",
    ]
    if sends:
        lines += [
            "a=msid:load video",
            f"a=ssrc-group:FID {ssrc} {rtx_ssrc}",
            f"a=ssrc:{ssrc} cname:load",
            f"a=ssrc:{rtx_ssrc} cname:load",
        ]
    return "\r\n".join(lines) + "\r\n"


def post_offer(url: str, offer: str, token: str) -> Answer:
    """Refused unless the answer is 201 with a description that an active DTLS client can use."""
    status, headers, body = _request("POST", url, offer, {"Content-Type": "application/sdp", **_authorization(token)})
    if status != 201:
        raise Refused(f"POST {url}: {status} {body[:300]}")
    return read_answer(body, urljoin(url, headers.get("Location", "")))


def delete_resource(url: str, token: str) -> int:
    return _request("DELETE", url, None, _authorization(token))[0]


def read_answer(sdp: str, resource: str) -> Answer:
    values: dict[str, str] = {}
    addresses: list[tuple[str, int]] = []
    for line in sdp.splitlines():
        name, _, value = line.removeprefix("a=").partition(":")
        if name == "candidate":
            fields = value.split()
            if len(fields) > 7 and fields[2].lower() == "udp" and fields[7] == "host" and ":" not in fields[4]:
                addresses.append((fields[4], int(fields[5])))
        elif line.startswith("a="):
            values.setdefault(name, value)
    missing = [name for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup") if name not in values]
    if missing or not addresses:
        raise Refused(f"the answer lacks {', '.join(missing) or 'an IPv4 UDP host candidate'}")
    if values["setup"] != "passive":
        raise Refused(f"the answer says setup:{values['setup']}; this client is a DTLS client")
    algorithm, _, fingerprint = values["fingerprint"].partition(" ")
    local = next((address for address in addresses if address[0].startswith("127.")), addresses[0])
    known = fingerprint if algorithm == "sha-256" else ""
    return Answer(values["ice-ufrag"], values["ice-pwd"], known, local, resource)


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _request(method: str, url: str, body: str | None, headers: dict[str, str]) -> tuple[int, http.client.HTTPMessage, str]:
    parts = urlsplit(url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.netloc, timeout=HTTP_TIMEOUT)
    try:
        connection.request(method, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode(errors="replace")
    finally:
        connection.close()
