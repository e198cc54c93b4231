"""/v2/webhooks: endpoints, keys, and the log of deliveries."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tidegate.config.egress import WebhookConfig
from tidegate.events.deliver import Deliverer
from tidegate.events.log import NewEvent
from tidegate.events.policy import Outcome
from tidegate.http import webhook_models as models

HOOK = "https://hooks.example.org/tidegate"


class Receiver:
    """Stands for the network: keeps what would have been sent."""

    def __init__(self):
        self.answers, self.seen = [], []
        self.answers_of = {}  # by webhookType, once: several are posted at the same time, in any order

    async def post(self, url, body, headers):
        self.seen.append((url, body, headers))
        if (answer := self.answers_of.pop(json.loads(body)["webhookType"], None)) is not None:
            return answer
        return self.answers.pop(0) if self.answers else Outcome(204, None, "")


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def deliverer(api, receiver):
    hooks = api.context.webhooks
    return Deliverer(api.store, receiver, hooks.rsa, hooks.secrets, WebhookConfig(), api.wall, random=lambda: 0.0, monotonic=api.wall)


async def run(command, **more):
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=30, **more)


async def write(api, kind, **more):
    fields = {"room_id": None, "session_id": None, "data": {"meetingId": "m"}, **more}
    await api.context.events.write(NewEvent(kind, api.key.project_id, **fields))


async def test_endpoints_come_and_go(api):
    made = await api.call("POST", "/v2/webhooks", json={"endPoint": HOOK, "events": ["recording-*"]})
    models.NewWebhook.model_validate(made)
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
    listed = await api.call("GET", "/v2/webhooks")
    models.WebhookPage.model_validate(listed)
    assert listed["data"] == [{key: value for key, value in made.items() if key != "secret"}], "the secret is shown once"
    gone = await api.call("DELETE", f"/v2/webhooks/{made['id']}")
    assert gone["id"] == made["id"]
    await api.call("DELETE", f"/v2/webhooks/{made['id']}", status=404)
    assert (await api.call("GET", "/v2/webhooks"))["data"] == []
    assert (await api.call("POST", "/v2/webhooks", json={"endPoint": HOOK}))["events"] == ["*"]


async def test_bad_endpoints(api):
    for body, path in (
        ({}, "endPoint"),
        ({"endPoint": "ftp://x/"}, "endPoint"),
        ({"endPoint": "https://user:pw@x/"}, "endPoint"),
        ({"endPoint": HOOK, "events": []}, "events"),
        ({"endPoint": HOOK, "events": ["No Name"]}, "events[0]"),
        ({"endPoint": HOOK, "secret": "mine"}, "secret"),
    ):
        problem = await api.call("POST", "/v2/webhooks", json=body, status=400)
        assert problem["errors"][0]["path"] == path
    for _ in range(models.MAX_ENDPOINTS):
        await api.call("POST", "/v2/webhooks", json={"endPoint": HOOK})
    await api.call("POST", "/v2/webhooks", json={"endPoint": HOOK}, status=409)


async def test_keys_check_what_is_sent(api, receiver, deliverer, tmp_path):
    """The RSA signature by openssl, the other by its own library: nothing of ours."""
    made = await api.call("POST", "/v2/webhooks", json={"endPoint": HOOK})
    project_secret = (await api.call("GET", "/v2/webhooks/secret"))["secret"]
    api.wall.time = time.time()  # the library knows only the true time
    await write(api, "recording-stopped", webhook_url="https://call.example.org/", data={"name": "日本"})
    assert await deliverer.deliver_due() == 2
    sent = {url: (body, headers) for url, body, headers in receiver.seen}
    for url, secret in ((HOOK, made["secret"]), ("https://call.example.org/", project_secret)):
        body, headers = sent[url]
        assert Webhook(secret).verify(body, headers)["data"] == {"name": "日本"}
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(body + b" ", headers)
    pem = (await api.call("GET", "/v2/public/rsa-public-key", token=None))["publicKey"]
    files = {"key": pem.encode(), "body": body, "signature": base64.b64decode(headers["videosdk-signature"])}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    check = ["openssl", "dgst", "-sha256", "-verify", "key", "-signature", "signature", "body"]
    assert (await run(check, cwd=tmp_path)).returncode == 0
    (tmp_path / "body").write_bytes(body + b" ")
    assert (await run(check, cwd=tmp_path)).returncode != 0


async def test_the_project_secret_is_rotated(api):
    before = await api.call("GET", "/v2/webhooks/secret")
    assert before == await api.call("GET", "/v2/webhooks/secret")
    rotated = await api.call("POST", "/v2/webhooks/secret/rotate")
    assert rotated["secret"] != before["secret"] and rotated["previousValidUntil"] == "2023-11-15T22:13:20.000Z"
    assert (await api.call("GET", "/v2/webhooks/secret"))["secret"] == rotated["secret"]
    other = await api.other_key()
    assert (await api.call("GET", "/v2/webhooks/secret", token=api.token(other)))["secret"] != rotated["secret"]


async def test_the_log_of_deliveries_shows_no_tokens_of_addresses(api, receiver, deliverer):
    await write(api, "recording-stopped", webhook_url="https://call.example.org/hook?token=s3cret")
    await deliverer.deliver_due()
    assert [url for url, _, _ in receiver.seen] == ["https://call.example.org/hook?token=s3cret"]
    [listed] = (await api.call("GET", "/v2/webhooks/deliveries"))["data"]
    one = await api.call("GET", f"/v2/webhooks/deliveries/{listed['id']}")
    assert listed["endPoint"] == one["endPoint"] == "https://call.example.org/hook?…"


async def test_the_log_of_deliveries(api, receiver, deliverer):
    room = await api.room("standup")
    hook = await api.call("POST", "/v2/webhooks", json={"endPoint": HOOK, "events": ["recording-*", "session-*"]})
    receiver.answers_of = {
        "recording-started": Outcome(500, "answered 500", "oops"),
        "session-ended": Outcome(error="no connection: Connection refused"),
    }
    await write(api, "recording-started", room_id=room.room_id, session_id="s1", subject="r1")
    await write(api, "session-ended", room_id=room.room_id, session_id="s2")
    for wait in (0, 5, 30):
        api.wall.time += wait
        await deliverer.deliver_due()
    listed = await api.call("GET", "/v2/webhooks/deliveries")
    models.DeliveryPage.model_validate(listed)
    assert [(row["webhookType"], row["state"], row["attemptCount"]) for row in listed["data"]] == [
        ("session-ended", "delivered", 2), ("recording-started", "delivered", 2),
    ]  # fmt: skip
    assert listed["data"][0]["lastAttempt"]["status"] == 204 and listed["data"][0]["webhookId"] == hook["id"]
    for query, count in (
        ("roomId=standup", 2), ("sessionId=s1", 1), ("type=session-ended", 1), ("state=waiting", 0), ("state=delivered&perPage=1", 1),
    ):  # fmt: skip
        assert len((await api.call("GET", f"/v2/webhooks/deliveries?{query}"))["data"]) == count, query
    await api.call("GET", "/v2/webhooks/deliveries?roomId=unknown", status=404)
    await api.call("GET", "/v2/webhooks/deliveries?state=lost", status=400)

    [first] = [row for row in listed["data"] if row["sessionId"] == "s1"]
    one = await api.call("GET", f"/v2/webhooks/deliveries/{first['id']}")
    models.OneDelivery.model_validate(one)
    assert [(one["status"], one["error"], one["answer"]) for one in one["attempts"]] == [
        (500, "answered 500", "oops"), (204, None, ""),
    ]  # fmt: skip
    assert one["data"] == {"meetingId": "m"} and one["subject"] == "r1"

    again = await api.call("POST", f"/v2/webhooks/deliveries/{first['id']}/send-again")
    models.OneDelivery.model_validate(again)
    assert again["state"] == "waiting" and again["nextAttemptAt"] is not None
    seen = len(receiver.seen)
    await deliverer.deliver_due()
    assert len(receiver.seen) == seen + 1
    assert receiver.seen[-1][2]["webhook-id"] == first["id"] and json.loads(receiver.seen[-1][1])["id"] == first["eventId"]
    assert len((await api.call("GET", f"/v2/webhooks/deliveries/{first['id']}"))["attempts"]) == 3
    await api.call("POST", "/v2/webhooks/deliveries/unknown/send-again", status=404)


async def test_sending_again_wakes_the_deliverer(api):
    woken = []
    object.__setattr__(api.context.webhooks, "wake", lambda: woken.append(True))
    await write(api, "a", webhook_url=HOOK)
    [row] = (await api.call("GET", "/v2/webhooks/deliveries"))["data"]
    await api.call("POST", f"/v2/webhooks/deliveries/{row['id']}/send-again")
    assert woken == [True]


async def test_a_session_that_only_the_store_knows_is_ended_and_told_once(api):
    room = await api.room("standup")
    session_id = await api.session(room, "ann")
    api.meetings.rooms.clear()
    await api.call("POST", "/v2/sessions/end", json={"roomId": "standup"})
    told = await api.store.events.after(api.key.project_id, 0)
    assert [(event.type, event.session_id) for event in told] == [("session-ended", session_id)]
    assert told[0].data["reason"]["name"] == "MEETING_END_API" and told[0].data["end"] >= told[0].data["start"]


async def test_the_code_in_the_documentation_works(api, deliverer, receiver, tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()
    python, js = (re.search(rf"```{name}\n(.*?)```", text, re.DOTALL)[1] for name in ("python", "js"))
    api.wall.time = time.time()
    await write(api, "session-started", webhook_url=HOOK)
    await deliverer.deliver_due()
    [(_, body, headers)] = receiver.seen
    scope: dict = {}
    exec(python, scope)
    secret = (await api.call("GET", "/v2/webhooks/secret"))["secret"]
    assert scope["check"](secret, body, headers)["webhookType"] == "session-started"
    pem = (await api.call("GET", "/v2/public/rsa-public-key", token=None))["publicKey"]
    given = json.dumps([pem, body.decode(), headers])
    (tmp_path / "check.mjs").write_text(
        f"{js}\nconst [key, body, headers] = {given};\nconsole.log(isOurs(key, Buffer.from(body), headers), isOurs(key, Buffer.from(body + ' '), headers));\n"
    )
    said = await run(["node", tmp_path / "check.mjs"], text=True, check=True)
    assert said.stdout.split() == ["true", "false"]
