"""Sends webhooks: takes due deliveries from the store, signs and posts them, writes down what became of each.

The rules (when again, when never, which endpoint is paused) are in policy.py, the way of one POST in send.py. At least once: what
was being sent when the node was killed is sent again, under the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random as random_module
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tidegate.config.egress import WebhookConfig
from tidegate.events.bus import BusEvent
from tidegate.events.policy import MAX_RETRY_AFTER, Endpoints, Outcome, Verdict, judge
from tidegate.events.sign import ProjectSecrets, RsaSigner, standard_headers
from tidegate.events.wire import to_wire
from tidegate.store import Store
from tidegate.store.deliveries import DELETED, Attempt, Claimed

log = logging.getLogger("tidegate.webhooks")

SLICE = 16  # deliveries taken up in one turn
POLL = 15.0  # seconds after which the store is looked at although nobody said that something is due
SWEEP = 300.0  # seconds between looking for deliveries whose time ran out while their endpoint was paused
COUNT = 10.0  # seconds between countings of what waits
LEASE_MARGIN = 30.0  # seconds beyond the timeout of an attempt until another node may take a delivery
FARTHEST = MAX_RETRY_AFTER + 3600.0  # seconds: what is due later than that was put off by a clock that was wrong
STORE_RETRY = 5.0  # seconds until the next try when the store does not answer
USER_AGENT = "Tidegate-Webhooks/1"


class Poster(Protocol):
    """`Sender`, or what tests put in its place."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome: ...


