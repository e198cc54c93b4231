from __future__ import annotations

import re
from types import SimpleNamespace


async def test_health_and_readiness(api):
    assert await api.call("GET", "/healthz", token=None) == {"status": "ok"}
    assert await api.call("GET", "/readyz", token=None) == {"status": "ready"}
    api.context.ready = lambda: "draining"
    problem = await api.call("GET", "/readyz", token=None, status=503)
    assert (problem["message"], problem["name"]) == ("draining", "NOT_READY")
    await api.call("GET", "/healthz", token=None)
    async with api.request("HEAD", "/healthz", token=None) as response:
        assert response.status == 200


async def test_a_store_that_does_not_answer_makes_us_unready(api, monkeypatch):
    assert await api.store.answers(5)

    def refuse():
        raise OSError("connection refused")

    monkeypatch.setattr(api.store, "engine", SimpleNamespace(connect=refuse, dispose=api.store.engine.dispose))
    problem = await api.call("GET", "/readyz", token=None, status=503)
    assert problem["message"] == "the store does not answer"


async def test_the_docs_page_passes_its_own_policy_and_needs_nobody_else(api):
    async with api.request("GET", "/docs", token=None) as response:
        page, policy = await response.text(), response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert not re.search(r"\son\w+=|style=|<style|<script>|https?://", page)
    for address, kind in re.findall(r'(?:src|href)="(/docs/[^"]+\.(\w+))"', page):
        async with api.request("GET", address, token=None) as response:
            assert response.status == 200 and response.content_type == {"js": "text/javascript", "css": "text/css"}[kind]
            text = await response.text()
            assert "innerHTML" not in text and not re.search(r"https?://", text)
