"""The planes wired together: what WHIP, WHEP, signalling and /metrics answer through the whole application."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.errors import ConfigError
from tests.support.node import running_node
from tidegate import registry
from tidegate.config.model import Config, HttpConfig, LimitsConfig, RtcConfig
from tidegate.http import answers

OFFERS = Path(__file__).parents[1] / "sfu" / "sdp" / "offers"
PUBLISH = (OFFERS / "chromium_publish_audio_video.sdp").read_bytes().decode()
PLAY = (OFFERS / "chromium_play_audio_video.sdp").read_bytes().decode()
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
RESTART = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"


@pytest.fixture
async def site(tmp_path):
    async with running_node(tmp_path) as site:
        yield site


async def publish(site, room="standup", *, token="", **query):
    """The path of a new WHIP session, and its ETag."""
    pairs = "".join(f"&{name}={value}" for name, value in query.items())
    async with site.request("POST", f"/v2/whip?roomId={room}{pairs}", token=token, data=PUBLISH, headers=SDP) as response:
        assert response.status == 201, await response.text()
        assert response.content_type == "application/sdp" and (await response.text()).startswith("v=0\r\n")
        assert response.headers["Location"].startswith(f"{site.url}/v2/whip/sessions/")
        assert "Location" in response.headers["Access-Control-Expose-Headers"]
        return response.headers["Location"].removeprefix(site.url), response.headers["ETag"]


# query, claims, headers, body (None: a good offer), status, code
REFUSED = [
    ("", {}, SDP, None, 400, 400),
    ("?roomId=standup", {}, {"Content-Type": "text/plain"}, None, 415, 415),
    ("?roomId=standup", {}, SDP, b"", 400, 4090),
    ("?roomId=standup", {}, SDP, b"\xff", 400, 4090),
    ("?roomId=standup", {}, {"Content-Type": "application/sdp; charset=klingon"}, b"v=0\r\n", 400, 4090),
    ("?roomId=standup", {}, SDP, b"v=0\r\n" + b"a=x\r\n" * 20_000, 413, 413),
    ("?roomId=unknown", {}, SDP, None, 404, 4003),
    ("?roomId=%FF%00", {}, SDP, None, 404, 4003),
    ("?roomId=standup", {"permissions": ["ask_join"]}, SDP, None, 403, 4025),
    ("?roomId=standup", {"roomId": "other"}, SDP, None, 403, 4022),
    ("?roomId=standup&participantId=bob", {"participantId": "ann"}, SDP, None, 403, 4023),
    ("?roomId=standup&participantId=a%20b", {}, SDP, None, 400, 4004),
    ("?roomId=closed", {}, SDP, None, 402, 4052),
]


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_refusals_are_problems_and_leave_nothing(site, protocol):
    await site.room("standup")
    await site.call("POST", "/v2/rooms/deactivate", json={"roomId": await site.room("closed")})
    offer = {"whip": PUBLISH, "whep": PLAY}[protocol].encode()
    for query, claims, headers, body, status, code in REFUSED:
        data, token = offer if body is None else body, site.token(**claims)
        async with site.request("POST", f"/v2/{protocol}{query}", token=token, headers=headers, data=data) as response:
            problem = await response.json(content_type="application/problem+json")
        answers.Problem.model_validate(problem)
        assert (response.status, problem["code"]) == (status, code), (query, claims, problem)
    assert (await site.call("GET", "/v2/sessions"))["data"] == []  # nobody joined, not even for a moment
    assert not site.node.media.conference.rooms


async def test_no_token_and_one_of_another_project(site):
    await site.room()
    for token, status, code in ((None, 401, 4002), ("nonsense", 401, 4002), (site.token(await site.other_key()), 404, 4003)):
        for protocol in ("whip", "whep"):
            path = f"/v2/{protocol}?roomId=standup"
            assert (await site.call("POST", path, token=token, data=PUBLISH, headers=SDP, status=status))["code"] == code


async def test_what_whip_cannot_do_is_said(site):
    await site.room()
    path = "/v2/whip?roomId=standup&useExistingPeer=true"
    problem = await site.call("POST", path, data=PUBLISH, headers=SDP, status=501)
    assert "useExistingPeer" in problem["message"]
    await publish(site, useExistingPeer="false")


async def test_whep_of_somebody_who_is_not_there(site):
    await site.room()
    await publish(site, participantId="ann")
    assert (await site.call("POST", "/v2/whep?roomId=standup&remotePeerId=bob", data=PLAY, headers=SDP, status=404))["code"] == 404
    await site.call("POST", "/v2/whep?roomId=standup&remotePeerId=ann", data=PLAY, headers=SDP, status=201)


async def test_a_bad_offer_puts_nobody_out_of_their_name(site):
    await site.room()
    await publish(site, participantId="ann")
    for protocol in ("whip", "whep"):
        await site.call("POST", f"/v2/{protocol}?roomId=standup&participantId=ann", data="v=0", headers=SDP, status=400)
    session = (await site.call("GET", "/v2/sessions?status=ongoing"))["data"][0]
    assert [(person["participantId"], person["timelog"][0]["end"]) for person in session["participants"]] == [("ann", None)]


async def test_trickle_and_restart(site):
    await site.room()
    path, etag = await publish(site)
    refusals = [
        ({**FRAGMENT}, RESTART, 428),
        ({**FRAGMENT, "If-Match": '"old"'}, RESTART, 412),
        ({**SDP, "If-Match": etag}, RESTART, 415),
        ({"Content-Type": FRAGMENT["Content-Type"] + "; charset=klingon", "If-Match": etag}, "a=\udcff", 400),
        ({**FRAGMENT, "If-Match": "*"}, "a=end-of-candidates\r\n", 422),
    ]
    for headers, text, status in refusals:
        data = text.encode("utf-8", "surrogateescape")
        answers.Problem.model_validate(await site.call("PATCH", path, data=data, headers=headers, status=status))
    async with site.request("PATCH", path, data=RESTART, headers={**FRAGMENT, "If-Match": etag}) as response:
        assert response.status == 204
    async with site.request("PATCH", path, data=RESTART, headers={**FRAGMENT, "If-Match": "*"}) as response:
        assert response.status == 200 and response.headers["ETag"] != etag
        assert "a=ice-ufrag:" in await response.text()


async def test_whose_session_it_is(site):
    await site.room("standup")
    await site.room("retro")
    path, _ = await publish(site, participantId="ann")
    others = [
        site.token(await site.other_key()),
        site.token(roomId="retro"),
        site.token(roomId="standup", participantId="bob"),
    ]
    for token in others:
        for method in ("PATCH", "DELETE"):
            answers.Problem.model_validate(await site.call(method, path, token=token, status=404))
    await site.call("DELETE", path, token=None, status=401)
    await site.call("DELETE", path, token=site.token(roomId="standup", participantId="ann"))
    await site.call("DELETE", path, status=404)
    assert not site.node.media.conference.rooms


async def test_measurements_are_for_this_machine_on_loopback(site):
    await site.call("GET", "/metrics", token=None)
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-For": "1.2.3.4"}, {"X-Forwarded-Proto": "https"}):
        assert (await site.call("GET", "/metrics", token=None, headers=headers, status=401))["code"] == 4002
        await site.call("GET", "/metrics", headers=headers)


async def test_a_public_name_shuts_the_measurements_to_a_proxy_that_says_nothing(tmp_path):
    async with running_node(tmp_path, public_url="https://meet.example.org") as site:
        assert (await site.call("GET", "/metrics", token=None, status=401))["code"] == 4002


async def test_beyond_loopback_measurements_want_a_token_for_everything(tmp_path):
    async with running_node(tmp_path, host="0.0.0.0") as site:
        assert (await site.call("GET", "/metrics", token=None, status=401))["code"] == 4002
        assert (await site.call("GET", "/metrics", token=site.token(roles=["rtc"]), status=403))["code"] == 4024
        for scope in ({"roomId": "standup"}, {"participantId": "ann"}):
            assert (await site.call("GET", "/metrics", token=site.token(**scope), status=403))["code"] == 4025
        assert "tidegate_rooms" in await site.call("GET", "/metrics")


async def test_an_address_opens_no_more_sockets_than_requests(tmp_path):
    limits = LimitsConfig(address_requests_per_second=0.001, address_request_burst=2)
    async with running_node(tmp_path, limits=limits) as site:
        for _ in range(2):
            async with site.client.ws_connect("/v2/signal"):
                pass
        problem = await site.call("GET", "/v2/signal", token=None, status=429)
        assert problem["code"] == 429


# The addresses of our candidates


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
async def test_candidates_are_of_every_interface_and_of_loopback_only_while_http_is_on_it(host, loopback, monkeypatch):
    monkeypatch.setattr(registry, "local_addresses", lambda *, loopback: ("127.0.0.1", "192.0.2.7") if loopback else ("192.0.2.7",))
    found = await registry.announced_addresses(Config(http=HttpConfig(host=host)))
    assert found == (("127.0.0.1", "192.0.2.7") if loopback else ("192.0.2.7",))


async def test_announced_addresses_replace_all_others():
    config = Config(rtc=RtcConfig(announce_ips=("203.0.113.9", "2001:db8::9", "203.0.113.9")))
    assert await registry.announced_addresses(config) == ("203.0.113.9", "2001:db8::9")


async def test_auto_stands_for_what_the_stun_server_sees(monkeypatch):
    asked = []

    async def query(host, port):
        asked.append((host, port))
        return "203.0.113.9"

    monkeypatch.setattr(registry, "query_public_address", query)
    config = Config(rtc=RtcConfig(announce_ips=("192.0.2.7", "auto"), stun_server="stun.example:3479"))
    assert await registry.announced_addresses(config) == ("192.0.2.7", "203.0.113.9")
    assert asked == [("stun.example", 3479)]


async def test_a_stun_server_that_does_not_answer_is_a_wrong_setting(monkeypatch):
    async def query(host, port):
        raise TimeoutError("no answer")

    monkeypatch.setattr(registry, "query_public_address", query)
    with pytest.raises(ConfigError) as raised:
        await registry.announced_addresses(Config(rtc=RtcConfig(announce_ips=("auto",), stun_server="stun.example:3479")))
    assert raised.value.path == "rtc.stun_server"


async def test_a_source_that_is_not_granted_is_refused_before_anybody_joins(site):
    await site.room("standup")
    token = site.token(grants={"publish": ["mic"]})
    answer = await site.call("POST", "/v2/whip?roomId=standup", token=token, data=PUBLISH, headers=SDP, status=403)
    assert answer["code"] == 4093 and "webcam" in answer["message"]
    assert not site.node.media.conference.rooms