class Deliverer:
    """`run` is a task of the application; `wake` says that something may be due."""

    def __init__(
        self,
        store: Store,
        sender: Poster,
        rsa: RsaSigner,
        secrets: ProjectSecrets,
        config: WebhookConfig,
        wall: Callable[[], float],
        *,
        random: Callable[[], float] = random_module.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wall` for what is stored and signed, `monotonic` for what this process remembers: pauses outlive no clock that is set."""
        self._store = store
        self._sender = sender
        self._rsa = rsa
        self._secrets = secrets
        self._config = config
        self._wall = wall
        self._monotonic = monotonic
        self._random = random
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._swept = monotonic()  # what became due while no node ran is tried before it is given up
        self.endpoints = Endpoints(config.concurrency)
        self.under_way = 0
        self.results: Counter[str] = Counter()
        """Attempts by what came of them: delivered, failed; and deliveries that were given up: dead."""
        self.waiting = 0
        self.oldest_seconds = 0.0
        """Of those that wait; looked up every COUNT seconds."""
        self._counted = monotonic() - COUNT

    def wake(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def settle(self, patience: float) -> None:
        """At the end of the node: let leave what does so within `patience` seconds. The rest is sent by the next start."""
        self.wake()
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            pass

    async def run(self) -> None:
        """Until cancelled; what is being sent then is sent again by the next start."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    batch = await self._claim()
                    for claimed, probe in batch:
                        group.create_task(self._attempt(claimed, probe), name="webhook")
                        self._wake.set()  # there may be more
                    if not self.under_way and not self._wake.is_set():
                        self._idle.set()
                    pause = 0.0 if self._wake.is_set() else await self._pause()
                except Exception:
                    log.exception("webhooks wait for the store")
                    pause = STORE_RETRY
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def deliver_due(self) -> int:
        """One slice of what is due now, until each has been tried; how many."""
        batch = await self._claim()
        await asyncio.gather(*(self._attempt(claimed, probe) for claimed, probe in batch))
        return len(batch)

    async def _claim(self) -> list[tuple[Claimed, bool]]:
        now, here = self._wall(), self._monotonic()
        if here - self._swept >= SWEEP:
            self._swept = here
            self.results["dead"] += await self._store.deliveries.give_up(int(now * 1000))
            await self._store.deliveries.bring_back(int((now + FARTHEST) * 1000), int(now * 1000))
        free = min(SLICE, self._config.concurrency - self.under_way)
        if free <= 0:
            return []
        batch = await self._store.deliveries.claim(
            now_ms=int(now * 1000),
            lease_ms=int((self._config.timeout + LEASE_MARGIN) * 1000),
            limit=free,
            blocked=self.endpoints.blocked(here),
            room=self.endpoints.share(),
        )
        self.under_way += len(batch)
        return [(claimed, self.endpoints.started(claimed.delivery.endpoint_key)) for claimed in batch]

    async def _pause(self) -> float:
        """Seconds until something may be due; attempts that end wake by themselves."""
        now, here = self._wall(), self._monotonic()
        if here - self._counted >= COUNT:
            self._counted = here
            self.waiting, self.oldest_seconds = await self._store.deliveries.counts(int(now * 1000))
        if self.under_way >= self._config.concurrency:
            return POLL
        due = await self._store.deliveries.next_due(now_ms=int(now * 1000), blocked=self.endpoints.blocked(here))
        times = [POLL]
        if due is not None:
            times.append(due / 1000 - now)
        change = self.endpoints.next_change(here)
        if change is not None:
            times.append(change - here)
        return max(0.0, min(times))

    async def _attempt(self, claimed: Claimed, probe: bool) -> None:
        delivery, began = claimed.delivery, self._wall()
        outcome = Outcome(error="this server failed")
        try:
            try:
                outcome = await self._send(claimed, began)
            except Exception:
                log.exception("cannot send a webhook", extra={"delivery": delivery.id})
            await self._finish(claimed, outcome, began)
        except Exception:
            # It is due again when its lease ends.
            log.exception("cannot write down a delivery", extra={"delivery": delivery.id})
        finally:
            self.under_way -= 1
            back = self.endpoints.finished(delivery.endpoint_key, delivery.id, outcome, self._monotonic(), probe=probe)
            self._wake.set()
        if back:
            await self._release(delivery.endpoint_key)

    async def _release(self, endpoint_key: str) -> None:
        try:
            await self._store.deliveries.release(endpoint_key, int(self._wall() * 1000))
        except Exception:
            log.exception("what waits for an endpoint keeps its own times")
        self._wake.set()

    async def _send(self, claimed: Claimed, now: float) -> Outcome:
        delivery = claimed.delivery
        if delivery.endpoint_id is None:
            secrets = await self._secrets.signing(delivery.project_id, int(now * 1000))
        else:
            endpoint = await self._store.webhook_endpoints.find(delivery.project_id, delivery.endpoint_id)
            if endpoint is None:
                return Outcome(status=410, error=DELETED)
            secrets = [endpoint.secret]
        body = json.dumps(to_wire(BusEvent.from_row(claimed.event)), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            "videosdk-signature": self._rsa.sign(body),
            **standard_headers(delivery.id, now, body, secrets),
        }
        if claimed.out_of_order:
            headers["tidegate-out-of-order"] = "true"
        return await self._sender.post(delivery.url, body, headers)

    async def _finish(self, claimed: Claimed, outcome: Outcome, began: float) -> None:
        delivery, now = claimed.delivery, self._wall()
        verdict, next_at = judge(
            outcome, attempts=delivery.attempts + 1, give_up_at=delivery.give_up_at / 1000, now=now, random=self._random
        )
        attempt = Attempt(
            at_ms=int(began * 1000),
            duration_ms=int((now - began) * 1000),
            status=outcome.status,
            error=outcome.error,
            answer=outcome.answer,
            state=verdict.value,
            next_at=int(next_at * 1000),
            reason=_why_dead(outcome, verdict, self._config.give_up_hours),
        )
        await self._store.deliveries.finish(claimed, attempt)
        self.results["failed" if verdict is Verdict.RETRY else verdict.value] += 1
        if verdict is Verdict.DEAD:
            about: dict[str, Any] = {"delivery": delivery.id, "event": delivery.type, "reason": attempt.reason}
            log.warning("a webhook is given up", extra=about)


def _why_dead(outcome: Outcome, verdict: Verdict, hours: float) -> str | None:
    if verdict is not Verdict.DEAD:
        return None
    if outcome.status == 410:
        return outcome.error if outcome.error == DELETED else "the receiver answered 410: it wants no more of it"
    return f"no success within {hours:g} hours"
