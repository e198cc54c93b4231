from __future__ import annotations

from tidegate.config.egress import WebhookConfig
from tidegate.events.bus import EventBus
from tidegate.events.deliver import Deliverer
from tidegate.events.log import EventLog, NewEvent
from tidegate.events.metrics import WebhookMetrics
from tidegate.events.policy import PAUSE_AFTER, Outcome


class Down:
    async def post(self, url, body, headers):
        return Outcome(error="no connection") if "down" in url else Outcome(410, "gone") if "gone" in url else Outcome(200)


class Signer:
    def sign(self, body):
        return ""


class Secrets:
    async def signing(self, project_id, now_ms):
        return ["whsec_" + "aa" * 16]


async def test_deliveries_by_result_and_paused_endpoints(store, wall):
    key = await store.first_key()
    deliverer = Deliverer(store, Down(), Signer(), Secrets(), WebhookConfig(), wall)
    log = EventLog(store, EventBus())
    for number in range(PAUSE_AFTER):
        for host in ("down", "good"):
            await log.write(NewEvent("a", key.project_id, None, f"s{number}", {}, webhook_url=f"https://{host}.example/"))
    await log.write(NewEvent("a", key.project_id, None, None, {}, webhook_url="https://gone.example/"))
    while await deliverer.deliver_due():
        pass
    wall.time += 20
    await deliverer._pause()
    families = {family.name: family.samples for family in WebhookMetrics(deliverer).collect()}
    results = {sample.labels["result"]: sample.value for sample in families.pop("tidegate_webhooks")}
    assert results == {"delivered": PAUSE_AFTER, "failed": PAUSE_AFTER, "dead": 1}
    assert {name: samples[0].value for name, samples in families.items()} == {
        "tidegate_webhooks_sending": 0,
        "tidegate_webhooks_waiting": PAUSE_AFTER,
        "tidegate_webhooks_oldest_seconds": 20.0,
        "tidegate_webhook_endpoints_paused": 1,
    }
